"""The records: what they reject, copy and write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shardplan.errors import Fault, InputError, ShardplanError, shorten
from shardplan.io.catalog import load_topology, load_workload
from shardplan.records.placement import (
    ColumnBlock,
    even_rows,
    format_ranks,
    parse_ranks,
    rows_each,
)
from shardplan.records.record import dump
from shardplan.records.tables import (
    CdfAccess,
    DType,
    EmbeddingTable,
    TableConstraints,
    UniformAccess,
    ZipfAccess,
)
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

VALID = Path(__file__).parents[1] / "data" / "valid"
WORKLOAD = load_workload(VALID / "workload.toml")
TOPOLOGY = load_topology(VALID / "topology.toml")


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=40).map(tuple))
def test_rank_text_round_trip(ranks: tuple[int, ...]) -> None:
    """Any list of ranks, in any order, reads back as it was written."""
    assert parse_ranks(format_ranks(ranks)) == ranks


@given(st.text(alphabet="0123456789-, ", max_size=9))
def test_rank_text_is_read_or_refused(text: str) -> None:
    """Text that is no rank list is a validation error and nothing else."""
    try:
        block = ColumnBlock(num_columns=1, ranks=text)  # type: ignore[arg-type]
    except ValidationError:
        return
    assert parse_ranks(format_ranks(block.ranks)) == block.ranks


@pytest.mark.parametrize(
    ("ranks", "text"),
    [((0, 1, 2, 3), "0-3"), ((7,), "7"), ((5, 1, 8, 9), "5,1,8-9"), ((3, 2), "3,2")],
)
def test_rank_text(ranks: tuple[int, ...], text: str) -> None:
    """Runs of consecutive ranks are written as first-last."""
    assert format_ranks(ranks) == text


def test_replace_validates() -> None:
    """A what-if copy is checked like a file is."""
    assert WORKLOAD.replace(global_batch_size=1).global_batch_size == 1
    with pytest.raises(ValidationError):
        WORKLOAD.replace(batch_size=1)
    with pytest.raises(ValidationError):
        WORKLOAD.replace(colour="blue")


def test_replace_keeps_what_is_set() -> None:
    """Copies do not turn unset constraints into set ones, which hide defaults."""
    default = TableConstraints(ranks=(1,))
    changed = WORKLOAD.replace(constraints=default)
    assert changed.table_constraints(changed.tables[0]).ranks == (1,)
    assert changed.table_constraints(changed.tables[2]).ranks == ()


def test_records_are_frozen() -> None:
    """A record cannot be changed in place."""
    with pytest.raises(ValidationError):
        WORKLOAD.name = "other"  # type: ignore[misc]


def test_set_constraints_differ_from_unset_ones() -> None:
    """An empty list that is set hides the default, so it is not equal to unset."""
    assert TableConstraints(ranks=()) != TableConstraints()
    assert TableConstraints(ranks=(1,)) == TableConstraints(ranks=(1,))
    assert TableConstraints() != "constraints"
    assert hash(TableConstraints(ranks=(1,))) == hash(TableConstraints(ranks=(1,)))


def test_constraints_over_a_default() -> None:
    """What a table sets wins, all else comes from the default."""
    default = TableConstraints(ranks=(1, 2), dtypes=(DType.FP16,))
    merged = TableConstraints(ranks=()).over(default)
    assert merged.ranks == ()
    assert merged.dtypes == (DType.FP16,)


@pytest.mark.parametrize("record", [WORKLOAD, TOPOLOGY])
def test_dump_round_trip(record: Workload | Topology) -> None:
    """What is written without defaults reads back equal."""
    data = json.loads(json.dumps(dump(record)))
    assert type(record).model_validate(data) == record


@pytest.mark.parametrize(
    "access",
    [UniformAccess(), ZipfAccess(alpha=1.0), CdfAccess(points=((0.1, 0.5),))],
)
def test_access_is_written_with_its_kind(access: Any) -> None:
    """The kind tells the reader which record it is, so it is never left out."""
    table = EmbeddingTable(name="a", num_embeddings=1, embedding_dim=1, access=access)
    assert dump(table)["access"]["kind"] == access.kind
    assert EmbeddingTable.model_validate(dump(table)) == table


@pytest.mark.parametrize("field", ["num_embeddings", "embedding_dim", "num_outputs"])
@pytest.mark.parametrize("value", ["12", True, 1.5, float("nan"), 2**4000, b"1", None])
def test_counts_are_whole_numbers(field: str, value: Any) -> None:
    """Text, booleans and fractions are never taken for a count."""
    data = {"name": "a", "num_embeddings": 1, "embedding_dim": 1, field: value}
    with pytest.raises(ValidationError):
        EmbeddingTable.model_validate(data)


def test_counts_may_be_written_as_floats() -> None:
    """``num_embeddings = 1e6`` is what people write for a million."""
    table = EmbeddingTable.model_validate(
        {"name": "a", "num_embeddings": 1e6, "embedding_dim": 8}
    )
    assert table.num_embeddings == 1_000_000


def test_batch_over_ranks() -> None:
    """A batch size per rank grows with the ranks; a global one does not."""
    per_rank = Workload.model_validate(
        {**dump(WORKLOAD), "global_batch_size": None, "batch_size": 8}
    )
    assert per_rank.batch_over(4) == 32
    assert WORKLOAD.batch_over(4) == 1024


def test_with_hosts() -> None:
    """Another number of hosts leaves everything else as it is."""
    assert TOPOLOGY.num_hosts == 2
    larger = TOPOLOGY.with_hosts(8)
    assert (larger.num_hosts, larger.world_size) == (8, 32)
    assert larger.with_hosts(2) == TOPOLOGY


def test_a_part_of_every_host_is_scaled() -> None:
    """All groups and named fields, beyond what machines have, and nothing else."""
    gpus = TOPOLOGY.host_groups[0]
    peak = gpus.device.replace(peak_flops={"fp32": 1e13, "tf32": 1e14})
    old = gpus.replace(name="old", device=peak)
    new = old.replace(name="new")
    mixed = TOPOLOGY.replace(host_groups=(new, old))
    fast = mixed.scaled("device.peak_flops", tf32=1e6, fp32=0.5)
    for before, after in zip(mixed.host_groups, fast.host_groups, strict=True):
        rates = before.device.peak_flops
        assert after.device.peak_flops.tf32 == 1e6 * rates.tf32 > 1e18
        assert after.device.peak_flops.fp32 == 0.5 * rates.fp32
        kept = after.device.replace(peak_flops=rates)
        assert after.model_copy(update={"device": kept}) == before
    links = mixed.scaled("scale_up", bw=1.25).host_groups[1].scale_up
    assert links.bw == 1.25 * old.scale_up.bw
    with pytest.raises(AttributeError):
        mixed.scaled("scale_up", bandwidth=2.0)


def test_changed_hosts_must_still_be_a_cluster() -> None:
    """A copy is checked as a whole."""
    ranks = TOPOLOGY.changed(lambda group: group.replace(num_hosts=3)).world_size
    assert ranks == 3 * TOPOLOGY.host_groups[0].local_world_size
    with pytest.raises(ValidationError, match="must reach other hosts"):
        TOPOLOGY.changed(lambda group: group.replace(scale_out={"nics_per_host": 0}))


@pytest.mark.parametrize(
    ("rows", "num_ranks", "sizes"),
    [(8, 4, (2, 2, 2, 2)), (7, 3, (3, 3, 1)), (5, 4, (2, 2, 1, 0)), (1, 1, (1,))],
)
def test_rows_are_cut_evenly(rows: int, num_ranks: int, sizes: Any) -> None:
    """The first ranks get ceil(rows / ranks), the last what is left."""
    assert rows_each(rows, num_ranks) == sizes[0]
    assert even_rows(rows, num_ranks) == sizes


def test_problem_text() -> None:
    """A problem names file, key, value and rule, and leaves out what is missing."""
    assert str(Fault("f", "a.b", "1", "is bad")) == "f: a.b = 1: is bad"
    assert str(Fault("f", "", "", "is bad")) == "f: is bad"


def test_input_error() -> None:
    """An input error has its problems, one bullet each, and exit code 1."""
    error = InputError([Fault("f", "a", "", "x"), Fault("f", "b", "", "y")])
    assert str(error) == "- f: a: x\n- f: b: y"
    assert error.exit_code == ShardplanError.exit_code == 1
    assert InputError.single("f", "a", None, "x").problems[0].value == ""


def test_values_are_shortened() -> None:
    """A value takes at most 60 characters of a message."""
    for value in ("x" * 1000, list(range(1000)), 10**1000, 2**50_000):
        assert len(shorten(value)) <= 60
