"""Every shipped topology, cost model and workload: valid, sourced, and as published."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.errors import InfeasibleError
from shardplan.io.catalog import load_cost_model, load_topology, load_workload, names
from shardplan.planning.planner import solve
from shardplan.records.coefficient import Coefficient
from shardplan.records.record import Record
from shardplan.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.host_group import HostGroup
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

ROOT = Path(__file__).resolve().parents[2]


def shipped(kind: str) -> list[str]:
    """Return the names of the entries of a catalogue in this checkout."""
    return sorted(path.stem for path in (ROOT / kind).glob("*.toml"))


TOPOLOGIES = {
    "zionex": 128,
    "zion-v100": 8,
    "dgx-a100-40": 8,
    "dgx-a100-80": 8,
    "dgx-h100": 8,
    "hgx-h100-mesh4": 4,
    "h100-pcie": 8,
    "dgx-h200": 8,
    "h200-nvl": 4,
    "dgx-b200": 8,
    "hgx-b300": 8,
    "gb200-nvl72": 72,
    "gb300-nvl72": 72,
    "h20": 8,
    "cots-hpc": 64,
    "mi300x": 8,
    "mi325x": 8,
    "mi350x": 8,
    "mi355x": 8,
    "a100-pcie-box": 8,
    "cpu-host": 2,
}
"""Required names, with their ranks."""
MEASURED = (
    *("v100", "a100", "h100", "h200", "h20", "b200", "b300"),
    *("mi300x", "mi350x", "cpu"),
)
COST_MODELS = (*MEASURED, "torchrec")
PARAMETERS = {
    # mlcommons/training: 204,184,588 rows of 128 columns.
    "dlrm-dcnv2": 26_135_627_264,
    # NVIDIA slot_size_array: 187,767,399 rows of 128 columns.
    "dlrm-v1": 24_034_227_072,
    # 33,762,577 rows of 16 columns.
    "criteo-kaggle": 540_201_232,
    "criteo-tb": 22_776_867_200,
    # distributed-embeddings README: 4.2, 26.3, 206.2 and 22,327.4 GiB of fp32.
    "merlin-tiny": 1_123_681_280,
    "merlin-small": 7_058_084_800,
    "merlin-medium": 55_349_145_600,
    "merlin-colossal": 5_993_472_032_000,
    # Neo, arXiv 2104.05158; within 1e-6 for generated tables.
    "neo-a": 793_000_000_000,
    "neo-f": 12_000_000_000_000,
    "neo-i": 332_000_000_000,
    "hugectr-200": 103_861_888_000,
    "dlrm-s": 512_000_000,
    "deeprecsys-rm1": 1_024_000_000,
    "deeprecsys-rm2": 1_024_000_000,
    "deeprecsys-rm3": 640_000_000,
    "deeprecsys-din": 675_200_000,
    "deeprecsys-dien": 976_000_000,
    "deeprecsys-mtwnd": 976_000_000,
    "deeprecsys-ncf": 21_504_000,
    "deeprecsys-wide-and-deep": 864_000_000,
    "avazu": 1_209_498_240,
    "movielens-ncf": 14_023_424,
    # LightLDA, arXiv 1412.1576: a trillion; SaberLDA, arXiv 1610.02496.
    "lightlda": 1_000_000_000_000,
    "saberlda": 1_000_000_000,
    # Stergiou et al., AAAI 2017: 800 GB of fp32.
    "word2vec-yahoo": 200_000_000_000,
    "torcheasyrec-dlrm": 3_266_953_408,
    "torcheasyrec-dbmtl": 71_421_312,
    # NVIDIA/recsys-examples: 177,944,275 rows of 128 columns.
    "embedding-collection": 22_776_867_200,
    # The same Criteo tables as dlrm-dcnv2, and Taobao's with and without sequences.
    "wukong": 26_135_627_264,
    "mmoe": 50_280_976,
    "din": 71_421_312,
    # MovieLens 20M: 131,263 rows of 256 columns.
    "sasrec": 33_603_328,
    "hstu-large": 33_603_328,
    # 293,051,712 rows of 512 columns.
    "dlrm-v4": 150_042_476_544,
    "dlrm-v4-last-row": 150_042_476_544,
}
"""Required workloads, with the parameters of their tables."""


@pytest.mark.parametrize("name", shipped("topologies"))
def test_topology_is_valid(name: str) -> None:
    """A topology loads, and has the name of its file."""
    assert load_topology(str(ROOT / "topologies" / f"{name}.toml")).name == name


@pytest.mark.parametrize("workload", ["dlrm-s", "torcheasyrec-dbmtl"])
@pytest.mark.parametrize("name", shipped("topologies"))
def test_topology_plans_without_a_warning(name: str, workload: str) -> None:
    """Two hosts of every kind run the whole line; numpy's warnings are errors here."""
    plan = solve(workload, f"{name}:2", solver="greedy").plan
    assert check(plan) == ()
    assert 0 < simulate(plan).step_time_s < 1


