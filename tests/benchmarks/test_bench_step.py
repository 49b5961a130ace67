"""The benchmark of objective `time`: its pairs, its pools and what it says of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.records.sharding import Objective
from tests.benchmarks.bench_step.__main__ import main
from tests.benchmarks.bench_step.measure import _add_kept
from tests.benchmarks.bench_step.pairs import PAIRS, fresh, named
from tests.benchmarks.bench_step.pool import Pool
from tests.benchmarks.bench_step.table import Alignment, table, targets, tau, write

if TYPE_CHECKING:
    from pathlib import Path

SMALL = "movielens-ncf@h100-pcie"


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_load(pair: str) -> None:
    """Every pair has dense layers, so that its step has them, too."""
    inputs = named(pair)
    assert inputs.workload.dense is not None
    assert inputs.topology.cost_model in {inputs.cost_model.name}


def test_fresh_pairs_are_drawn_from_the_seed() -> None:
    """One seed is one pair, another seed another one; even ones are of families."""
    assert fresh(4) == fresh(4)
    assert fresh(3)[1].workload != fresh(5)[1].workload
    assert "@" in fresh(3)[0]
    assert fresh(4)[1].workload.name == "random"


def test_plans_of_a_pool_are_valid() -> None:
    """Each passes the check, has a value under all objectives, and is there once."""
    pool = Pool(named(SMALL))
    pool.add_halves()
    before = len(pool.rated)
    pool.add_changed()
    tables = [one.plan.tables for one in pool.rated]
    assert len(set(tables)) == len(tables) > before > 1
    for one in pool.rated:
        assert check(one.plan) == ()
        assert set(one.value_s) == {objective.value for objective in Objective}
        assert one.value_s["time"] == one.plan.outcome.objective_s
    assert pool.add("a table is missing", pool.best.plan.tables[1:]) is None


def test_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One small pair from the command line to the table; the best plan is kept."""
    raw = tmp_path / "step.jsonl"
    command = f"--pairs {SMALL} --seeds 0 --limit 0.1 --raw {raw}".split()
    main(command)
    found = json.loads(raw.read_text())
    assert found["returned"]["step_s"] >= min(p["step_s"] for p in found["plans"])
    assert f"| {SMALL} |" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "step-best").iterdir()] == [
        f"{SMALL}.json"
    ]


def test_best_plan_of_an_earlier_run_joins(tmp_path: Path) -> None:
    """Unless it is for other tables."""
    pool, path = Pool(named(SMALL)), tmp_path / "best.json"
    pool.add_halves()
    pool.best.plan.save(path)
    again, other = Pool(named(SMALL)), Pool(named("avazu@h100-pcie"))
    for one in (again, other):
        _add_kept(one, path)
    assert [one.source for one in again.rated] == ["kept"]
    assert again.best.step_s == pool.best.step_s
    assert other.rated == []


def plan(step_s: float, value_s: float) -> dict[str, Any]:
    return {"step_s": step_s, "time": value_s, "step": 1.0 / value_s, "max-rank": 1.0}


def result(**more: Any) -> dict[str, Any]:
    plans = [plan(1.0, 0.9), plan(1.2, 1.1), plan(1.4, 1.5), plan(9.0, 0.1)]
    returned = {"step_s": 1.2, "value_s": 1.1}
    return {"pair": "a@b", "limit_s": 1.0, "plans": plans, "returned": returned, **more}


def test_near_plans_count_and_far_ones_do_not() -> None:
    """Plans of 1.5 times the best are near; the fourth would turn the order around."""
    found = Alignment.of(result(bound_s=1.0))
    assert (found.near, found.plans) == (3, 4)
    assert found.tau["time"] == 1.0
    assert found.tau["step"] == -1.0
    assert found.error == pytest.approx(1.0 - 1.1 / 1.2)
    assert found.worst == pytest.approx(0.1)
    assert found.regret == pytest.approx(0.2)
    assert found.gap == pytest.approx(0.1)
    assert (found.above, found.below) == (1, 2)


def test_without_plan_or_bound() -> None:
    """Not every plan has a bound, and time may run out before there is a plan."""
    found = Alignment.of(result(returned=None))
    assert found.regret is None
    assert found.gap is None
    assert found.below == 0
    text = targets([result(), result(returned=None)])
    assert "- a plan in time, each: **no**, a@b\n" in text
    assert "- regret at most 1 %, each: **no**, a@b\n" in text
    assert "| **worst** |" in table([result(), result(returned=None)])


def test_rounding_is_no_order() -> None:
    """Values that differ in the last digits are ties."""
    assert tau([1.0, 1.0 + 1e-12, 2.0], [1.0 + 1e-12, 1.0, 2.0]) == pytest.approx(1)


def test_page_gets_the_table(tmp_path: Path) -> None:
    """What is between the marks is replaced."""
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- pairs: written by make bench-step -->\nold\n"
        "<!-- end of pairs -->\nafter\n"
    )
    write([result()], page)
    write([result()], page)
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("after\n")
    assert text.count("| a@b |") == 1
    assert "old" not in text
