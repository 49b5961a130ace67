"""Seconds of collectives with latency, from their seconds by bandwidth alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.message_time import curve_time, p_norm_time
from shardplan.sharding import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cost_model import LinkModel
    from shardplan.costs.rates import ClassRates
    from shardplan.evaluation import Evaluation
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

    evaluation: Evaluation
    settings: SimulationSettings

    @property
    def rates(self) -> ClassRates:
        """Seconds per byte of each class."""
        return self.evaluation.rates

    @property
    def leaves_hosts(self) -> bool:
        """Whether an operation of all ranks uses NICs."""
        cluster = self.evaluation.cluster
        largest = max(cluster.host_num_ranks.max(), cluster.domain_num_ranks.max())
        return bool(largest < cluster.world_size)

    def slowdown(self, scope: Scope = Scope.ALL) -> float:
        """Return by how much communication slows computation beside it."""
        runtime = self.rates.cost_model.runtime
        if self._is_out(scope):
            return runtime.overlap_slowdown_scale_out.value
        return runtime.overlap_slowdown_scale_up.value

    def all_to_all(self, seconds: Floats) -> Floats:
        """Return the seconds of an all-to-all of all ranks (W,)."""
        model = self.rates.cost_model.collectives
        out = self.leaves_hosts
        link = model.all_to_all_scale_out if out else model.all_to_all_scale_up
        return self._with_latency(seconds, link)

    def reduce(self, seconds: Floats, scope: Scope) -> Floats:
        """Return the seconds of a reduce-scatter or all-gather (W,)."""
        model = self.rates.cost_model.collectives
        out = self._is_out(scope)
        link = model.reduce_scale_out if out else model.reduce_scale_up
        return self._with_latency(seconds, link)

    def all_reduce(self, num_bytes: float) -> Floats:
        """Return the seconds of an all-reduce of an array [bytes] (W,).

        References
        ----------
        nccl-tests, doc/PERFORMANCE.md: an all-reduce is a reduce-scatter and an
        all-gather of the array.
        """
        cluster = self.evaluation.cluster
        curve = self.rates.cost_model.collectives.all_reduce_curve
        use_curve = self.settings.latency and self.settings.curves and num_bytes > 0
        if (
            use_curve
            and curve is not None
            and curve.num_ranks == cluster.world_size
            and not self.leaves_hosts
        ):
            time = curve_time(num_bytes, curve.message_bytes, curve.time_s)
            return np.full(cluster.world_size, float(time))
        per_byte = 2.0 * self.rates.reduce_scatter["all"][cluster.rank_class]
        return self.reduce(num_bytes * per_byte, Scope.ALL)

    def _is_out(self, scope: Scope) -> bool:
        return scope in (Scope.ALL, Scope.RANK) and self.leaves_hosts

    def _with_latency(self, seconds: Floats, link: LinkModel) -> Floats:
        if not self.settings.latency or not seconds.any():
            return seconds
        return p_norm_time(seconds, link.latency_s.value, 1.0, link.exponent.value)
