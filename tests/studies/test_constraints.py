"""Conditions on columns."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.studies.constraints import OPERATORS, Constraint, parse_constraint


@pytest.mark.parametrize(
    ("text", "column", "op", "value"),
    [
        ("hbm_fill <= 0.9", "hbm_fill", "<=", 0.9),
        (" hbm_fill<90 % ", "hbm_fill", "<", 0.9),
        ("step_time_s <= 10 ms", "step_time_s", "<=", 0.01),
        ("throughput_samples_per_s >= 1_000_000", None, ">=", 1e6),
        ("throughput_samples_per_s >= 1.5 M", None, ">=", 1.5e6),
        ("checkpoint_bytes < 2 TB", "checkpoint_bytes", "<", 2e12),
        ("gap >= -1e-3", "gap", ">=", -0.001),
        ("status == feasible", "status", "==", "feasible"),
        ('status != "error"', "status", "!=", "error"),
        ("feasible == true", "feasible", "==", True),
    ],
)
def test_reads(text: str, column: str | None, op: str, value: object) -> None:
    """Column, comparison and a value in the column's unit."""
    found = parse_constraint(text)
    name = column or "throughput_samples_per_s"
    assert (found.column, found.op, found.value) == (name, op, value)
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("hbm_fill", "must be COLUMN OPERATOR VALUE"),
        ("hbm_fill 0.9", "must be COLUMN OPERATOR VALUE"),
        ("<= 0.9", "must be COLUMN OPERATOR VALUE"),
        ("hbm_fil <= 0.9", "'hbm_fil' is no column; did you mean 'hbm_fill'"),
        ("hbm_fill = 0.9", "must be COLUMN OPERATOR VALUE"),
        ("hbm_fill <= 4 GB", "hbm_fill: 'GB' is a unit of bytes, not fraction"),
        ("hbm_fill <= 90", "is a share from 0 to 1: write 0.9 or 90 %"),
        ("step_time_s <= fast", "must be a number"),
        ("step_time_s <= nan", "must be a number"),
        ("status >= feasible", "status is no number: compare it with == or !="),
        ("feasible == yes", "feasible is true or false, not 'yes'"),
    ],
)
def test_refuses(text: str, rule: str) -> None:
    """Each with what is wrong, and the nearest column."""
    with pytest.raises(ValueError, match=rule):
        parse_constraint(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a ValueError comes of a text."""
    with suppress(ValueError):
        parse_constraint(text)


NUMBERS = st.floats(-1e6, 1e6).filter(lambda number: number == 0 or abs(number) > 1e-6)


@given(st.sampled_from(sorted(OPERATORS)), NUMBERS, NUMBERS)
def test_slack_is_positive_inside(op: str, value: float, found: float) -> None:
    """Rows that hold strictly are inside, others are not; more slack is further in."""
    constraint = Constraint("gap", op, value, "")
    holds, slack = constraint.holds({"gap": found}), constraint.slack({"gap": found})
    assert slack is not None
    if slack:
        assert holds is (slack > 0)


def test_empty_columns_meet_nothing() -> None:
    """What is not known neither holds nor is near."""
    constraint = parse_constraint("hbm_fill <= 0.9")
    for row in ({}, {"hbm_fill": None}):
        assert constraint.holds(row) is None
        assert constraint.slack(row) is None
    assert parse_constraint("status == feasible").slack({"status": "error"}) is None
