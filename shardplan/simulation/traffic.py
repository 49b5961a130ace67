"""Bytes on the links of the cluster in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.communication.link_rates import nic_ports, uplink_bw
from shardplan.costs.communication.routing import routes_of
from shardplan.costs.communication.traffic import Traffic

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats, Ints
    from shardplan.simulation.timeline import Timeline


@dataclass(frozen=True, eq=False)
class LinkLoads:
    """Bytes per step in the fuller direction; W ranks, N hosts, P NIC ports, U uplinks.

    Attributes
    ----------
    scale_up_bytes, pcie_bytes : float arrays (W,)
        On each rank's scale-up links, and over PCIe to peers of its host.
    copied_bytes : float array (W,)
        Over PCIe from the host's memory to each rank.
    nic_bytes : float array (N,)
        On all NICs of each host.
    port_bytes : float array (P,)
        On each NIC, or bundle of NICs that belongs to a rank: the rails of a host.
    uplink_bytes : float array (U,)
        Between each leaf switch and the spine.
    scale_up_use, nic_use, uplink_use : float arrays (W,), (P,) and (U,)
        Of the line rate over the whole step [fraction].
    """

    scale_up_bytes: Floats
    pcie_bytes: Floats
    copied_bytes: Floats
    nic_bytes: Floats
    port_bytes: Floats
    uplink_bytes: Floats
    scale_up_use: Floats
    nic_use: Floats
    uplink_use: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return totals, most loaded links and their use as JSON-able data."""
        return {
            "scale_up_bytes_per_rank_mean": float(self.scale_up_bytes.mean()),
            "scale_up_bytes_per_rank_max": float(self.scale_up_bytes.max()),
            "pcie_bytes_per_rank_max": float(self.pcie_bytes.max()),
            "copied_bytes_per_rank_max": float(self.copied_bytes.max()),
            "nic_bytes_per_host_mean": float(self.nic_bytes.mean()),
            "nic_bytes_per_host_max": float(self.nic_bytes.max()),
            "nic_bytes_per_port_max": float(self.port_bytes.max()),
            "uplink_bytes_max": float(self.uplink_bytes.max(initial=0.0)),
            "scale_up_use_max": float(self.scale_up_use.max()),
            "nic_use_max": float(self.nic_use.max()),
            "uplink_use_max": float(self.uplink_use.max(initial=0.0)),
        }


def link_loads(
    evaluation: Evaluation, timeline: Timeline, step_time_s: float
) -> LinkLoads:
    """Add up what the operations of the steady step move over each link."""
    cluster = evaluation.cluster
    routes = routes_of(cluster)
    moved = Traffic.nothing(cluster.world_size, routes.num_uplinks)
    for run in timeline.steady_runs:
        if run.operation.traffic is not None:
            moved += run.operation.traffic
    port, port_bw = nic_ports(cluster)
    ports = _fuller(moved.nic, port, len(port_bw))
    uplink = moved.uplink.max(axis=0)
    up_bw = np.array([group.scale_up.bw for group in cluster.host_groups])
    own = (port_bw / np.bincount(port))[port]
    scale_up = moved.scale_up.max(axis=0)
    return LinkLoads(
        scale_up_bytes=scale_up,
        pcie_bytes=moved.pcie.max(axis=0),
        copied_bytes=moved.copied,
        nic_bytes=_fuller(moved.nic, cluster.rank_host, cluster.num_hosts),
        port_bytes=ports,
        uplink_bytes=uplink,
        scale_up_use=_use(scale_up, up_bw[cluster.rank_class], step_time_s),
        nic_use=_use(ports, port_bw, step_time_s),
        uplink_use=_use(uplink, uplink_bw(routes, own), step_time_s),
    )


def _fuller(load: Floats, link: Ints, count: int) -> Floats:
    """Bytes in the fuller direction of links that ranks share (count,)."""
    both = np.array([np.bincount(link, way, count) for way in load], float)
    return np.asarray(both.max(axis=0))


def _use(load: Floats, bandwidth: Floats, step_time_s: float) -> Floats:
    """Share of what a link could carry during the step; 0 without a link."""
    room = bandwidth * step_time_s
    return np.asarray(load / np.where(room > 0, room, np.inf))