@pytest.mark.parametrize("name", shipped("cost_models"))
def test_cost_model_is_valid(name: str) -> None:
    """A cost model loads, and has the name of its file."""
    assert load_cost_model(str(ROOT / "cost_models" / f"{name}.toml")).name == name


@pytest.mark.parametrize("name", shipped("workloads"))
def test_workload_is_valid(name: str) -> None:
    """A workload loads with its tables file, and has the name of its file."""
    workload = load_workload(str(ROOT / "workloads" / f"{name}.toml"))
    assert workload.name == name
    assert workload.sources


def test_required_names_are_shipped() -> None:
    """The catalogues have exactly the entries that the tests know."""
    assert shipped("topologies") == sorted(TOPOLOGIES)
    assert shipped("cost_models") == sorted(COST_MODELS)
    assert shipped("workloads") == sorted(PARAMETERS)


def test_readmes_name_every_entry() -> None:
    """An entry that is shipped is in the table of its catalogue's README."""
    for kind in ("topologies", "cost_models", "workloads"):
        text = (ROOT / kind / "README.md").read_text(encoding="utf-8")
        assert [n for n in shipped(kind) if f"`{n}`" not in text] == []
    text = (ROOT / "cost_models" / "README.md").read_text(encoding="utf-8")
    assert [n for n in names("networks") if f"`{n}`" not in text] == []


@pytest.mark.parametrize(("name", "world_size"), TOPOLOGIES.items())
def test_world_size(name: str, world_size: int) -> None:
    """A topology has the ranks of the machine by default."""
    assert load_topology(name).world_size == world_size


def test_host_count_is_given_at_use() -> None:
    """One file serves any number of hosts."""
    assert load_topology("zionex:1").world_size == 8
    assert load_topology("dgx-h100:16").world_size == 128
    assert load_topology("gb200-nvl72:36").world_size == 144


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_cost_model_of_topology_is_shipped(name: str) -> None:
    """The cost model that a topology names exists."""
    assert load_topology(name).cost_model in COST_MODELS


def _without_source(topology: Topology, data: dict[str, Any]) -> Iterator[str]:
    """Yield the numbers written in the file that no source covers."""
    for group, raw in zip(topology.host_groups, data["host_groups"], strict=True):
        for section in ("device", "host", "scale_up", "scale_out"):
            yield from _uncovered(section, raw.get(section, {}), group)
    yield from _uncovered("fabric", data.get("fabric", {}), topology)


def _uncovered(
    section: str, raw: dict[str, Any], owner: HostGroup | Topology
) -> Iterator[str]:
    sources = getattr(owner, section).sources
    for key, value in raw.items():
        if key == "sources" or isinstance(value, str):
            continue
        if not sources.get(key, sources.get("*", "")).strip():
            yield f"{section}.{key}"


REPORTED_MIB = {
    "zion-v100": 32_768,
    "dgx-a100-40": 40_960,
    "zionex": 40_960,
    "dgx-a100-80": 81_920,
    "a100-pcie-box": 81_920,
    "dgx-h100": 81_559,
    "hgx-h100-mesh4": 81_559,
    "h100-pcie": 81_559,
    "dgx-h200": 143_771,
    "h200-nvl": 143_771,
    "dgx-b200": 183_359,
    "gb200-nvl72": 189_471,
    "hgx-b300": 275_040,
    "gb300-nvl72": 284_208,
    "h20": 97_871,
    "mi300x": 196_592,
    "mi325x": 262_128,
    "mi350x": 294_896,
    "mi355x": 294_896,
}
"""What nvidia-smi or rocm-smi reports as the memory of a device."""


