"""What was measured of a log, in text."""

from __future__ import annotations

import re

from shardplan.records.log_statistics import DayStatistics
from shardplan.report.layout import to_text
from shardplan.report.statistics_view import (
    MOST_DAYS,
    render_statistics,
    statistics_data,
)
from tests.report.test_statistics_diff import log


def test_days_that_moved_most() -> None:
    """Of all tables, in their order; the others are counted, and JSON has them."""
    found = log("shuffled", 0)
    days = [
        DayStatistics(
            day=f"d{n}", lookups=9, rows_seen=9, rows_seen_error=0, moved=n % 40 / 100
        )
        for n in range(100)
    ]
    data = statistics_data(
        found.replace(tables=(found.tables[0].replace(days=tuple(days)),))
    )
    text = to_text(render_statistics(data))
    shown = [int(n) for n in re.findall(r" d(\d+) ", text)]
    assert shown == [*range(30, 40), *range(70, 80)]
    assert len(shown) == MOST_DAYS
    assert f"{len(days) - MOST_DAYS} days that moved less" in " ".join(text.split())
    assert len(data["statistics"]["tables"][0]["days"]) == len(days)
