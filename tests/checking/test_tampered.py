"""A corpus of plans with one thing changed, each caught by the right rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.plans.plan import Plan
from shardplan.records.fingerprint import fingerprints
from tests.helpers import assert_plan_valid

if TYPE_CHECKING:
    from collections.abc import Callable

    Tamper = Callable[[dict[str, Any]], None]


def block(table: str, index: int = 0, **changes: Any) -> Tamper:
    return lambda data: _table(data, table)["blocks"][index].update(changes)


def blocks(table: str, *new: tuple[int, int, str]) -> Tamper:
    keys = ("column_offset", "num_columns", "ranks")
    made = [dict(zip(keys, b, strict=True)) for b in new]
    return lambda data: _table(data, table).update(blocks=made)


def table(name: str, /, **changes: Any) -> Tamper:
    return lambda data: _table(data, name).update(changes)


def outcome(**changes: Any) -> Tamper:
    return lambda data: data["outcome"].update(changes)


def drop(name: str) -> Tamper:
    return lambda data: data["tables"].remove(_table(data, name))


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in data["tables"] if entry["name"] == name)


def _grow(data: dict[str, Any]) -> None:
    data["inputs"]["workload"]["tables"][0]["num_embeddings"] = 2000


def _widen(data: dict[str, Any]) -> None:
    data["inputs"]["topology"]["host_groups"][0]["device"]["hbm_bytes"] *= 2


def _speed_up(data: dict[str, Any]) -> None:
    data["inputs"]["cost_model"]["lookup"]["forward_efficiency"]["value"] = 1.0


def _sign(data: dict[str, Any]) -> None:
    data["fingerprints"]["workload"] = "0" * 64


CORPUS: dict[str, tuple[Tamper, str, str]] = {
    # columns
    "gap between columns": (
        block("columns", 1, column_offset=48),
        "coverage",
        "columns 40-47 are on no rank|columns 84-91 are placed twice",
    ),
    "last column is missing": (
        block("columns", 2, num_columns=40),
        "coverage",
        "columns 124-127 are on no rank",
    ),
    "first column is missing": (
        block("first", column_offset=1, num_columns=15),
        "coverage",
        "columns 0-0 are on no rank",
    ),
    "a column too many": (
        block("apart", num_columns=20),
        "coverage",
        "columns reach 19, but the table has 16",
    ),
    "columns placed twice": (
        block("one_host", 1, column_offset=4, num_columns=12),
        "coverage",
        "columns 4-7 are placed twice",
    ),
    "a block is gone": (
        blocks("columns", (0, 40, "0"), (40, 44, "5")),
        "coverage",
        "columns 84-127 are on no rank",
    ),
    "a block is there twice": (
        blocks("one_host", (0, 8, "4"), (8, 8, "7"), (8, 8, "5")),
        "coverage",
        "columns 8-15 are placed twice",
    ),
    # rows
    "rows are missing": (
        block("rows", row_sizes=[125] * 8),
        "coverage",
        "row_sizes add up to 1000, the table has 1003 rows",
    ),
    "row sizes of fewer ranks": (
        block("rows", row_sizes=[1003]),
        "coverage",
        "1 row_sizes for 8 ranks",
    ),
    "row sizes of a copy": (
        block("copy", row_sizes=[125] * 8),
        "coverage",
        "row_sizes are not allowed for data_parallel",
    ),
    # ranks
    "rank beyond the cluster": (
        block("apart", ranks="8"),
        "coverage",
        "rank 8 does not exist: world size 8",
    ),
    "one rank holds two row shards": (
        block("rows", ranks="0-6,6"),
        "coverage",
        r"ranks \[6\] hold two row shards of the same columns",
    ),
    # shapes
    "table_wise in two blocks": (
        blocks("apart", (0, 8, "6"), (8, 8, "6")),
        "coverage",
        "table_wise keeps columns together, but there are 2 blocks",
    ),
    "table_wise on two ranks": (
        block("apart", ranks="6-7"),
        "coverage",
        "table_wise does not cut rows, but a block is on several ranks",
    ),
    "column_wise cuts rows": (
        block("columns", 0, ranks="0-1"),
        "coverage",
        "column_wise does not cut rows",
    ),
    "a copy is missing": (
        block("copy", ranks="0-6"),
        "coverage",
        "data_parallel needs a copy on every rank",
    ),
    "table_column_wise on two hosts": (
        block("one_host", 0, ranks="3"),
        "coverage",
        r"table_column_wise must stay on one host, but uses \[0, 1\]",
    ),
    "table_row_wise on half a host": (
        block("host", ranks="4-5"),
        "coverage",
        r"table_row_wise cuts rows over all ranks of one host or domain, "
        r"which \[4, 5\]\.\.\. are not",
    ),
    "table_row_wise across hosts": (
        block("host", ranks="2-5"),
        "coverage",
        "table_row_wise cuts rows over all ranks of one host",
    ),
    "grid_shard on one rank": (
        block("grid", 0, ranks="0"),
        "coverage",
        "grid_shard cuts rows over all ranks of one host",
    ),
    "a type that it is not": (
        table("columns", sharding_type="row_wise"),
        "coverage",
        "row_wise cuts rows, but a block of columns is on one rank",
    ),
    # tables
    "a table is not placed": (
        drop("apart"),
        "coverage",
        "the plan has no placement for this table",
    ),
    "a table of another workload": (
        table("apart", name="stranger"),
        "coverage",
        "the plan has no placement for this table|the workload has no such table",
    ),
    # tiers
    "fused in host memory": (
        table("apart", tiers={"ddr": 1.0}),
        "tiers",
        "kernel 'fused' cannot have hbm=0.0, ddr=1.0, ssd=0.0",
    ),
    "half a table": (
        table("apart", tiers={"hbm": 0.5}),
        "tiers",
        "kernel 'fused' cannot have hbm=0.5, ddr=0.0, ssd=0.0",
    ),
    "a cache over nothing": (
        table("flash", tiers={"hbm": 0.05, "ddr": 0.2}),
        "tiers",
        "kernel 'key_value' cannot have hbm=0.05, ddr=0.2, ssd=0.0",
    ),
    "an empty cache": (
        table("flash", tiers={"ssd": 1.0}),
        "tiers",
        "kernel 'key_value' cannot have hbm=0.0",
    ),
    "a copy with a fused kernel": (
        table("copy", compute_kernel="fused"),
        "tiers",
        "kernel 'dense' goes with data_parallel, and only with it",
    ),
    "uvm rows in HBM": (
        table("first", compute_kernel="fused_uvm"),
        "tiers",
        "kernel 'fused_uvm' cannot have hbm=1.0",
    ),
    # constraints
    "a type that is not allowed": (
        table("pinned", sharding_type="table_column_wise"),
        "constraint",
        "table_column_wise is not among table_wise, column_wise",
    ),
    "a kernel that is not allowed": (
        table("pinned", compute_kernel="fused_uvm", tiers={"ddr": 1.0}),
        "constraint",
        "kernel fused_uvm is not among fused",
    ),
    "a split that nobody named": (
        table(
            "apart", compute_kernel="fused_uvm_split", tiers={"hbm": 0.5, "ddr": 0.5}
        ),
        "constraint",
        "kernel fused_uvm_split must be allowed by name",
    ),
    "another cache size": (
        table("cached", tiers={"hbm": 0.4, "ddr": 1.0}),
        "constraint",
        r"cache_load_factor is 0\.4, asked for 0\.2",
    ),
    "rows in fewer bits": (
        table("first", dtype="fp16"),
        "constraint",
        "dtype fp16 is not allowed",
    ),
    "shards that are too narrow": (
        blocks("pinned", (0, 4, "0"), (4, 12, "2")),
        "constraint",
        "a shard has 4 columns, at least 8 are asked",
    ),
    "a rank that is not pinned": (
        block("pinned", 0, ranks="3"),
        "constraint",
        r"ranks \[3\] are not among the pinned ranks",
    ),
    "a host that is not pinned": (
        block("pinned", 0, ranks="4"),
        "constraint",
        r"ranks \[4\] are not among the pinned|hosts \[1\] are not among the pinned",
    ),
    "a forbidden rank": (
        block("pinned", 0, ranks="1"),
        "constraint",
        r"ranks \[1\] are forbidden",
    ),
    "colocated tables on two ranks": (
        block("second", ranks="2"),
        "colocate",
        "is not on the same ranks as first",
    ),
    "separated tables on one rank": (
        block("apart", ranks="2"),
        "separate",
        r"shares ranks \[2\] with pinned",
    ),
    # claims
    "a better value": (
        outcome(objective_s=1e-6, lower_bound_s=5e-7),
        "objective",
        r"the plan claims 1e-06 s, recomputed \d",
    ),
    "another gap": (outcome(gap=0.5), "gap", r"claims gap 0\.5, it is 1\.0"),
    "no gap": (outcome(gap=None), "gap", "claims gap None"),
    "an optimum with a gap": (
        outcome(status="optimal"),
        "status",
        r"claims to be optimal, but its bound is \d",
    ),
    "another objective": (
        lambda data: data.update(objective="max-rank"),
        "objective",
        "recomputed",
    ),
    "a table moves to a busy rank": (block("cached", ranks="0"), "objective", "claims"),
    # inputs
    "another workload": (_grow, "fingerprint", "the plan's workload is not the one"),
    "another topology": (_widen, "fingerprint", "the plan's topology is not the one"),
    "another cost model": (
        _speed_up,
        "fingerprint",
        "the plan's cost_model is not the one",
    ),
    "another fingerprint": (_sign, "fingerprint", "the plan says 000000000000"),
}


def test_the_plan_itself_is_valid(valid: Plan) -> None:
    """Nothing is wrong before something is changed."""
    assert_plan_valid(valid)


@pytest.mark.parametrize("name", CORPUS)
def test_one_change_is_one_broken_rule(name: str, data: dict[str, Any]) -> None:
    """The rule that was broken is reported, with what is wrong, and no other."""
    tamper, rule, message = CORPUS[name]
    tamper(data)
    found = check(Plan.model_validate(data))
    assert found, "accepted"
    assert {violation.rule for violation in found} == {rule}
    for violation in found:
        assert re.search(message, violation.message), str(violation)


def test_a_bound_above_the_value_is_caught(valid: Plan, data: dict[str, Any]) -> None:
    """No honest bound exceeds the plan's own value."""
    value = valid.outcome.objective_s
    outcome(lower_bound_s=value * 1.5, gap=0.0)(data)
    rules = [violation.rule for violation in check(Plan.model_validate(data))]
    assert rules == ["bound", "gap"]


