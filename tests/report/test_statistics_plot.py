"""Curves of a log as pictures."""

from __future__ import annotations

import pytest

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
