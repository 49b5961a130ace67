"""Closed forms of the all-reduce over all ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.all_reduce import all_reduce_seconds
from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.communication.link_time import efficiency
from shardplan.io.catalog import load_cost_model, load_network, load_topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology

MODEL = load_cost_model("h100")
HOST = load_topology("dgx-h100")
FAR = load_network("infiniband-rail")
LARGE = 1e12  # so large that latency does not count


def seconds(topology: Topology, size: float, model: CostModel = MODEL) -> float:
    return float(times(size, Cluster.of(topology), model))


def times(sizes: ArrayLike, cluster: Cluster, model: CostModel) -> Floats:
    return all_reduce_seconds(sizes, Collectives.of(cluster, model))


def test_inside_a_switched_host() -> None:
    """The measured time of 8 ranks, where 2 * 7/8 of the array pass each NVLink."""
    link = load_network("nvlink4").all_reduce
    assert link is not None
    (curve,) = [one for one in link.curves if one.num_ranks == 8]
    for sent, time in zip(curve.sent_bytes, curve.time_s, strict=True):
        assert seconds(HOST, sent / (2 * 7 / 8)) == pytest.approx(time)


def test_over_pcie() -> None:
    """Without NVLink, two ranks share a PCIe link, at the efficiency of rings."""
    reduce = load_network("pcie5").reduce
    peak = 63e9 / 2 * efficiency(reduce, 8)
    time = seconds(load_topology("h100-pcie"), LARGE)
    assert time == pytest.approx(2 * 7 / 8 * LARGE / peak, rel=0.01)


def test_ring_between_hosts() -> None:
    """2 (1/8 - 1/32) of the array passes each rank's NIC."""
    peak = 50e9 * FAR.reduce.bw_efficiency.value
    time = seconds(load_topology("dgx-h100", 4), LARGE)
    assert time == pytest.approx(2 * (1 / 8 - 1 / 32) * LARGE / peak, rel=0.03)


def test_switches_that_add_up() -> None:
    """Each NIC sends its host's share once, and latency is that of one way."""
    topology = load_topology("dgx-h100", 4)
    fabric = topology.fabric.replace(in_network_reduction=True)
    sharp = topology.replace(fabric=fabric)
    assert seconds(sharp, 1e3) < seconds(topology, 1e3) / 1.5
    assert seconds(sharp, LARGE) < seconds(topology, LARGE)


def test_latency_grows_with_a_domain() -> None:
    """A domain of 64 has three doublings over 8 ranks."""
    b200 = load_cost_model("b200")
    small = seconds(load_topology("gb200-nvl72", 2), 1.0, b200)
    large = seconds(load_topology("gb200-nvl72", 16), 1.0, b200)
    growth = load_network("nvlink5-nvl72").latency_growth
    assert growth is not None
    assert large / small == pytest.approx(1 + 3 * growth.value, rel=0.01)


def test_one_rank_needs_nothing() -> None:
    """A rank alone has nobody to reduce with."""
    topology = load_topology("dgx-h100")
    group = topology.host_groups[0]
    up = {"kind": "none"}
    alone = group.replace(local_world_size=1, scale_up=up)
    assert seconds(topology.replace(host_groups=(alone,)), 1e9) == 0.0


def test_monotone_in_bytes() -> None:
    """More bytes take longer."""
    sizes = np.logspace(0, 10, 50)
    found = times(sizes, Cluster.of(load_topology("dgx-h100", 2)), MODEL)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("adds_up", [False, True])
def test_the_smallest_leaf_bounds_a_ring(
    make_cluster: Callable[..., Cluster], cost_model: CostModel, adds_up: bool
) -> None:
    """Three hosts, two per leaf, 4:1: the last leaf has a quarter of a host's NICs.

    Of S bytes 2 (1/4 - 1/12) pass each NIC of a ring, 1/4 where switches add up;
    found by the search of tests/simulation/test_adversarial.py.
    """
    fabric = {
        "hosts_per_leaf": 2,
        "oversubscription": 4.0,
        "in_network_reduction": adds_up,
    }
    cluster = make_cluster(num_hosts=3, fabric=fabric)
    share = 0.25 if adds_up else 2 * (1 / 4 - 1 / 12)
    expected = LARGE * share * 4 / (1e10 * 0.6)
    assert float(times(LARGE, cluster, cost_model)) == pytest.approx(expected, rel=1e-3)
