"""Bytes on the links of the cluster in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.links import nic_bw_per_host
from shardplan.sharding import Scope
from shardplan.simulation.dense_work import DenseWork
from shardplan.simulation.sparse_work import GROUP_SCOPES, Exchange, SparseWork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.evaluation import Evaluation
    from shardplan.simulation.settings import SimulationSettings

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinkLoads:
    """Bytes per step, one direction; W ranks, N hosts.

    Attributes
    ----------
    scale_up_bytes, pcie_bytes : float arrays (W,)
        On each rank's scale-up links, and over PCIe to peers of its host.
    nic_bytes : float array (N,)
        On all NICs of each host.
    scale_up_use, nic_use : float arrays (W,) and (N,)
        Of the line rate over the whole step [fraction].
    """

    scale_up_bytes: Floats
    pcie_bytes: Floats
    nic_bytes: Floats
    scale_up_use: Floats
    nic_use: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return totals, most loaded links and their use as JSON-able data."""
        return {
            "scale_up_bytes_per_rank_mean": float(self.scale_up_bytes.mean()),
            "scale_up_bytes_per_rank_max": float(self.scale_up_bytes.max()),
            "pcie_bytes_per_rank_max": float(self.pcie_bytes.max()),
            "nic_bytes_per_host_mean": float(self.nic_bytes.mean()),
            "nic_bytes_per_host_max": float(self.nic_bytes.max()),
            "scale_up_use_max": float(self.scale_up_use.max()),
            "nic_use_max": float(self.nic_use.max()),
        }


def link_loads(
    evaluation: Evaluation, settings: SimulationSettings, step_time_s: float
) -> LinkLoads:
    """Spread the bytes of a step's collectives over the links.

    Notes
    -----
    Bytes are seconds by bandwidth over seconds per byte. An all-to-all goes evenly
    to all W ranks. A reduction in a group of g ranks moves ``(g - 1) / g`` of the
    array on each rank's links, and ``1/g - 1/W`` of it per rank between groups.
    """
    tally = _Tally(evaluation)
    sparse = SparseWork.of(evaluation)
    tally.spread(tally.volume(sparse.lengths + sparse.ids, tally.rates.all_to_all))
    for exchange in (sparse.outputs, sparse.gradients):
        tally.exchange(exchange)
    whole = tally.rates.reduce_scatter["all"]
    tally.reduce(tally.volume(sparse.replicated_all_reduce, whole), Scope.ALL)
    if settings.dense:
        dense = sum(DenseWork.of(evaluation).gradient_bytes.values())
        tally.reduce(np.full(tally.cluster.world_size, 2.0 * dense), Scope.ALL)
    return tally.loads(step_time_s)


class _Tally:
    """Bytes on each rank's links so far."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.cluster, self.rates = evaluation.cluster, evaluation.rates
        own = self.cluster
        self._domain = own.domain_num_ranks[own.rank_domain].astype(float)
        self._host = own.host_num_ranks[own.rank_host].astype(float)
        self._up, self._pcie, self._nic = np.zeros((3, own.world_size))

    def volume(self, seconds: Floats, s_per_byte: Floats) -> Floats:
        """Bytes behind the seconds of each rank (W,)."""
        rate = s_per_byte[self.cluster.rank_class]
        return np.asarray(np.where(rate > 0, seconds / np.where(rate > 0, rate, 1), 0))

    def exchange(self, exchange: Exchange) -> None:
        """Add outputs or gradients."""
        self.spread(self.volume(exchange.all_to_all, self.rates.all_to_all))
        for scope, key in GROUP_SCOPES.items():
            size = self._host if scope is Scope.HOST else self._domain
            across = self.rates.across_groups[key]
            self.spread(self.volume(exchange.across[scope], across) / size, size)
        for scope, seconds in exchange.reduce.items():
            rate = self.rates.reduce_scatter[GROUP_SCOPES.get(scope, "all")]
            self.reduce(self.volume(seconds, rate), scope)

    def spread(self, sent: Floats, group: Floats | None = None) -> None:
        """Add bytes that each rank sends evenly to all, its group's for free."""
        ranks = float(self.cluster.world_size)
        own = np.ones(len(sent)) if group is None else group
        near = np.maximum(self._domain, own)
        local = np.maximum(self._host, near)
        self._up += sent * (near - own) / ranks
        self._pcie += sent * (local - near) / ranks
        self._nic += sent * (ranks - local) / ranks

    def reduce(self, array: Floats, scope: Scope) -> None:
        """Add a reduce-scatter or all-gather of each rank's array of bytes."""
        if scope is Scope.ALL:
            group = np.maximum(self._host, self._domain)
            self._nic += array * (1.0 / group - 1.0 / self.cluster.world_size)
        else:
            group = self._host if scope is Scope.HOST else self._domain
        moved = array * (group - 1.0) / group
        fits = group <= self._domain
        self._up += np.where(fits, moved, 0.0)
        self._pcie += np.where(fits, 0.0, moved)

    def loads(self, step_time_s: float) -> LinkLoads:
        """Compare with the line rates."""
        cluster = self.cluster
        nic = np.zeros(cluster.num_hosts)
        np.add.at(nic, cluster.rank_host, self._nic)
        up_bw = np.array([group.scale_up.bw for group in cluster.groups])
        return LinkLoads(
            scale_up_bytes=self._up,
            pcie_bytes=self._pcie,
            nic_bytes=nic,
            scale_up_use=_use(self._up, up_bw[cluster.rank_class], step_time_s),
            nic_use=_use(nic, nic_bw_per_host(cluster), step_time_s),
        )


def _use(load: Floats, bandwidth: Floats, step_time_s: float) -> Floats:
    """Share of what a link could carry during the step; 0 without a link."""
    room = bandwidth * step_time_s
    return np.asarray(load / np.where(room > 0, room, np.inf))
