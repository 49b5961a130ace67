"""What was measured of a log, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group

from shardplan.records.record import dump
from shardplan.report.layout import (
    count,
    facts,
    named,
    number,
    percent,
    section,
    sentences,
    table,
)
from shardplan.units import plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.records.log_statistics import LogStatistics, TableStatistics

HOT_SHARE = 0.01
"""Of the rows that are looked up."""
WINDOW = 65_536
"""Lookups in a row."""
MOST_DAYS = 20
"""Days that text lists, of all tables together."""


def statistics_data(found: LogStatistics) -> dict[str, Any]:
    """Collect a log's statistics, and a line for each table."""
    return {
        "summary": [_line(each) for each in found.tables],
        "errors": [{"table": t.name, **t.errors()} for t in found.tables],
        "statistics": dump(found),
    }


def _line(found: TableStatistics) -> dict[str, Any]:
    """Read a table's curves where people look first."""
    hot = max(1.0, HOT_SHARE * found.rows_seen)
    window = min(WINDOW, found.lookups)
    return {
        "table": found.name,
        "rows": found.num_embeddings,
        "rows_seen": found.rows_seen,
        "lookups": found.lookups,
        "coverage": found.coverage,
        "pooling_factor": found.pooling_factor,
        "hot_share": _at(found.access, hot),
        "window_lookups": window,
        "window_rows": _at(found.unique_rows, window),
        "hot_hit_rate": 1.0 - _at(found.miss_ratio, hot) if found.lookups else 0.0,
        "left_out": found.out_of_range + found.unreadable,
    }


def _at(curve: tuple[tuple[float, float], ...], x: float) -> float:
    if not curve:
        return 0.0
    points, values = np.array(curve).T
    return float(np.interp(x, points, values))


def render_statistics(data: dict[str, Any]) -> RenderableType:
    """Lay out a log's statistics."""
    found = data["statistics"]
    top = {
        "log": f"{found['name']}: {plural(found['num_samples'], 'sample')}",
        "tables": str(len(found["tables"])),
    }
    headings = (
        *(named("table"), number("rows"), number("seen"), number("lookups")),
        *(number("present"), number("per sample"), number("hottest 1 %")),
        *(number("rows in 64 Ki"), number("hits of 1 %"), number("left out")),
    )
    rows = [
        (
            line["table"],
            count(line["rows"]),
            count(line["rows_seen"]),
            count(line["lookups"]),
            percent(line["coverage"]),
            f"{line['pooling_factor']:.2f}",
            percent(line["hot_share"]),
            count(line["window_rows"]),
            percent(line["hot_hit_rate"]),
            count(line["left_out"]),
        )
        for line in data["summary"]
    ]
    text = (
        "Hottest 1 %: their share of the lookups, of all rows seen. Rows in 64 Ki: "
        "distinct ones of 65,536 lookups in a row, or of all if there are fewer. Hits "
        "of 1 %: those of an LRU cache for 1 % of the rows seen, in the log's order. "
        "Left out: ids that the table does not have, or that are no ids."
    )
    parts = [
        section("Tables", table(headings, rows), sentences([text])),
        section("Errors, at most", *_errors(data["errors"], data["summary"])),
    ]
    if any(each.get("days") for each in found["tables"]):
        parts.append(section("Days", *_days(found["tables"])))
    if "unread" in found:
        lines = [f"{each['path']}: {each['reason']}" for each in found["unread"]]
        parts.append(section("Not read", sentences(lines)))
    return Group(facts(top), *parts)


def _errors(
    errors: list[dict[str, Any]], summary: list[dict[str, Any]]
) -> list[RenderableType]:
    """Lay out the bounds of those statistics that are not exact for every table."""
    rows = [
        (
            bound["table"],
            count(bound["rows_seen"]),
            percent(bound["access"]),
            count(bound["unique_rows"] * line["window_rows"]),
            percent(bound["miss_ratio"]),
        )
        for bound, line in zip(errors, summary, strict=True)
    ]
    headings = (
        *(named("table"), number("seen"), number("hottest 1 %")),
        *(number("rows in 64 Ki"), number("hits of 1 %")),
    )
    text = (
        "Bounds that hold in 95 of 100 logs; points of a percentage. All that is not "
        "here is counted."
    )
    return [table(headings, rows), sentences([text])]


def _days(tables: list[dict[str, Any]]) -> list[RenderableType]:
    """Lay out how each day differs from the one before."""
    every = [(each["name"], day) for each in tables for day in each.get("days", ())]
    shown = _most_moved(every)
    rows = [
        (
            name,
            day["day"],
            count(day["lookups"]),
            count(day["rows_seen"]),
            *(_within(day, what) for what in ("moved", "new_hot", "new_rows")),
        )
        for name, day in shown
    ]
    headings = (
        *(named("table"), named("day"), number("lookups"), number("seen")),
        *(number("moved"), number("new among hottest 1 %"), number("new rows")),
    )
    text = (
        "Moved: share of the lookups that go to other rows than on the day before. New "
        "among the hottest 1 % of the day's rows: those that were not of them the day "
        "before. New rows: those that no day before had."
    )
    if len(shown) < len(every):
        text += f" {len(every) - len(shown):,} days that moved less are left out; JSON "
        text += "has all."
    return [table(headings, rows), sentences([text])]


def _most_moved(
    days: list[tuple[str, dict[str, Any]]],
) -> list[tuple[str, dict[str, Any]]]:
    """Return the days that are most unlike the ones before, as they lie."""
    order = sorted(range(len(days)), key=lambda i: -days[i][1].get("moved", 0.0))
    return [days[i] for i in sorted(order[:MOST_DAYS])]


def _within(day: dict[str, Any], name: str) -> str:
    """Show a share with its bound, if it is not exact."""
    error = day.get(f"{name}_error", 0.0)
    bound = f" ± {100.0 * error:.1f}" if error else ""
    return percent(day.get(name, 0.0)) + bound
