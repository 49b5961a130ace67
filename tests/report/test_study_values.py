"""Cells of a study's table as text."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.report.study_values import (
    axis_labels,
    share_text,
    tick_text,
    unit_text,
    value_text,
)
from shardplan.studies.columns import COLUMNS


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("step_time_s", 0.0123, "12.300 ms"),
        ("checkpoint_bytes", 1.5e12, "1.5 TB"),
        ("hbm_fill", 0.5, "50.0 %"),
        ("hosts", 1024, "1,024"),
        ("throughput_samples_per_s", 1_234_567.0, "1.23 M samples/s"),
        ("throughput_per_rank", 12.3456, "12.35 samples/s/rank"),
        ("cost_per_hour", 1568.0, "1,568/h"),
        ("cost_per_1e9_samples", 0.12345, "0.1235"),
        ("feasible", True, "yes"),
        ("status", "infeasible", "infeasible"),
        ("gap", None, "-"),
        (None, 16_384, "16,384"),
        (None, 0.5, "0.5"),
        (None, "200 Gb/s", "200 Gb/s"),
        (None, [1, "a"], '[1, "a"]'),
    ],
)
def test_cells_have_units(name: str | None, value: Any, text: str) -> None:
    """Of columns; an axis has what the file has."""
    assert value_text(COLUMNS[name] if name else None, value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.003, "0.30 %"), (0.5, "50.0 %"), (0.9996, "99.96 %")],
)
def test_shares_near_their_ends_have_more_digits(share: float, text: str) -> None:
    """A goodput of 99.96 % is not 100.0 %."""
    assert share_text(share) == text


def test_ticks_leave_units_to_the_axis() -> None:
    """Except for units that change with the size of a value."""
    rate, step = COLUMNS["throughput_samples_per_s"], COLUMNS["step_time_s"]
    assert (tick_text(rate, 2e6), unit_text(rate)) == ("2 M", " [samples/s]")
    assert (tick_text(step, 2e-3), unit_text(step)) == ("2.000 ms", "")


def test_labels_are_the_shortest_ends_that_differ() -> None:
    """A label is never the name of a column of results."""
    labels = axis_labels(["hosts", "a.x.forward", "a.y.forward", "b.hbm_fill"])
    assert labels == {
        "hosts": "hosts",
        "a.x.forward": "x.forward",
        "a.y.forward": "y.forward",
        "b.hbm_fill": "b.hbm_fill",
    }