@pytest.mark.parametrize(("name", "mib"), REPORTED_MIB.items())
def test_capacity_is_what_the_device_reports(name: str, mib: int) -> None:
    """Data sheets round down to decimal gigabytes that no device has."""
    assert load_topology(name).host_groups[0].device.hbm_bytes == mib * 2**20


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_host_memory_is_binary(name: str) -> None:
    """DIMMs have whole GiB."""
    assert load_topology(name).host_groups[0].host.ddr_bytes % 2**30 == 0


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_drives_are_drives(name: str) -> None:
    """Reads of 4 KiB fill most of the bandwidth of drives, and never more than all."""
    host = load_topology(name).host_groups[0].host
    if host.ssd_bytes:
        share = host.ssd_read_iops * 4096 / host.ssd_read_bw
        assert 0.5 < share < 1
        assert host.ssd_write_bw < host.ssd_read_bw
        # PCI Express 4.0 x4, and drives of 1 TB at least.
        assert host.ssd_read_bw < 8e9 * host.ssd_bytes / 1e12


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_number_of_a_topology_has_a_source(name: str) -> None:
    """A source, or the word "assumed", covers each number of a topology."""
    text = (ROOT / "topologies" / f"{name}.toml").read_text(encoding="utf-8")
    assert list(_without_source(load_topology(name), tomllib.loads(text))) == []


def _coefficients(value: object) -> Iterator[Coefficient]:
    if isinstance(value, Coefficient):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _coefficients(item)
    elif isinstance(value, Record):
        for field in type(value).model_fields:
            yield from _coefficients(getattr(value, field))


@pytest.mark.parametrize("name", COST_MODELS)
def test_measured_coefficients_have_a_date(name: str) -> None:
    """A coefficient has the day on which its source was read, unless it is assumed."""
    found = list(_coefficients(load_cost_model(name)))
    assert len(found) > 14
    undated = [c for c in found if not c.source.startswith("assumed") and not c.date]
    assert undated == []


