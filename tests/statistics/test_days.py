"""Days are the same, however a log is divided."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.statistics import log_files
from shardplan.statistics.count import PartStatistics
from shardplan.statistics.days import MOST_DAYS, DayRows, day_labels
from shardplan.statistics.measure import measure
from shardplan.statistics.packing import pack, unpack
from tests.statistics.logs import shuffled
from tests.statistics.test_measure import clicks, mapping, write

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")


def days_of(ids: np.ndarray, day: np.ndarray, parts: int, most: int) -> DayRows:
    pieces = zip(np.array_split(ids, parts), np.array_split(day, parts), strict=True)
    labels = [str(n) for n in range(day.max() + 1)]
    found = [DayRows.of(labels, d, i, np.ones_like(i), most) for i, d in pieces]
    return reduce(add, found)


@pytest.mark.parametrize("most", [10**6, 2000])
def test_what_is_kept_is_exact(most: int) -> None:
    """In any number of parts, and of the same rows on each day."""
    ids = shuffled(np.random.default_rng(0), 20_000)
    day = np.arange(20_000) // 5000
    found = days_of(ids, day, 7, most)
    assert (found.level > 0) == (most == 2000)
    assert sum(len(d.rows) for d in found.days.values()) <= most
    other = days_of(ids, day, 3, most)
    assert found.level == other.level
    for number in range(4):
        one, two = found.days[str(number)], other.days[str(number)]
        rows, counts = np.unique(ids[day == number], return_counts=True)
        kept = np.isin(rows, one.rows)
        assert one.lookups == two.lookups == 5000
        assert one.rows.tolist() == two.rows.tolist() == rows[kept].tolist()
        assert one.counts.tolist() == two.counts.tolist() == counts[kept].tolist()


def test_days_are_kept_in_files() -> None:
    """As a run needs that goes on where another stopped."""
    found = PartStatistics.none(mapping())
    ids = shuffled(np.random.default_rng(0), 100)
    found.days["item"] = days_of(ids, np.arange(100) // 50, 1, 1000)
    again = unpack(pack(found))
    assert again is not None
    both = (again + found).days["item"].days
    assert [day.lookups for day in both.values()] == [100, 100]


@pytest.mark.parametrize(
    ("values", "length", "labels"),
    [
        (pa.array([3, 3, None, 4]), 0, ["3", "3", None, "4"]),
        (pa.array([b"mon", b"tue"]), 0, ["mon", "tue"]),
        (pa.array([5, 99, 100]), 100, ["0", "0", "1"]),
        (pa.array([b"5", b"250"]), 100, ["0", "2"]),
        (pa.array([10**9, 2 * 86_400], pa.timestamp("s")), 0, None),
    ],
)
def test_labels(values: Any, length: int, labels: list[str | None] | None) -> None:
    names, day = day_labels(values, mapping(day="who", day_length=length), "log")
    found = [names[i] if i >= 0 else None for i in day]
    assert found == (labels or ["2001-09-09", "1970-01-03"])


@pytest.mark.parametrize(
    ("values", "length", "rule"),
    [
        (pa.array([b"mon"]), 10, "has no days"),
        (pa.array([[1]]), 0, "has no days"),
        (pa.array(range(MOST_DAYS + 1)), 0, "give day_length"),
    ],
)
def test_no_days(values: Any, length: int, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        day_labels(values, mapping(day="who", day_length=length), "log")


def test_days_of_a_log(tmp_path: Path) -> None:
    """Lookups of all days are those of the log; without days there are none."""
    path = write(tmp_path, clicks(5000))
    item, _ = measure([path], mapping(day="time", day_length=2000)).tables
    assert [day.day for day in item.days] == ["0", "1", "2"]
    assert sum(day.lookups for day in item.days) == item.lookups
    log = mapping(time="time", day="time", day_length=2000)
    assert measure([path], log).tables[0].days == item.days
    assert measure([path], mapping()).tables[0].days == ()


def test_days_of_paths(tmp_path: Path) -> None:
    """As if a column said them, in any order of the samples."""
    log, files = clicks(3000), []
    for number, name in enumerate(("day_2", "day_10", "day_9")):
        part = log.slice(1000 * number, 1000)
        part = part.append_column("day", pa.repeat(name, 1000))
        files.append(write(tmp_path / name, part))
    for time in ("", "time"):
        expected = measure(files, mapping(day="day", time=time)).tables
        days = [day.day for day in expected[0].days]
        assert days == ["day_2", "day_9", "day_10"]
        for pattern in (r"day_\d+", r"/(day_\d+)/"):
            found = measure([tmp_path], mapping(day_path=pattern, time=time))
            assert found.tables == expected


def test_paths_without_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named; and too many, and no expressions."""
    files = [write(tmp_path / f"{n}.parquet", clicks(2)) for n in range(3)]
    for pattern, number in ((r"\b1\.par", 2), (r"\b(x)?\d\.par", 3)):
        with pytest.raises(InputError, match=f"in the path of {number} files, such"):
            measure(files, mapping(day_path=pattern))
    monkeypatch.setattr(log_files, "MOST_DAYS", 2)
    with pytest.raises(InputError, match="finds 3 days: at most 2"):
        measure(files, mapping(day_path=r"\b\d\.par"))
    with pytest.raises(ValueError, match="is no regular expression"):
        mapping(day_path="day_(")
    with pytest.raises(ValueError, match="only one of day and day_path"):
        mapping(day="time", day_path="day")


def test_day_length_needs_a_day() -> None:
    with pytest.raises(ValueError, match="day_length goes with day"):
        mapping(day_length=5)
