"""How long single collectives take, as nccl-tests would measure them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from shardplan.costs.cluster import Cluster
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import Scope
from shardplan.io.catalog import load_cost_model
from shardplan.records.host_group import Device, Host, HostGroup, ScaleOut, ScaleUp
from shardplan.records.topology import Fabric, Topology
from shardplan.records.torchrec_cost_model import measured
from shardplan.steps.network import Network
from shardplan.steps.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel
    from shardplan.records.network import NetworkModel

Collective = Literal["all_to_all", "all_gather", "reduce_scatter", "all_reduce"]
_WIDE = 1e13
"""A rate in whose way nothing is [bytes/s]."""


def collective_seconds(
    topology: Topology,
    cost_model: CostModel,
    collective: Collective,
    message_bytes: Iterable[float],
) -> Floats:
    """Return the times of a collective over all ranks [s].

    Parameters
    ----------
    message_bytes : iterable of float
        Sizes in nccl-tests' sense: what a rank sends in an all-to-all; the whole
        array in the others [bytes].

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md.
    """
    cluster = Cluster.of(topology)
    network = Network(cluster, ClassRates.of(cluster, cost_model), SimulationSettings())

    def seconds(size: float) -> float:
        if collective == "all_to_all":
            found = network.even_all_to_all(size)
        elif collective == "all_reduce":
            found = network.all_reduce(size)
        else:
            array = np.full(cluster.world_size, size)
            found = network.reduce(array, Scope.ALL)
        return float(found.seconds.max())

    return np.array([seconds(float(size)) for size in message_bytes])


@dataclass(frozen=True)
class Bench:
    """Even ranks on which a network is measured.

    On one host, the network joins the ranks by a switch; otherwise it is what is
    between the hosts.

    Attributes
    ----------
    line_bw : float
        Of one rank and one direction [bytes/s].
    inside : NetworkModel
        The network inside hosts, which reductions between hosts pass as well, at the
        line rate that it was measured at.
    """

    num_hosts: int
    ranks_per_host: int
    line_bw: float
    inside: NetworkModel


def bench_seconds(
    network: NetworkModel,
    bench: Bench,
    collective: Collective,
    message_bytes: Iterable[float],
) -> Floats:
    """Return the times of a collective on a network alone [s]."""
    topology = _topology(network, bench)
    return collective_seconds(topology, _cost_model(), collective, message_bytes)


@cache
def _cost_model() -> CostModel:
    """Return any that leaves networks to topologies."""
    return measured(load_cost_model("h100"))


def _topology(network: NetworkModel, bench: Bench) -> Topology:
    """Return a cluster whose links have no latency of their own to correct for."""
    between_hosts, ranks = bench.num_hosts > 1, bench.ranks_per_host
    near = bench.inside if between_hosts else network
    rates = [curve.line_bw for curve in near.reduce.curves] or [_WIDE]
    scale_up = ScaleUp(kind="none")
    if ranks > 1:
        scale_up = ScaleUp(
            kind="switch",
            domain_size=ranks,
            bw=max(rates) if between_hosts else bench.line_bw,
            network=near,
        )
    nics = ScaleOut(nics_per_host=ranks, nic_bw=bench.line_bw, rail_optimized=True)
    group = HostGroup(
        name="bench",
        num_hosts=bench.num_hosts,
        local_world_size=ranks,
        device=Device(name="rank", hbm_bytes=10**10, hbm_bw=_WIDE),
        host=Host(ddr_bytes=10**12, ddr_bw=_WIDE, pcie_bw=_WIDE),
        scale_up=scale_up,
        scale_out=nics if between_hosts else ScaleOut(),
    )
    return Topology(
        schema_version=1,
        name="bench",
        host_groups=(group,),
        fabric=Fabric(network=network if between_hosts else None),
    )
