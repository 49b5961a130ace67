"""Curves of a log as pictures."""

from __future__ import annotations

import re

import pytest

from shardplan.records.log_statistics import DayStatistics
from shardplan.report.statistics_plot import statistics_plot
from tests.report.test_statistics_diff import log

pytest.importorskip("matplotlib")


def test_what_is_drawn() -> None:
    """Names as text; the same figure gives the same bytes."""
    tables = [*log("sessions", 0).tables, *log("shuffled", 0, name="a$b$").tables]
    svg = statistics_plot(tables, "clicks", "svg")
    text = svg.decode()
    for word in ("clicks", "item", "a$b$", "measured", "if lookups were independent"):
        assert f">{word}</text>" in text
    assert svg == statistics_plot(tables, "clicks", "svg")
    assert statistics_plot(tables[:1], "clicks", "png").startswith(b"\x89PNG")


def test_days_are_drawn() -> None:
    """Of tables that have some, beside those that have none; bounds are drawn."""
    whole = DayStatistics(day="", lookups=9, rows_seen=9, rows_seen_error=0)
    moved = whole.replace(moved=0.5, moved_error=0.1)
    days = [moved.replace(day=f"mon_{number}") for number in range(30)]
    (item,) = log("shuffled", 0).tables
    for number, shown in ((2, ["mon_1"]), (30, ["mon_1", "mon_29"])):
        tables = [item.replace(days=tuple(days[:number])), item]
        text = statistics_plot(tables, "clicks", "svg").decode()
        assert re.findall(r">(mon_\d+)</text>", text) == shown
    text = statistics_plot([item.replace(days=(days[0],))], "a", "svg").decode()
    assert "moved" not in text
