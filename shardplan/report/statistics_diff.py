"""How the statistics of two logs differ, table by table, and by more than errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Group

from shardplan.report.layout import (
    facts,
    left_out,
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

_HEADINGS = {
    "rows_seen": "rows seen",
    "mean_length": "per sample",
    "access": "access",
    "unique_rows": "unique",
    "miss_ratio": "misses",
    "block_heat": "blocks",
}


class _Distance(NamedTuple):
    """How far two tables are apart, and how far errors alone may put them."""

    distance: float
    bound: float


def statistics_diff_data(
    before: LogStatistics, after: LogStatistics, *, limit: int | None = None
) -> dict[str, Any]:
    """Collect the report of `shardplan stats diff`.

    Parameters
    ----------
    limit : int, optional
        Most tables to list, those whose access curves moved most first; None lists
        all.
    """
    old = {each.name: each for each in before.tables}
    new = {each.name: each for each in after.tables}
    both = [_line(old[name], new[name]) for name in old if name in new]
    both.sort(
        key=lambda line: (-line["distances"]["access"]["distance"], line["table"])
    )
    return {
        "before": {"log": before.name, "num_samples": before.num_samples},
        "after": {"log": after.name, "num_samples": after.num_samples},
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "num_tables": len(both),
        "num_moved": sum(line["moved"] for line in both),
        "tables": both[:limit],
    }


def _order(line: dict[str, Any]) -> tuple[float, str]:
    return -line["distances"]["access"]["distance"], line["table"]


def _line(old: TableStatistics, new: TableStatistics) -> dict[str, Any]:
    found = {
        name: {**each._asdict(), "beyond_errors": each.distance > each.bound}
        for name, each in _distances(old, new).items()
    }
    moved = any(each["beyond_errors"] for each in found.values())
    return {"table": old.name, "moved": moved, "distances": found}


def _distances(old: TableStatistics, new: TableStatistics) -> dict[str, _Distance]:
    """Compare two tables: curves by their largest distance, blocks by half its sum.

    Notes
    -----
    Half of the sum of differences of shares is their total variation: the share of the
    lookups that go to another block.
    """
    seen = max(old.rows_seen, 1.0)
    length = abs(new.mean_length - old.mean_length) / max(old.mean_length, 1e-12)
    blocks = zip(old.block_heat, new.block_heat, strict=False)
    heat = sum(abs(a - b) for a, b in blocks) / 2
    return {
        "rows_seen": _Distance(
            abs(new.rows_seen - old.rows_seen) / seen,
            (old.rows_seen_error + new.rows_seen_error) / seen,
        ),
        "mean_length": _Distance(min(length, 1e6), 0.0),
        "access": _Distance(
            _apart(old.access, new.access), old.access_error + new.access_error
        ),
        "unique_rows": _Distance(
            _apart(old.unique_rows, new.unique_rows, is_relative=True),
            old.unique_rows_error + new.unique_rows_error,
        ),
        "miss_ratio": _Distance(
            _apart(old.miss_ratio, new.miss_ratio),
            old.miss_ratio_error + new.miss_ratio_error,
        ),
        "block_heat": _Distance(heat, 0.0),
    }


def _apart(
    old: tuple[tuple[float, float], ...],
    new: tuple[tuple[float, float], ...],
    *,
    is_relative: bool = False,
) -> float:
    """Return the largest distance of two curves at the points that both reach.

    Shares reach on: all lookups go to all rows, and more of them miss no less.
    """
    if not old or not new:
        return 0.0 if old == new else 1.0
    (x, y), (other_x, other_y) = np.array(old).T, np.array(new).T
    points = np.union1d(x, other_x)
    if is_relative:
        points = points[points <= min(x[-1], other_x[-1])]
    before, after = np.interp(points, x, y), np.interp(points, other_x, other_y)
    apart = np.abs(after - before)
    return float((apart / np.maximum(before, 1.0) if is_relative else apart).max())


def render_statistics_diff(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan stats diff`."""
    top = {
        name: f"{data[name]['log']}: {plural(data[name]['num_samples'], 'sample')}"
        for name in ("before", "after")
    }
    top["moved"] = f"{data['num_moved']} of {plural(data['num_tables'], 'table')}"
    top |= {name: ", ".join(data[name]) for name in ("added", "removed") if data[name]}
    rows = [
        (line["table"], *(_shown(line["distances"][name]) for name in _HEADINGS))
        for line in data["tables"]
    ]
    headings = (named("table"), *(number(text) for text in _HEADINGS.values()))
    hidden = left_out(len(rows), data["num_tables"])
    text = (
        "Rows seen, lookups per sample and unique rows of lookups in a row: relative. "
        "Access, misses: largest distance of the curves. Blocks: share of the lookups "
        "that go to another of 1,024 blocks of rows. In brackets: no more than errors "
        "of measuring may be."
    )
    body = sentences([*filter(None, [hidden]), text])
    return Group(facts(top), section("Tables", table(headings, rows), body))


def _shown(entry: dict[str, Any]) -> str:
    text = percent(entry["distance"])
    return text if entry["beyond_errors"] or not entry["distance"] else f"({text})"
