"""Seconds of collectives with latency, from their seconds by bandwidth alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.all_reduce import all_reduce_seconds, joined_by_switch
from shardplan.costs.collectives import latency_growth
from shardplan.costs.links import shared_links
from shardplan.costs.message_time import curve_time, p_norm_time
from shardplan.sharding import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.cost_model import LinkModel, RuntimeModel
    from shardplan.costs.rates import ClassRates
    from shardplan.simulation.settings import SimulationSettings

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Network:
    """The collectives of one cluster.

    Notes
    -----
    A rank's seconds by bandwidth x = V / beta become
    ``(alpha^p + x^p)^(1/p)``, with the latency alpha and the exponent p of the
    operation on scale-up links, or on the network if it leaves hosts and domains.
    An operation in which no rank has anything to send takes no time.
    """

    cluster: Cluster
    rates: ClassRates
    settings: SimulationSettings

    @property
    def runtime(self) -> RuntimeModel:
        """The program that the settings name."""
        return self.rates.cost_model.runtime_named(self.settings.runtime)

    @property
    def leaves_hosts(self) -> bool:
        """Whether an operation of all ranks uses NICs."""
        cluster = self.cluster
        largest = max(cluster.host_num_ranks.max(), cluster.domain_num_ranks.max())
        return bool(largest < cluster.world_size)

    def slowdown(self, scope: Scope = Scope.ALL) -> float:
        """Return by how much communication slows computation beside it."""
        if self._is_out(scope):
            return self.runtime.overlap_slowdown_scale_out.value
        return self.runtime.overlap_slowdown_scale_up.value

    def all_to_all(self, seconds: Floats) -> Floats:
        """Return the seconds of an all-to-all of all ranks (W,)."""
        model = self.rates.cost_model.collectives
        out = self.leaves_hosts
        link = model.all_to_all_scale_out if out else model.all_to_all_scale_up
        ranks = 1 if out else self.cluster.world_size
        return self._with_latency(self._on_shared_links(seconds), link, ranks)

    def reduce(self, seconds: Floats, scope: Scope) -> Floats:
        """Return the seconds of a reduce-scatter or all-gather (W,)."""
        model = self.rates.cost_model.collectives
        out = self._is_out(scope)
        link = model.reduce_scale_out if out else model.reduce_scale_up
        return self._with_latency(seconds, link, self._near_ranks(scope))

    def all_reduce(self, num_bytes: float) -> Floats:
        """Return the seconds of an all-reduce of an array [bytes] (W,).

        See Also
        --------
        shardplan.costs.all_reduce.all_reduce_seconds : The formula.
        """
        cluster = self.cluster
        if not self.settings.latency or num_bytes <= 0:
            per_byte = 2.0 * self.rates.reduce_scatter["all"][cluster.rank_class]
            return np.asarray(num_bytes * per_byte)
        curve = self.rates.cost_model.collectives.all_reduce_curve
        if (
            self.settings.curves
            and curve is not None
            and curve.num_ranks == cluster.world_size
            and not self.leaves_hosts
            and joined_by_switch(cluster)
        ):
            time = curve_time(num_bytes, curve.message_bytes, curve.time_s)
        else:
            time = all_reduce_seconds(num_bytes, cluster, self.rates.cost_model)
        return np.full(cluster.world_size, float(time))

    def _is_out(self, scope: Scope) -> bool:
        return scope in (Scope.ALL, Scope.RANK) and self.leaves_hosts

    def _on_shared_links(self, seconds: Floats) -> Floats:
        """Let ranks use what others of their PCIe link or NICs leave idle (W,).

        Notes
        -----
        Prices give each of k ranks 1/k of a link. Together they take the mean of
        their seconds, but none less than 1/k of its own: ``max(mean, own / k)``.
        """
        shared = shared_links(self.cluster, leaves_hosts=self.leaves_hosts)
        if not self.settings.latency or shared is None:
            return seconds
        link, sharing = shared
        mean = np.bincount(link, seconds) / np.bincount(link)
        least = np.zeros(len(mean))
        np.maximum.at(least, link, seconds / sharing)
        return np.asarray(np.maximum(mean, least)[link])

    def _near_ranks(self, scope: Scope) -> int:
        """Ranks whose number latency grows with; on the network it does not."""
        cluster = self.cluster
        if self._is_out(scope):
            return 1
        if scope is Scope.HOST:
            return int(cluster.host_num_ranks.max())
        if scope is Scope.DOMAIN:
            return int(cluster.domain_num_ranks.max())
        return cluster.world_size

    def _with_latency(self, seconds: Floats, link: LinkModel, num_ranks: int) -> Floats:
        if not self.settings.latency or not seconds.any():
            return seconds
        growth = latency_growth(num_ranks, self.rates.cost_model.collectives)
        latency = link.latency_s.value * growth
        return p_norm_time(seconds, latency, 1.0, link.exponent.value)