def _leaves(data: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and not {"value", "source"} & set(value):
            yield from _leaves(value, here)
        else:
            yield here, value


def _number(value: Any) -> Any:
    """Return what a coefficient, a curve or a list of them says, without sources."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, dict):
        said = {"source", "date"}
        return {k: _number(v) for k, v in value.items() if k not in said}
    return value


def _families() -> list[tuple[str, Path, Path]]:
    """Return key, heir and ancestor of all that two files of a family both say."""
    files = {p.stem: p for p in (ROOT / "cost_models").glob("*.toml")}
    files |= {p.stem: p for p in (ROOT / "cost_models" / "parts").glob("*.toml")}
    texts = {n: tomllib.loads(p.read_text("utf-8")) for n, p in files.items()}
    found = []
    for name, data in texts.items():
        own, above = dict(_leaves(data)), data.get("inherits")
        while above is not None:
            lent = dict(_leaves(texts[above]))
            both = {k for k in own if k in lent and k != "schema_version"}
            found += [
                (key, files[name], files[above])
                for key in sorted(both)
                if _number(own[key]) == _number(lent[key])
            ]
            above = texts[above].get("inherits")
    return found


def test_no_coefficient_stands_twice() -> None:
    """What a cost model inherits it does not repeat."""
    assert _families() == []


def test_software_is_the_same_everywhere() -> None:
    """Parts lend their sources as they are: nobody measured them on one device."""
    for name in MEASURED:
        metadata = load_cost_model(name).memory.cache_metadata_bytes_per_row
        assert metadata.source.startswith("pytorch/torchrec")


@pytest.mark.parametrize("name", MEASURED)
def test_fractions_are_fractions(name: str) -> None:
    """Only in-place reads of host memory, which hit caches, may exceed 1."""
    model = load_cost_model(name)
    above = {
        c.value for c in _coefficients(model) if c.unit == "fraction" and c.value > 1
    }
    assert above <= {model.host_memory.uvm_forward_efficiency.value}


def _parameters(workload: Workload) -> int:
    return sum(t.num_embeddings * t.embedding_dim for t in workload.tables)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameters_are_as_published(name: str, parameters: int) -> None:
    """The tables of a workload add up to the published total."""
    tolerance = 1e-6 if name in ("neo-a", "neo-i") else 0.0
    assert _parameters(load_workload(name)) == pytest.approx(parameters, rel=tolerance)


@pytest.mark.parametrize(
    ("workload", "topology"),
    [
        ("saberlda", "cots-hpc"),
        ("lightlda", "mi350x:2"),
        ("word2vec-yahoo", "mi300x"),
        ("word2vec-yahoo", "cpu-host:4"),
    ],
)
def test_models_of_the_literature_fit(workload: str, topology: str) -> None:
    """They are planned, checked and simulated on machines that hold them."""
    result = solve(workload, topology, solver="greedy")
    assert check(result.plan) == ()
    step_s = simulate(result.plan).step_time_s
    assert 0 < result.lower_bound_s <= step_s < 1


@pytest.mark.parametrize(
    ("workload", "topology", "needed"),
    [("lightlda", "mi350x", r"4\.0 T"), ("word2vec-yahoo", "dgx-h100", r"80\d\.")],
)
def test_what_they_need_does_not_fit_everywhere(
    workload: str, topology: str, needed: str
) -> None:
    """A trillion counts need a second box, and 800 GB more than 640 GB."""
    limits = {"compute_kernels": ["fused"]}
    model = load_workload(workload).replace(constraints=limits)
    with pytest.raises(InfeasibleError, match=f"HBM short.*need at least {needed}"):
        solve(model, topology, solver="greedy")


def test_dlrm_dcnv2() -> None:
    """DLRM-DCNv2 is the model of the MLPerf rules and of NVIDIA's submissions."""
    workload = load_workload("dlrm-dcnv2")
    assert len(workload.tables) == 26
    assert sum(t.pooling_factor for t in workload.tables) == 214
    assert {t.embedding_dim for t in workload.tables} == {128}
    assert workload.global_batch_size == 65_536
    assert workload.comm_dtypes.forward == workload.comm_dtypes.backward == "fp16"
    assert workload.dense.dcn_num_layers == 3
    assert workload.dense.dcn_low_rank_dim == 512


def test_merlin_colossal_size() -> None:
    """The largest Merlin model has 22,327 GiB in 2,002 tables, as its README says."""
    workload = load_workload("merlin-colossal")
    assert len(workload.tables) == 2002
    assert _parameters(workload) * 4 / 2**30 == pytest.approx(22_327.4, abs=0.1)


@pytest.mark.parametrize(
    ("name", "num_tables", "dim", "pooling"),
    [("neo-a", 4096, 93, 15), ("neo-f", 64, 256, 20), ("neo-i", 512, 92, 70)],
)
def test_neo_averages(name: str, num_tables: int, dim: int, pooling: int) -> None:
    """The tables of a Neo model have the published averages."""
    tables = load_workload(name).tables
    assert len(tables) == num_tables
    assert sum(t.embedding_dim for t in tables) == num_tables * dim
    mean = sum(t.pooling_factor for t in tables) / num_tables
    assert mean == pytest.approx(pooling, rel=1e-9)
    assert all(t.embedding_dim % 4 == 0 and t.dtype == "fp16" for t in tables)
    assert min(t.embedding_dim for t in tables) >= 4
    assert max(t.embedding_dim for t in tables) <= 384


@pytest.mark.parametrize(
    ("name", "mflops"), [("neo-a", 638), ("neo-f", 5), ("neo-i", 60)]
)
def test_neo_dense_work(name: str, mflops: int) -> None:
    """Dense layers take the published 2 * weights operations per sample, within 1 %."""
    dense = load_workload(name).dense
    widths = (dense.num_dense, *dense.bottom_mlp, *dense.top_mlp)
    weights = sum(a * b for a, b in pairwise(widths))
    assert 2e-6 * weights == pytest.approx(mflops, rel=0.01)


def test_neo_f_fits_on_zionex() -> None:
    """12e12 fp16 parameters with row-wise Adagrad fit in 16 hosts, as Neo reports."""
    topology, model = load_topology("zionex:16"), load_cost_model("a100")
    group, memory = topology.host_groups[0], model.memory
    rank = group.device.hbm_bytes * (1 - memory.hbm_reserve_fraction.value)
    rank -= memory.hbm_reserve_bytes.value
    host = group.host.ddr_bytes * (1 - memory.ddr_reserve_fraction.value)
    rows = sum(t.num_embeddings for t in load_workload("neo-f").tables)
    # 2 bytes per element, 4 per row of state: 24.2e12 of 26.3e12 bytes.
    needed = 2 * 12_000_000_000_000 + 4 * rows
    usable = topology.world_size * rank + topology.num_hosts * host
    assert needed < 0.95 * usable
