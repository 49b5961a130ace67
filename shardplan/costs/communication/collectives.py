"""What collectives cost on a cluster: bytes on their routes, at the rates of links.

Prices and simulated steps take both from here. A price is that of an exchange in which
all ranks send as much, so that prices of shards can be added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.communication.link_rates import LinkRates
from shardplan.costs.communication.links import joined_by_switch
from shardplan.costs.communication.networks import collectives_on
from shardplan.costs.communication.routing import routes_of
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.routing import Routes
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CollectiveModel, CostModel
    from shardplan.records.network import LinkModel


@dataclass(frozen=True, eq=False)
class Collectives:
    """The collectives of a cluster: where their bytes go, and how fast.

    Attributes
    ----------
    routes : Routes
    model : CollectiveModel
        What they reach on the networks of the cluster.
    all_to_all, reduce, all_reduce : LinkRates
        What links carry in an all-to-all; in a reduce-scatter or an all-gather; and
        in an all-reduce.
    """

    routes: Routes
    model: CollectiveModel
    all_to_all: LinkRates
    reduce: LinkRates
    all_reduce: LinkRates

    @classmethod
    def of(cls, cluster: Cluster, cost_model: CostModel) -> Self:
        """Combine a cluster's links with the efficiencies of a cost model."""
        routes = routes_of(cluster)
        model = collectives_on(cluster.topology, cost_model)
        far = model.reduce_scale_out
        return cls(
            routes,
            model,
            LinkRates.of(
                routes,
                cost_model,
                model.all_to_all_scale_up,
                model.all_to_all_scale_out,
            ),
            LinkRates.of(routes, cost_model, model.reduce_scale_up, far),
            LinkRates.of(routes, cost_model, all_reduce_link(cluster, model), far),
        )

    def all_to_all_s_per_byte(self, scope: Scope = Scope.RANK) -> Floats:
        """Return what the all-to-all costs of what groups have reduced.

        Parameters
        ----------
        scope : Scope
            The groups; of single ranks, which have nothing to reduce, all is sent,
            and of `Scope.ALL`, nothing is left to send.

        Returns
        -------
        float array of shape (C,)
            Seconds per byte of a rank's array before it was reduced, on the slowest
            rank of each class [s/byte].

        Notes
        -----
        In a group of g ranks each keeps 1/g of the array and sends it evenly to all W
        ranks; only ``1 - g/W`` of that leaves the group.

        References
        ----------
        nccl-tests, doc/PERFORMANCE.md; Mudigere et al. 2022, arXiv:2104.05158 (table-
        wise then row-wise).
        """
        kept = 1.0 / self.routes.cluster.groups(scope).size
        traffic = self.routes.spread(kept, scope)
        return self._slowest_of_class(self.all_to_all.seconds(traffic))

    def reduce_s_per_byte(self, scope: Scope) -> Floats:
        """Return what a reduce-scatter or an all-gather costs in groups of a scope.

        Parameters
        ----------
        scope : Scope
            Which ranks reduce together; they wait for the slowest of them.

        Returns
        -------
        float array of shape (C,)
            Seconds per byte of one rank's whole array, in the slowest group that each
            class has ranks in [s/byte].

        References
        ----------
        nccl-tests, doc/PERFORMANCE.md; Cho et al. 2019, BlueConnect, MLSys.
        """
        cluster = self.routes.cluster
        groups = cluster.groups(scope)
        array = np.ones(cluster.world_size)
        seconds = self.reduce.seconds(self.routes.ring(array, scope))
        slowest = np.zeros(len(groups.num_ranks))
        np.maximum.at(slowest, groups.of_rank, seconds)
        return self._slowest_of_class(slowest[groups.of_rank])

    def all_reduce_s_per_byte(self) -> float:
        """Return the seconds per byte of an array that all ranks all-reduce [s/byte].

        Notes
        -----
        A reduce-scatter and an all-gather, unless switches add up.
        """
        cluster = self.routes.cluster
        adds_up = cluster.topology.fabric.in_network_reduction
        array = np.full(cluster.world_size, 2.0)
        traffic = self.routes.ring(array, Scope.ALL, adds_up=adds_up)
        return float(self.all_reduce.seconds(traffic).max())

    def _slowest_of_class(self, seconds: Floats) -> Floats:
        """Return the most of each class (C,) of what ranks have (W,)."""
        cluster = self.routes.cluster
        slowest = np.zeros(len(cluster.host_groups))
        np.maximum.at(slowest, cluster.rank_class, seconds)
        return slowest


def all_reduce_link(cluster: Cluster, model: CollectiveModel) -> LinkModel:
    """Return what describes all-reduces inside a host or a domain.

    Where a switch joins the ranks of every host, algorithms may be faster than rings.
    """
    if model.all_reduce_scale_up is not None and joined_by_switch(cluster):
        return model.all_reduce_scale_up
    return model.reduce_scale_up
