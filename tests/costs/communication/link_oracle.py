"""The load on every link while ranks exchange unequal amounts, pair by pair.

Needs a matrix of all ranks, so it is for tests: an oracle of what groups of ranks add
up in `shardplan.costs.communication.routing`. It knows no rails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.communication.links import (
    host_link_bw,
    leaf_of_host,
    load_time,
    nic_bw_per_host,
    pcie_links,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class LinkCapacities:
    """Effective capacities for :func:`all_to_all_v_link_times`; W ranks, N hosts.

    Attributes
    ----------
    rank_host, rank_domain, rank_pcie_link : int arrays of shape (W,)
    scale_up_bw : float array of shape (W,)
        Per rank, one direction [bytes/s].
    is_mesh : bool array of shape (W,)
    pcie_bw : float array of shape (number of PCIe links,) [bytes/s]
    nic_bw_per_host : float array of shape (N,) [bytes/s]
    host_leaf : int array of shape (N,)
    leaf_uplink_bw : float array of shape (number of leafs,) [bytes/s]
    """

    rank_host: Ints
    rank_domain: Ints
    rank_pcie_link: Ints
    scale_up_bw: Floats
    is_mesh: Bools
    pcie_bw: Floats
    nic_bw_per_host: Floats
    host_leaf: Ints
    leaf_uplink_bw: Floats

    @classmethod
    def of(cls, cluster: Cluster, cost_model: CostModel) -> Self:
        """Take a cluster's peaks times the all-to-all efficiencies of a cost model."""
        model = cost_model.collectives
        inside = model.all_to_all_scale_up.bw_efficiency.value
        outside = model.all_to_all_scale_out.bw_efficiency.value
        groups, rank_class = cluster.host_groups, cluster.rank_class
        link, link_class = pcie_links(cluster)
        nic = outside * nic_bw_per_host(cluster)
        leaf = leaf_of_host(cluster)
        up = np.array([group.scale_up.bw for group in groups])
        mesh = np.array([group.scale_up.kind == "mesh" for group in groups])
        return cls(
            rank_host=cluster.rank_host,
            rank_domain=cluster.rank_domain,
            rank_pcie_link=link,
            scale_up_bw=inside * up[rank_class],
            is_mesh=mesh[rank_class],
            pcie_bw=inside * host_link_bw(cluster)[link_class],
            nic_bw_per_host=nic,
            host_leaf=leaf,
            leaf_uplink_bw=np.bincount(leaf, nic)
            / cluster.topology.fabric.oversubscription,
        )

    def all_to_all_v_bottleneck(self, send_bytes: ArrayLike) -> float:
        """Return the seconds of an uneven all-to-all over these links."""
        return all_to_all_v_bottleneck(send_bytes, **vars(self))


def all_to_all_v_bottleneck(
    send_bytes: ArrayLike,
    rank_host: ArrayLike,
    rank_domain: ArrayLike,
    scale_up_bw: ArrayLike,
    nic_bw_per_host: ArrayLike,
    **others: ArrayLike,
) -> float:
    """Return the time of the most loaded link of an uneven all-to-all [s].

    See Also
    --------
    all_to_all_v_link_times : Parameters and formula.
    """
    times = all_to_all_v_link_times(
        send_bytes, rank_host, rank_domain, scale_up_bw, nic_bw_per_host, **others
    )
    return max(times.values())


def all_to_all_v_link_times(
    send_bytes: ArrayLike,
    rank_host: ArrayLike,
    rank_domain: ArrayLike,
    scale_up_bw: ArrayLike,
    nic_bw_per_host: ArrayLike,
    *,
    is_mesh: ArrayLike = False,
    rank_pcie_link: ArrayLike | None = None,
    pcie_bw: ArrayLike = np.inf,
    host_leaf: ArrayLike | None = None,
    leaf_uplink_bw: ArrayLike = np.inf,
) -> dict[str, float]:
    """Return the time of the most loaded link of each kind in an uneven all-to-all.

    Parameters
    ----------
    send_bytes : float array of shape (W, W)
        ``[i, j]``: what rank i sends rank j [bytes]; the diagonal is free.
    rank_host, rank_domain : int arrays of shape (W,)
    scale_up_bw : float array of shape (W,) or scalar
        Per rank, one direction, all links together [bytes/s].
    nic_bw_per_host : float array of shape (N,) or scalar
        All NICs of a host, one direction [bytes/s].
    is_mesh : bool array of shape (W,) or scalar
        Whether a rank has one link to each peer of its domain, not one to a switch.
    rank_pcie_link : int array of shape (W,), optional
        The PCIe link of each rank; default: one each.
    pcie_bw : float array of shape (number of PCIe links,) or scalar [bytes/s]
        For peers of a host in different domains.
    host_leaf : int array of shape (N,), optional
        The leaf switch of each host; default: one for all.
    leaf_uplink_bw : float array of shape (number of leafs,) or scalar [bytes/s]
        From a leaf to the spine, one direction.

    Returns
    -------
    dict of str to float
        Seconds for ``scale_up``, ``mesh``, ``pcie``, ``nic`` and ``leaf`` links.

    Notes
    -----
    ``max over links of load / capacity``, egress and ingress apart. It is a lower
    bound that a max-min fair sharing of the links comes close to.

    References
    ----------
    Bertsekas, Gallager 1992, Data Networks, section 6.5 (max-min fairness).
    """
    bytes_ = np.array(send_bytes, dtype=float)
    np.fill_diagonal(bytes_, 0.0)
    host, domain = np.asarray(rank_host), np.asarray(rank_domain)
    link = np.arange(len(host)) if rank_pcie_link is None else rank_pcie_link
    leaf = np.zeros(host.max() + 1, np.int64) if host_leaf is None else host_leaf
    rank_leaf = np.asarray(leaf)[host]

    near = domain[:, None] == domain
    up = np.where(near, bytes_, 0.0)
    own = np.arange(len(host))
    peers = np.maximum(np.bincount(domain)[domain] - 1, 1)
    to_peer = np.where(is_mesh, np.maximum(up.max(axis=1), up.max(axis=0)) * peers, 0.0)

    bytes_[near] = 0.0
    local = host[:, None] == host
    bridge = np.where(local, bytes_, 0.0)
    bytes_[local] = 0.0
    nic = _slowest(bytes_, host, nic_bw_per_host)
    bytes_[rank_leaf[:, None] == rank_leaf] = 0.0
    return {
        "scale_up": _slowest(up, own, scale_up_bw),
        "mesh": float(load_time(to_peer, scale_up_bw).max()),
        "pcie": _slowest(bridge, np.asarray(link), pcie_bw),
        "nic": nic,
        "leaf": _slowest(bytes_, rank_leaf, leaf_uplink_bw),
    }


def _slowest(bytes_: Floats, link: Ints, capacity: ArrayLike) -> float:
    """Seconds of the link with the most load, out or in, for its capacity."""
    out = np.bincount(link, bytes_.sum(axis=1))
    into = np.bincount(link, bytes_.sum(axis=0))
    return float(load_time(np.maximum(out, into), capacity).max())