def test_all_faults_of_a_plan_are_reported(data: dict[str, Any]) -> None:
    """Faults of several tables and of the inputs come together."""
    for tamper in (
        _sign,
        drop("apart"),
        block("rows", ranks="0-8"),
        table("first", dtype="int8"),
    ):
        tamper(data)
    rules = [violation.rule for violation in check(Plan.model_validate(data))]
    assert rules == ["fingerprint", "coverage", "coverage", "constraint"]


def test_same_meaning_in_other_words_is_accepted(data: dict[str, Any]) -> None:
    """Order of blocks and tables, and rows that are written out, change nothing."""
    _table(data, "columns")["blocks"].reverse()
    data["tables"].reverse()
    block("host", row_sizes=[250] * 4)(data)
    block("apart", row_sizes=[1000])(data)
    block("copy", ranks="7,0-6")(data)
    assert check(Plan.model_validate(data)) == ()


def test_overfull_ranks_and_hosts(valid: Plan) -> None:
    """Capacities are checked for every tier; long lists are cut short."""
    topology = valid.inputs.topology
    group = topology.host_groups[0]
    # Without validation: a file may not have so little memory.
    small = group.model_copy(
        update={
            "device": group.device.model_copy(update={"hbm_bytes": 1_000_000_000}),
            "host": group.host.model_copy(update={"ddr_bytes": 1, "ssd_bytes": 1}),
        }
    )
    topology = topology.model_copy(update={"host_groups": (small,)})
    inputs = valid.inputs.model_copy(update={"topology": topology})
    changes = {"inputs": inputs, "fingerprints": fingerprints(inputs)}
    plan = valid.model_copy(update=changes)
    assert {v.rule for v in check(plan)} == {"capacity"}
    messages = [v.message for v in check(plan)]
    assert re.match(r"HBM of rank 0 holds .*, but the plan puts .* there", messages[0])
    assert messages[3] == "HBM of rank: 5 more are overfull"
    assert [m[:13] for m in messages[4:]] == [
        "DDR of host 0",
        "DDR of host 1",
        "SSD of host 1",
    ]
