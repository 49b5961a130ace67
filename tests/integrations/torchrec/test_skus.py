"""SKUs have the numbers of the topologies, per rank and in TorchRec's units."""

from __future__ import annotations

from typing import Any

import pytest
from torchrec.distributed.planner.types import BasicCommsBandwidths, CollectiveType

from shardplan.errors import InputError
from shardplan.integrations.torchrec.skus import (
    SKUS,
    DomainBandwidths,
    Sku,
    sku_topology,
)
from shardplan.io.catalog import load_topology, names
from tests.integrations.torchrec.instances import cluster


def built(sku: str, world: int, local: int, **options: Any) -> Any:
    """Build the topology of a job."""
    found = Sku.of(sku)
    hardware = {**found.hardware(local), **options.pop("hardware", {})}
    return sku_topology(
        found, hardware, world_size=world, local_world_size=local, **options
    )


@pytest.mark.parametrize("name", [*SKUS, *names("topologies")])
def test_every_name_has_one_kind_of_machine(name: str) -> None:
    """All can be planned for: there is memory, and a rate to other ranks."""
    found = Sku.of(name)
    hardware = found.hardware()
    memory = "ddr" if found.compute_device == "cpu" else "hbm"
    assert hardware[f"{memory}_cap_bytes"] > 2**30
    assert hardware["intra_host_bw"] > 0
    assert hardware["inter_host_bw"] > 0


def test_h100_has_its_own_numbers() -> None:
    """80 GB, 3.35 TB/s, 450 GB/s by NVLink, 50 GB/s by NIC; 2 TiB of DDR by eight."""
    topology = built("H100", 16, 8)
    assert topology.devices[0].storage.hbm == 85_520_809_984
    assert topology.devices[0].storage.ddr == 2 * 2**40 // 8
    assert topology.hbm_mem_bw == pytest.approx(3.35e9)
    assert topology.intra_host_bw == pytest.approx(450e6)
    assert topology.inter_host_bw == pytest.approx(50e6)
    assert (topology.world_size, topology.intra_group_size) == (16, 8)
    assert topology.compute_device == "cuda"


def test_a_host_that_is_used_in_part_keeps_its_ranks_parts() -> None:
    """Four of eight ranks have four eighths of the host's memory."""
    assert built("H100", 4, 4).devices[0].storage.ddr == 2 * 2**40 // 8


@pytest.mark.parametrize(("local", "links"), [(8, 7), (4, 3), (2, 1), (1, 7)])
def test_few_ranks_of_a_mesh_have_the_links_among_them(local: int, links: int) -> None:
    """Each of the seven links of an MI300X has 64 GB/s, and leads to one peer."""
    topology = built("MI300X", 16 * local, local)
    assert topology.devices[0].storage.hbm == 206_141_652_992
    assert topology.intra_host_bw == pytest.approx(links * 64e6)
    assert topology.inter_host_bw == pytest.approx(50e6)


@pytest.mark.parametrize("name", ["dgx-h100", "DGX_H100", "h100", "GrandTeton"])
def test_spelling_does_not_count(name: str) -> None:
    """Letters' case, - and _ do not."""
    assert Sku.of(name).topology.name == "dgx-h100"


def test_unknown_names_are_refused_with_the_known() -> None:
    """Not planned as something else."""
    with pytest.raises(
        InputError, match=r"sku = 'XPU9': must be one of: A100, .*ZIONEX"
    ):
        Sku.of("XPU9")


def test_a_site_names_its_own() -> None:
    """Also in place of a known one; a mixed cluster is no SKU."""
    own = cluster(hbm_bytes=7 * 10**9)
    assert Sku.of("h100", {"H100": own}).hardware()["hbm_cap_bytes"] == 7 * 10**9
    first = own.host_groups[0]
    mixed = own.replace(host_groups=(first, first.replace(name="others")))
    with pytest.raises(InputError, match="one kind of host"):
        Sku.of("MIXED", {"MIXED": mixed})


def test_nvlink_of_a_rack_reaches_all_its_hosts() -> None:
    """72 GPUs of a GB200 rack talk at 900 GB/s; a second rack at the NICs' 50."""
    rack, two = built("GB200", 72, 4), built("GB200", 144, 4)
    assert (rack.intra_group_size, two.intra_group_size) == (72, 72)
    kind = CollectiveType.ALL_TO_ALL

    def rate(topology: Any, local: int, world: int) -> float:
        return float(topology.comms_bandwidths.get_bw(local, world, kind))

    assert rate(rack, 4, 72) == pytest.approx(900e6)
    assert rate(two, 4, 144) == pytest.approx(50e6)
    assert rate(two, 1, 2) == pytest.approx(50e6)
    reduces = CollectiveType.ALL_REDUCE
    plain = BasicCommsBandwidths(intra_host_bw=900e6, inter_host_bw=50e6)
    domain = DomainBandwidths(72, intra_host_bw=900e6, inter_host_bw=50e6)
    assert domain.get_bw(4, 72, reduces) == plain.get_bw(4, 72, reduces)


def test_pods_are_what_the_request_says() -> None:
    """Fewer hosts than the links reach are a pod of their own."""
    assert built("GB200", 72, 4, pod_size=2).intra_group_size == 8
    assert built("GB200", 80, 4).intra_group_size == 40  # of 20 hosts; a rack has 18
    assert built("H100", 16, 8, pod_size=1).intra_group_size == 8


@pytest.mark.parametrize(
    ("sku", "world", "local", "options", "rule"),
    [
        ("H100", 16, 16, {}, "join at most 8 ranks"),
        ("H100", 16, 8, {"pod_size": 2}, "at most 1 of 8 ranks"),
        ("GB200", 144, 4, {"pod_size": 19}, "at most 18 of 4 ranks"),
        ("H100", 8, 8, {"hardware": {"intra_host_bw": 0.0}}, "must be above 0"),
    ],
)
def test_machines_that_do_not_exist(
    sku: str, world: int, local: int, options: dict[str, Any], rule: str
) -> None:
    """Are refused, where TorchRec plans for them."""
    with pytest.raises(InputError, match=rule):
        built(sku, world, local, **options)


def test_cpus() -> None:
    """Ranks are sockets, without HBM."""
    topology = built("CPU", 4, 2)
    host = load_topology("cpu-host").host_groups[0].host
    assert topology.compute_device == "cpu"
    assert topology.devices[0].storage.hbm == 0
    assert topology.devices[0].storage.ddr == host.ddr_bytes // 2
    assert topology.ddr_mem_bw == pytest.approx(host.ddr_bw / 2 / 1000)
