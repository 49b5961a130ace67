"""Collectives on a cluster: their seconds on every rank, and their bytes on links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.communication.all_reduce import all_reduce_seconds
from shardplan.costs.communication.latency import (
    HostGroups,
    between_hosts_latency,
    link_latency,
)
from shardplan.costs.communication.link_time import link_time
from shardplan.costs.communication.traffic import Traffic
from shardplan.costs.scopes import Scope
from shardplan.steps.sparse_work import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.routing import Routes
    from shardplan.costs.rates import ClassRates
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import RuntimeModel
    from shardplan.records.network import LinkModel
    from shardplan.steps.settings import SimulationSettings


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
    those of `link_time`: on scale-up links, or on the network if it leaves hosts
    and domains.
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
    def routes(self) -> Routes:
        """How ranks reach each other."""
        return self.rates.collectives.routes

    def slowdown(self, scope: Scope = Scope.ALL) -> float:
        """Return by how much communication slows computation beside it."""
        if not self.settings.slowdown:
            return 0.0
        if self.routes.leaves_hosts(scope):
            return self.runtime.overlap_slowdown_scale_out.value
        return self.runtime.overlap_slowdown_scale_up.value

    def spread(self, exchange: Exchange) -> Transfer:
        """Return the all-to-all in which holders send outputs to the samples."""
        traffic = self.routes.spread(exchange.whole)
        for scope, kept in self._kept(exchange):
            traffic += self.routes.spread(kept, scope)
        return self._all_to_all(exchange, traffic)

    def gather(self, exchange: Exchange) -> Transfer:
        """Return the all-to-all in which samples send gradients to the holders."""
        traffic = self.routes.gather(exchange.whole)
        for scope, kept in self._kept(exchange):
            traffic += self.routes.gather(kept, scope)
        return self._all_to_all(exchange, traffic)

    def gather_ids(self, num_bytes: Floats) -> Transfer:
        """Return the all-to-all in which samples send ids to the holders."""
        return self.gather(Exchange(num_bytes, {}, np.zeros_like(num_bytes)))

    def even_all_to_all(self, num_bytes: float) -> Transfer:
        """Return the all-to-all in which each rank sends as many bytes."""
        sent = np.full(self.cluster.world_size, num_bytes)
        return self.spread(Exchange(sent, {}, np.zeros_like(sent)))

    def nothing(self) -> Transfer:
        """Return an operation without bytes."""
        world = self.cluster.world_size
        traffic = Traffic.nothing(world, self.routes.num_uplinks)
        return Transfer(np.zeros(world), traffic)

    def reduce(self, array: Floats, scope: Scope) -> Transfer:
        """Return a reduce-scatter or all-gather of each rank's array (W,) [bytes]."""
        traffic = self.routes.ring(array, scope)
        if self._follows_links:
            seconds = self.rates.collectives.reduce.seconds(traffic)
        else:
            seconds = array * self._of_ranks(self.rates.reduce_scatter[scope])
        return Transfer(self.reduce_time(seconds, scope), traffic)

    def reduce_time(self, seconds: Floats, scope: Scope) -> Floats:
        """Return the time of a reduce-scatter or all-gather in groups of a scope [s].

        Parameters
        ----------
        seconds : float array
            Of its bytes on the fullest link [s].
        """
        cluster, model = self.cluster, self.rates.collectives.model
        groups = cluster.groups(scope)
        ranks = int(groups.num_ranks.max())
        near, far = model.reduce_scale_up, model.reduce_scale_out
        rounds = float(np.log2(max(ranks, 2)))
        if not self.routes.leaves_hosts(scope):
            return self._with_latency(seconds, near, ranks, out=False, rounds=rounds)
        part = self.routes.near[Scope.RANK][2].split(groups.of_rank).size.max()
        inside = link_latency(near, cluster, model, part, leaves=False, rounds=1.0)
        ring = HostGroups(ranks, part, tree=False)
        latency = between_hosts_latency(inside, near, cluster, model, ring)
        if latency is None:
            # In older models, latency does not grow with the ranks on a network.
            return self._with_latency(seconds, far, 1, out=True, rounds=rounds)
        return self._at_latency(seconds, far, 1, latency)

    def all_reduce(self, num_bytes: float) -> Transfer:
        """Return an all-reduce of an array over all ranks [bytes].

        See Also
        --------
        shardplan.costs.communication.all_reduce.all_reduce_seconds : The formula.
        """
        traffic = self._ring_of_all(2.0 * num_bytes)
        if not self.settings.latency or num_bytes <= 0:
            per_byte = 2.0 * self._of_ranks(self.rates.all_reduce)
            return Transfer(num_bytes * per_byte, traffic)
        time = all_reduce_seconds(num_bytes, self.rates.whole)
        return Transfer(np.full(self.cluster.world_size, float(time)), traffic)

    def _ring_of_all(self, num_bytes: float) -> Traffic:
        """Return what a ring of all replicas puts on links of this sharding group."""
        whole, topology = self.rates.whole.routes, self.cluster.topology
        adds_up = topology.fabric.in_network_reduction
        array = np.full(whole.cluster.world_size, num_bytes)
        traffic = whole.ring(array, Scope.ALL, adds_up=adds_up)
        if whole is self.routes:
            return traffic
        # The groups have equal shares of uplinks.
        uplinks = self.routes.num_uplinks
        each = traffic.uplink.sum(axis=1) / topology.replicas / max(uplinks, 1)
        members = np.array(topology.members())
        return Traffic(
            traffic.by_rank[:, :, members],
            np.repeat(each[:, None], uplinks, axis=1),
            traffic.copied[members],
        )

    def uses(self, transfer: Transfer) -> Floats | None:
        """Return the share of each rank's links that an operation takes (L, W).

        None where links are not shared. The links are those of `LinkRates.shares`.
        """
        if not (self._follows_links and self.settings.sharing):
            return None
        rates = self.rates.collectives.all_to_all
        return rates.shares(transfer.traffic, transfer.seconds)

    @property
    def _follows_links(self) -> bool:
        """Whether bytes take as long as the fullest link, not what prices say."""
        return self.settings.links and self.settings.latency

    def _all_to_all(self, exchange: Exchange, traffic: Traffic) -> Transfer:
        """Time the loads of an all-to-all; with links off, take prices."""
        if self._follows_links:
            seconds = self.rates.collectives.all_to_all.seconds(traffic)
        else:
            seconds = exchange.whole * self._of_ranks(self.rates.all_to_all)
            for scope, array in exchange.sums.items():
                seconds += array * self._of_ranks(self.rates.across_groups[scope])
        return Transfer(self.all_to_all_time(seconds), traffic)

    def all_to_all_time(self, seconds: Floats) -> Floats:
        """Return the time of an all-to-all from that of its fullest link [s]."""
        model = self.rates.collectives.model
        out = self.routes.leaves_hosts(Scope.ALL)
        link = model.all_to_all_scale_out if out else model.all_to_all_scale_up
        ranks = 1 if out else self.cluster.world_size
        return self._with_latency(seconds, link, ranks, out=out, rounds=1.0)

    def _kept(self, exchange: Exchange) -> Iterator[tuple[Scope, Floats]]:
        """Bytes that each rank has left after reducing in groups of a scope (W,).

        All ranks together have nothing left to send.
        """
        for scope, array in exchange.sums.items():
            if scope is not Scope.ALL:
                yield scope, array / self.cluster.groups(scope).size

    def _of_ranks(self, per_class: Floats) -> Floats:
        """Return the rate of each rank's class (W,)."""
        return np.asarray(per_class[self.cluster.rank_class])

    def _with_latency(
        self,
        seconds: Floats,
        link: LinkModel,
        num_ranks: int,
        *,
        out: bool,
        rounds: float,
    ) -> Floats:
        model = self.rates.collectives.model
        latency = link_latency(
            link, self.cluster, model, num_ranks, leaves=out, rounds=rounds
        )
        return self._at_latency(seconds, link, num_ranks, latency)

    def _at_latency(
        self, seconds: Floats, link: LinkModel, num_ranks: int, latency: float
    ) -> Floats:
        if not self.settings.latency or not seconds.any():
            return seconds
        return link_time(seconds, link, num_ranks, latency)
