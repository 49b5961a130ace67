"""A small part of `make fuzz`, and that it finds what it is for."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.plans.plan import Plan
from shardplan.records.record import dump
from tests.fuzz import inputs, plans
from tests.fuzz.campaign import run_campaign
from tests.fuzz.oracle import faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PART = 500


@pytest.mark.parametrize("first", range(0, 2 * PART, PART))
def test_plans(first: int) -> None:
    """Mutants of plans are refused, or valid and worth what they say."""
    tally = run_campaign(plans.try_mutant, range(first, first + PART), seed=1)
    assert tally.failures == []
    assert tally.outcomes["violations"] > PART / 5
    assert tally.outcomes["accepted"] > PART / 20


@pytest.mark.parametrize("first", range(0, 2 * PART, PART))
def test_input_files(first: int) -> None:
    """Mutants of files of every kind are loaded or refused."""
    tally = run_campaign(inputs.try_mutant, range(first, first + PART), seed=1)
    assert tally.failures == []
    loaded = [name for name in tally.outcomes if name.endswith("loaded")]
    assert len(loaded) == len(inputs.LOAD)


LAME = {
    "colocation and separation": "check_groups",
    "constraints": "check_constraints",
    "capacity": "check_capacity",
    "objective, gap and bound": "_check_outcome",
    "fingerprints": "_check_inputs",
    "tables": "_check_tables",
}


@pytest.mark.parametrize("check", LAME.values(), ids=LAME.keys())
def test_a_check_that_is_missing_is_noticed(
    monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """Without any one check of the checker some mutant is wrongly accepted."""
    monkeypatch.setattr(f"shardplan.checking.checker.{check}", lambda *_: ())
    for first in range(0, 2 * PART, 20):
        if run_campaign(plans.try_mutant, range(first, first + 20), seed=2).failures:
            return
    pytest.fail("no mutant was wrongly accepted")


def test_a_mutant_has_its_number_for_ever(tmp_path: Path) -> None:
    """A failure can be repeated alone, whatever ran before it."""
    alone = [plans.try_mutant(Random(f"0-{n}"), tmp_path) for n in (7, 8)]
    after = [plans.try_mutant(Random(f"0-{n}"), tmp_path) for n in (3, 7, 8)]
    assert after[1:] == alone


def test_failures_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is a failure with its number and traceback, and the run goes on."""

    def fail(rng: Random, folder: Path) -> str:
        if rng.random() < 2:
            raise KeyError("odd")
        return "never"

    tally = run_campaign(fail, range(3, 5), seed=0)
    assert len(tally.failures) == 2
    assert "mutant 3:" in capsys.readouterr().err
    assert "failures: 2" in str(tally)


def _edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a value in the placements: ``columns.blocks.0.ranks``."""

    def change(data: dict[str, Any]) -> None:
        name, *keys, last = path.split(".")
        place = next(entry for entry in data["tables"] if entry["name"] == name)
        for key in keys:
            place = place[int(key)] if key.isdecimal() else place[key]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("columns.blocks.0.num_columns", 39, "do not tile"),
        ("columns.blocks.0.column_offset", 1, "do not tile"),
        ("rows.blocks.0.ranks", "0-6,6", "a rank twice"),
        ("rows.blocks.0.ranks", "0-8", "a rank that does not exist"),
        ("rows.blocks.0.row_sizes", [1003], "row sizes do not tile"),
        ("first.blocks.0.ranks", "1-2", "rows are cut"),
        ("columns.sharding_type", "row_wise", "a slice on one rank"),
        ("copy.blocks.0.ranks", "0-6", "not on every rank"),
        ("one_host.blocks.0.ranks", "3", "on several hosts"),
        ("host.blocks.0.ranks", "3-6", "not over a whole host"),
        ("first.tiers", {"ddr": 1.0}, "kernel fused has tiers"),
        ("flash.tiers", {"hbm": 0.1}, "rows are nowhere"),
        ("copy.compute_kernel", "fused", "kernel fused with data_parallel"),
        ("pinned.sharding_type", "row_wise", "is not among the sharding_types"),
        ("first.dtype", "fp16", "rows of another type"),
        ("pinned.blocks.0.ranks", "3", "not on the pinned ranks"),
        ("pinned.blocks.0.ranks", "4", "not on the pinned hosts"),
        ("pinned.blocks.0.ranks", "1", "on a forbidden rank"),
        ("second.blocks.0.ranks", "2", "are not together"),
        ("apart.blocks.0.ranks", "2", "are not apart"),
        ("apart.name", "stranger", "missing, strange or placed twice"),
    ],
)
def test_the_oracle_sees(path: str, value: Any, fault: str) -> None:
    """One change each that the judge of accepted plans must notice by itself."""
    plan = plans.sources()[0].plan
    assert faults(plan) == []
    data = dump(plan)
    _edit(path, value)(data)
    assert fault in "; ".join(faults(Plan.model_validate(data)))


@pytest.mark.parametrize("target", ["torchrec", "hugectr"])
def test_the_oracle_sees_uneven_rows(target: str) -> None:
    """Rows that are cut by heat are for target `any` alone."""
    plan = plans.sources()[-1].plan
    assert any(block.row_sizes for block in plan.tables[0].blocks)
    assert faults(plan) == []
    other = Plan.model_validate(dump(plan) | {"target": target})
    assert f"{target} cuts rows evenly" in "; ".join(faults(other))
