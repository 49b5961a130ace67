"""Numbers in the wrong unit are found, and the right one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from shardplan.errors import InputError
from shardplan.io import catalog
from shardplan.io.validate import validate
from shardplan.records.cost_model import CostModel
from shardplan.records.record import dump
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from shardplan.records.record import Record

SLIPS = [
    ("scale_out.nic_bw", 200, '"200 Gb/s" = 25e9'),
    ("scale_out.nic_bw", 25, '"25 Gb/s" = 3.125e9 or "25 GB/s" = 25e9'),
    ("scale_out.nic_bw", 200e3, '"200000 Mb/s" = 25e9 or "200000 MB/s" = 200e9'),
    ("scale_up.bw", 450, '"450 GB/s" = 450e9'),
    ("scale_up.latency_s", 0.6, '"0.6 us" = 600e-9'),
    ("scale_out.latency_s", 2700, '"2700 us" = 0.0027 or "2700 ns" = 2.7e-6'),
    ("device.hbm_bytes", 80, '"80 GB" = 80e9'),
    ("device.hbm_bytes", 81920, '"81920 MB" = 81.92e9'),
    ("device.hbm_bytes", 8 * 10**15, ""),
    ("device.hbm_bw", 3.35, '"3.35 TB/s" = 3.35e12'),
    ("device.hbm_bw", 3350, '"3350 GB/s" = 3.35e12'),
    ("device.hbm_bw", 3.35e15, ""),
    ("device.l2_bytes", 50, '"50 MB" = 50e6'),
    ("device.peak_flops.bf16", 989, '"989 TFLOP/s" = 989e12'),
    ("device.peak_flops.bf16", 989e15, ""),
    ("host.ddr_bytes", 2000, '"2000 GB" = 2e12'),
    ("host.ddr_bw", 614.4, '"614.4 GB/s" = 614.4e9'),
    ("host.pcie_bw", 63, '"63 GB/s" = 63e9'),
    ("host.ssd_bytes", 30.72e3, '"30720 GB" = 30.72e12'),
    ("host.ssd_read_bw", 55.3, '"55.3 GB/s" = 55.3e9'),
    ("host.ssd_read_iops", 1.24, '"1.24 MIOPS" = 1.24e6'),
    ("host.ssd_read_iops", 1240, '"1240 kIOPS" = 1.24e6'),
]


def changed(record: Record, path: str, value: object) -> dict[str, Any]:
    """Return a record's data with one value changed."""
    data: Any = dump(record)
    *groups, last = path.split(".")
    place = data["host_groups"][0] if isinstance(record, Topology) else data
    for name in groups:
        place = place.setdefault(name, {})
    place[last] = value
    return dict(data)


@pytest.mark.parametrize(("path", "value", "meant"), SLIPS)
def test_slips_in_topologies(path: str, value: float, meant: str) -> None:
    """A rate in Gb/s, a size in GB, a time in us: key, range, and what was meant."""
    with pytest.raises(InputError) as caught:
        validate(Topology, changed(ONE_HOST, path, value), "t.toml")
    (problem,) = caught.value.problems
    assert problem.key == f"host_groups[0].{path}"
    assert "must be in " in problem.rule
    assert ("did you mean" in problem.rule) == bool(meant)
    assert meant in problem.rule


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("lookup.forward_floor_s.value", 20, '"20 us" = 20e-6'),
        ("lookup.sort_s_per_id.value", 0.25, '"0.25 ns/id" = 250e-12'),
        ("lookup.forward_efficiency.value", 80, '"80 %" = 0.8'),
        ("memory.hbm_reserve_bytes.value", 1.5, '"1.5 GB" = 1.5e9'),
        ("runtime.step_overhead_s.value", 300, '"300 us" = 300e-6'),
    ],
)
def test_slips_in_cost_models(path: str, value: float, meant: str) -> None:
    """Coefficients are believed by their unit."""
    with pytest.raises(InputError) as caught:
        validate(CostModel, changed(COST_MODEL, path, value), "c.toml")
    (problem,) = caught.value.problems
    assert problem.key.startswith(path.rpartition(".")[0])
    assert f"did you mean {meant}" in problem.rule


@pytest.mark.parametrize(
    ("path", "unit", "rule"),
    [
        ("lookup.forward_floor_s", "fraction", "must have unit 's', not 'fraction'"),
        ("lookup.sort_s_per_id", "s", "must have unit 's/id', not 's'"),
        ("memory.hbm_reserve_bytes", "fraction", "must have unit 'bytes'"),
        ("dense.gemm_efficiency", "s", "must have unit 'fraction' or 'ratio'"),
    ],
)
def test_units_follow_names(path: str, unit: str, rule: str) -> None:
    """A coefficient whose name ends in a unit has that unit."""
    data = changed(COST_MODEL, f"{path}.unit", unit)
    data[path.split(".")[0]][path.split(".")[1]]["value"] = 0.5
    with pytest.raises(InputError, match=rule):
        validate(CostModel, data, "c.toml")


def test_text_in_every_kind_of_file() -> None:
    """Text with a unit means the number, and the record holds the number."""
    data = changed(ONE_HOST, "scale_out.nic_bw", "80 Gb/s")
    assert validate(Topology, data, "t.toml") == ONE_HOST
    data = changed(ONE_HOST, "device.hbm_bytes", "10 GB")
    assert dump(validate(Topology, data, "t.toml")) == dump(ONE_HOST)
    text = changed(COST_MODEL, "lookup.forward_floor_s.value", "20 us")
    assert validate(CostModel, text, "c.toml") == COST_MODEL
    data = changed(workload({}), "global_batch_size", "64 Ki")
    data["tables"][0]["num_embeddings"] = "1.5 M"
    found = validate(Workload, data, "w.toml")
    assert found.tables[0].num_embeddings == 1_500_000
    assert found.global_batch_size == 65_536


def test_no_hardware_is_no_slip() -> None:
    """Zero means that there is none; a cluster of toys is believed."""
    group = ONE_HOST.host_groups[0]
    assert group.host.replace(ssd_bytes=0).ssd_bytes == 0
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        group.device.replace(hbm_bytes=-80)


@pytest.mark.parametrize("name", catalog.names("topologies"))
def test_shipped_machines_are_far_from_the_limits(name: str) -> None:
    """Every shipped figure could be ten times larger or smaller and pass."""
    for group in catalog.load_topology(name).host_groups:
        for factor in (0.1, 10.0):
            host = group.host
            host.replace(ddr_bw=host.ddr_bw * factor, pcie_bw=host.pcie_bw * factor)
            if group.device.hbm_bw:
                group.device.replace(
                    hbm_bw=group.device.hbm_bw * factor,
                    hbm_bytes=int(group.device.hbm_bytes * factor),
                )
            if group.scale_out.nic_bw:
                group.scale_out.replace(nic_bw=group.scale_out.nic_bw * factor)
