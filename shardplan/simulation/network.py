"""Collectives on a cluster: their seconds on every rank, and their bytes on links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.communication.all_reduce import (
    all_reduce_seconds,
    joined_by_switch,
)
from shardplan.costs.communication.latency import link_latency
from shardplan.costs.communication.link_rates import LinkRates
from shardplan.costs.communication.message_time import curve_time, p_norm_time
from shardplan.costs.communication.routing import routes_of
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.routing import Routes
    from shardplan.costs.communication.traffic import Traffic
    from shardplan.costs.rates import ClassRates
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import LinkModel, RuntimeModel
    from shardplan.simulation.settings import SimulationSettings
    from shardplan.simulation.sparse_work import Exchange


class Transfer(NamedTuple):
    """A collective: what it takes on each rank (W,) [s], and what it moves."""

    seconds: Floats
    traffic: Traffic


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

    @cached_property
    def routes(self) -> Routes:
        """How ranks reach each other."""
        return routes_of(self.cluster)

    @cached_property
    def link_rates(self) -> LinkRates:
        """What every link carries."""
        return LinkRates.of(self.routes, self.rates.cost_model)

    def slowdown(self, scope: Scope = Scope.ALL) -> float:
        """Return by how much communication slows computation beside it."""
        if self.routes.leaves_hosts(scope):
            return self.runtime.overlap_slowdown_scale_out.value
        return self.runtime.overlap_slowdown_scale_up.value

    def spread(self, exchange: Exchange) -> Transfer:
        """Return the all-to-all in which holders send outputs to the samples."""
        traffic = self.routes.spread(self._sent(exchange.all_to_all))
        for scope, seconds in exchange.across.items():
            if seconds.any():
                traffic += self.routes.spread(self._across(seconds, scope), scope)
        return self._all_to_all(exchange.personal, traffic)

    def gather(self, exchange: Exchange) -> Transfer:
        """Return the all-to-all in which samples send gradients to the holders."""
        traffic = self.routes.gather(self._sent(exchange.all_to_all))
        for scope, seconds in exchange.across.items():
            if seconds.any():
                traffic += self.routes.gather(self._across(seconds, scope), scope)
        return self._all_to_all(exchange.personal, traffic)

    def gather_ids(self, seconds: Floats) -> Transfer:
        """Return the all-to-all in which samples send ids to the holders."""
        return self._all_to_all(seconds, self.routes.gather(self._sent(seconds)))

    def even_all_to_all(self, num_bytes: float) -> Transfer:
        """Return the all-to-all in which each rank sends as many bytes."""
        sent = np.full(self.cluster.world_size, num_bytes)
        seconds = sent * self.rates.all_to_all[self.cluster.rank_class]
        return self._all_to_all(seconds, self.routes.spread(sent))

    def reduce(self, seconds: Floats, scope: Scope) -> Transfer:
        """Return a reduce-scatter or all-gather with seconds by bandwidth (W,)."""
        model = self.rates.cost_model.collectives
        out = self.routes.leaves_hosts(scope)
        link = model.reduce_scale_out if out else model.reduce_scale_up
        rate = self.rates.reduce_scatter[scope][self.cluster.rank_class]
        traffic = self.routes.ring(_per(seconds, rate), scope)
        ranks = int(self.cluster.groups(scope).num_ranks.max())
        rounds = float(np.log2(max(ranks, 2)))
        # On the network, latency does not grow with the number of ranks.
        near_ranks = 1 if out else ranks
        timed = self._with_latency(seconds, link, near_ranks, out=out, rounds=rounds)
        return Transfer(timed, traffic)

    def all_reduce(self, num_bytes: float) -> Transfer:
        """Return an all-reduce of an array over all ranks [bytes].

        See Also
        --------
        shardplan.costs.communication.all_reduce.all_reduce_seconds : The formula.
        """
        cluster = self.cluster
        adds_up = cluster.topology.fabric.in_network_reduction
        array = np.full(cluster.world_size, 2.0 * num_bytes)
        traffic = self.routes.ring(array, Scope.ALL, adds_up=adds_up)
        if not self.settings.latency or num_bytes <= 0:
            per_byte = 2.0 * self.rates.reduce_scatter[Scope.ALL][cluster.rank_class]
            return Transfer(np.asarray(num_bytes * per_byte), traffic)
        curve = self.rates.cost_model.collectives.all_reduce_curve
        if (
            self.settings.curves
            and curve is not None
            and curve.num_ranks == cluster.world_size
            and not self.routes.leaves_hosts(Scope.ALL)
            and joined_by_switch(cluster)
        ):
            time = curve_time(num_bytes, curve.message_bytes, curve.time_s)
        else:
            time = all_reduce_seconds(num_bytes, cluster, self.rates.cost_model)
        return Transfer(np.full(cluster.world_size, float(time)), traffic)

    def uses(self, transfer: Transfer) -> Floats | None:
        """Return the share of each rank's links that an operation takes (L, W).

        None with links off. The links are those of `LinkRates.by_rank`.
        """
        if not (self.settings.links and self.settings.latency):
            return None
        return self.link_rates.shares(transfer.traffic, transfer.seconds)

    def _all_to_all(self, priced: Floats, traffic: Traffic) -> Transfer:
        """Time the loads of an all-to-all; with links off, take its prices."""
        model = self.rates.cost_model.collectives
        out = self.routes.leaves_hosts(Scope.ALL)
        link = model.all_to_all_scale_out if out else model.all_to_all_scale_up
        ranks = 1 if out else self.cluster.world_size
        seconds = priced
        if self.settings.links and self.settings.latency:
            seconds = self.link_rates.seconds(traffic)
        timed = self._with_latency(seconds, link, ranks, out=out, rounds=1.0)
        return Transfer(timed, traffic)

    def _sent(self, seconds: Floats) -> Floats:
        """Bytes behind the seconds that prices have for an all-to-all (W,)."""
        return _per(seconds, self.rates.all_to_all[self.cluster.rank_class])

    def _across(self, seconds: Floats, scope: Scope) -> Floats:
        """Bytes that each rank has left after reducing in its group (W,)."""
        rate = self.rates.across_groups[scope][self.cluster.rank_class]
        return _per(seconds, rate) / self.cluster.groups(scope).size

    def _with_latency(
        self,
        seconds: Floats,
        link: LinkModel,
        num_ranks: int,
        *,
        out: bool,
        rounds: float,
    ) -> Floats:
        if not self.settings.latency or not seconds.any():
            return seconds
        model = self.rates.cost_model.collectives
        latency = link_latency(
            link, self.cluster, model, num_ranks, leaves=out, rounds=rounds
        )
        return p_norm_time(seconds, latency, 1.0, link.exponent.value)


def _per(seconds: Floats, s_per_byte: Floats) -> Floats:
    """Bytes behind seconds; 0 where bytes take no time."""
    rate = np.where(s_per_byte > 0, s_per_byte, np.inf)
    return np.asarray(seconds / rate)
