"""Single collectives, as nccl-tests would measure them."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io.catalog import load_cost_model, load_network, load_topology
from shardplan.records.torchrec_cost_model import measured
from shardplan.simulation.collective_times import (
    Bench,
    Collective,
    bench_seconds,
    collective_seconds,
)

SIZES = [2.0**10, 2.0**20, 2.0**30]
BUS = {"all_to_all": 1.0, "all_gather": 1.0, "reduce_scatter": 1.0, "all_reduce": 2.0}


@pytest.mark.parametrize("collective", BUS)
@pytest.mark.parametrize("ranks", [2, 8])
def test_a_domain_gives_its_curve_back(collective: Collective, ranks: int) -> None:
    """At measured sizes the time is the measured one."""
    network = load_network("nvlink4")
    reduces = collective in ("all_gather", "reduce_scatter")
    link = network.reduce if reduces else getattr(network, collective)
    curve = next(c for c in link.curves if c.num_ranks == ranks)
    sizes = np.array(curve.sent_bytes) / (BUS[collective] * (ranks - 1) / ranks)
    bench = Bench(1, ranks, curve.line_bw, load_network("nvlink3"))
    found = bench_seconds(network, bench, collective, sizes)
    assert found == pytest.approx(curve.time_s, rel=1e-6)


@pytest.mark.parametrize("collective", BUS)
def test_a_bench_of_hosts_is_the_shipped_cluster(collective: Collective) -> None:
    """Between hosts nothing but the NICs counts, as in a DGX on rails."""
    topology = load_topology("dgx-h100", 4)
    model = measured(load_cost_model("h100"))
    expected = collective_seconds(topology, model, collective, SIZES)
    network = load_network("infiniband-rail")
    found = bench_seconds(
        network, Bench(4, 8, 50e9, load_network("nvlink4")), collective, SIZES
    )
    assert found == pytest.approx(expected, rel=1e-6)


def test_one_rank_per_host() -> None:
    """Hosts of one rank have no domain, and all that a rank sends leaves it."""
    network = load_network("infiniband-rail")
    bench = Bench(2, 1, 50e9, load_network("nvlink4"))
    (time,) = bench_seconds(network, bench, "all_to_all", [2.0**34])
    sent = 2.0**33 / (50e9 * network.all_to_all.bw_efficiency.value)
    assert time == pytest.approx(sent, rel=0.05)


@pytest.mark.parametrize("layout", ["inside", "across"])
@pytest.mark.parametrize("ranks", [2, 4, 8])
@pytest.mark.parametrize("collective", BUS)
def test_few_ranks_of_a_full_mesh_have_their_own_links_only(
    collective: Collective, ranks: int, layout: str
) -> None:
    """Of the seven links of 76.8 GB/s of an MI350X, g ranks use g - 1."""
    box = load_topology("mi350x").sharding_group(ranks, layout)
    alone = box.replace(replication=None)
    model = measured(load_cost_model("mi350x"))
    network = load_network("infinity-fabric-mi350")
    link = network.all_to_all if collective == "all_to_all" else network.reduce
    size = 2.0**30
    sent = BUS[collective] * size * (ranks - 1) / ranks
    wire_s = sent / ((ranks - 1) * 76.8e9 * link.bw_efficiency.value)
    p = link.exponent.value
    expected = (link.latency_s.value**p + wire_s**p) ** (1 / p)
    (found,) = collective_seconds(alone, model, collective, [size])
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "collective", "time_s"),
    [
        # ROCm/system-acceptance-docs: outputs of all_reduce_perf, out of place.
        ("mi300x", "all_reduce", 0.047488),
        ("mi350x", "all_reduce", 0.041644),
        # ROCm/cvs: 340 GB/s of seven eighths of the array.
        ("mi355x", "all_to_all", 2**33 * 7 / 8 / 340e9),
    ],
)
def test_boxes_of_amd_take_what_amd_publishes(
    name: str, collective: Collective, time_s: float
) -> None:
    """8 GiB on the eight ranks of one box."""
    box = load_topology(name)
    assert box.cost_model is not None
    model = measured(load_cost_model(box.cost_model))
    (found,) = collective_seconds(box, model, collective, [2.0**33])
    assert found == pytest.approx(time_s, rel=0.02)
