"""Plan files and fingerprints."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.plans.plan import Plan
from shardplan.plans.plan_file import format_plan, write_plan
from shardplan.records.fingerprint import fingerprint, fingerprints
from shardplan.records.placement import ColumnBlock, TablePlacement, TierSplit
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.tables import DType, EmbeddingTable, TableConstraints
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload

PLAN_FILE = Path(__file__).parent.parent / "data" / "valid" / "plan.json"
PLAN = Plan.load(PLAN_FILE)


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    """Reading and writing a plan file gives the same bytes."""
    PLAN.save(tmp_path / "plan.json")
    assert (tmp_path / "plan.json").read_bytes() == PLAN_FILE.read_bytes()
    assert Plan.load(tmp_path / "plan.json") == PLAN


def test_one_line_per_table() -> None:
    """A placement is one line, and so is a table of the workload: diffs are short."""
    lines = [line.strip().rstrip(",") for line in format_plan(PLAN).splitlines()]
    names = [json.loads(line)["name"] for line in lines if line.startswith('{"name"')]
    assert names == ["a", "b", "c", "a", "b", "c"]


def test_stored_fingerprints_match_the_inputs() -> None:
    """The fingerprints of the file are those of the inputs in it."""
    assert fingerprints(PLAN.inputs) == PLAN.fingerprints


def test_fingerprints_tell_inputs_apart() -> None:
    """A change of any number changes the fingerprint."""
    workload = PLAN.inputs.workload
    assert fingerprint(workload) != fingerprint(
        workload.replace(global_batch_size=2048)
    )


def test_written_defaults_do_not_count() -> None:
    """A default that is written out means the same, so the fingerprint is the same."""
    topology = PLAN.inputs.topology
    explicit = Topology.model_validate(topology.model_dump())
    assert explicit.model_fields_set != topology.model_fields_set
    assert fingerprint(explicit) == fingerprint(topology)


def test_an_empty_constraint_counts() -> None:
    """`ranks = []` lifts the workload's default, so it must survive the plan file."""
    table = {"name": "a", "num_embeddings": 1, "embedding_dim": 1}
    base: dict[str, Any] = {"schema_version": 1, "name": "w", "batch_size": 1}
    base["constraints"] = {"ranks": [0]}
    plain = Workload.model_validate({**base, "tables": [table]})
    lifted = Workload.model_validate(
        {**base, "tables": [{**table, "constraints": {"ranks": []}}]}
    )
    assert fingerprint(plain) != fingerprint(lifted)
    again = Workload.model_validate(json.loads(lifted.model_dump_json()))
    assert again.table_constraints(again.tables[0]).ranks == ()


def reordered(data: Any, draw: st.DrawFn) -> Any:
    if isinstance(data, dict):
        keys = draw(st.permutations(list(data)))
        return {key: reordered(data[key], draw) for key in keys}
    if isinstance(data, list):
        return [reordered(item, draw) for item in data]
    return data


@st.composite
def shuffled_plans(draw: st.DrawFn) -> Any:
    return reordered(json.loads(PLAN_FILE.read_text()), draw)


@settings(max_examples=10, deadline=None)
@given(shuffled_plans())
def test_key_order_does_not_matter(data: Any) -> None:
    """Shuffled keys give the same record, the same fingerprints, the same bytes."""
    plan = Plan.model_validate(data)
    assert plan == PLAN
    assert fingerprints(plan.inputs) == PLAN.fingerprints
    assert format_plan(plan) == format_plan(PLAN)


names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12)
blocks = st.builds(
    ColumnBlock,
    column_offset=st.integers(0, 100),
    num_columns=st.integers(1, 100),
    ranks=st.lists(st.integers(0, 65_535), min_size=1, max_size=9).map(tuple),
    row_sizes=st.none() | st.lists(st.integers(0, 10**14), max_size=3).map(tuple),
)
placements = st.builds(
    TablePlacement,
    name=names,
    sharding_type=st.sampled_from(ShardingType),
    compute_kernel=st.sampled_from(ComputeKernel),
    dtype=st.sampled_from(DType),
    tiers=st.builds(TierSplit, hbm=st.floats(0, 1), ddr=st.floats(0, 1)),
    blocks=st.lists(blocks, min_size=1, max_size=3).map(tuple),
)
tables = st.builds(
    EmbeddingTable,
    name=names,
    num_embeddings=st.integers(1, 10**9),
    embedding_dim=st.integers(1, 1024),
    pooling_factor=st.floats(1e-3, 1e6),
    constraints=st.builds(
        TableConstraints,
        ranks=st.lists(st.integers(0, 9), max_size=2).map(tuple),
        cache_load_factor=st.none() | st.floats(0.01, 1),
    ),
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(placements, max_size=4, unique_by=lambda p: p.name),
    st.lists(tables, min_size=1, max_size=4, unique_by=lambda t: t.name),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    placed: list[TablePlacement],
    given_tables: list[EmbeddingTable],
) -> None:
    """Any plan that is written reads back equal, with the same bytes when rewritten."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    workload = PLAN.inputs.workload.replace(tables=given_tables, colocate=())
    inputs = PLAN.inputs.replace(workload=workload)
    plan = PLAN.replace(tables=placed, inputs=inputs)
    write_plan(plan, path)
    again = Plan.load(path)
    assert again == plan
    assert format_plan(again) == format_plan(plan)
    assert fingerprints(again.inputs) == fingerprints(plan.inputs)


def test_ten_thousand_tables(tmp_path: Path) -> None:
    """A plan of 10,000 tables is written and read in about a second."""
    count = 10_000
    many = [PLAN.inputs.workload.tables[0].replace(name=f"t{i}") for i in range(count)]
    workload = PLAN.inputs.workload.replace(tables=many, colocate=())
    placed = [PLAN.tables[0].replace(name=f"t{i}") for i in range(count)]
    plan = PLAN.replace(tables=placed, inputs=PLAN.inputs.replace(workload=workload))
    start = time.process_time()
    write_plan(plan, tmp_path / "plan.json")
    assert len(Plan.load(tmp_path / "plan.json").tables) == count
    assert time.process_time() - start < 4.0


def test_missing_plan(tmp_path: Path) -> None:
    """A plan that is not there is an input error that names the path."""
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        Plan.load(tmp_path / "nowhere.json")
