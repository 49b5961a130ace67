"""Runs of all kinds of times, against one stable sort of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.statistics.merging import TimeRun, merged, overlapping

if TYPE_CHECKING:
    from collections.abc import Iterator

pa = pytest.importorskip("pyarrow")


def runs_of(
    times: list[Any], batch: int, opened: list[int] | None = None
) -> list[TimeRun]:
    """Make runs of arrays of times, each sorted; samples are numbered as they lie."""
    noted = [] if opened is None else opened
    known = sorted({t for each in times for t in each})
    rank = {t: k for k, t in enumerate(known)}
    found, start = [], 0
    for place, each in enumerate(times):
        numbers = np.arange(start, start + len(each))
        start += len(each)
        order = sorted(range(len(each)), key=lambda k: each[k])
        table = pa.table({"t": [each[k] for k in order], "n": numbers[order]})

        def read(first: int, table: Any = table, place: int = place) -> Iterator[Any]:
            noted.append(place)
            try:
                for begin in range(first, table.num_rows, batch):
                    yield table.slice(begin, batch)
            finally:
                noted.remove(place)

        size = len(each)
        bounds = (rank[min(each)], rank[max(each)]) if size else (0, 0)
        found.append(TimeRun(place, *bounds, size, 0, size, read))
    return found


@pytest.mark.parametrize("kind", ["few", "many", "text"])
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_it_is_a_stable_sort(kind: str, batch: int) -> None:
    """Many samples of the same time among them, and runs of any size."""
    rng = np.random.default_rng(batch)
    for _ in range(20):
        sizes = rng.integers(0, 40, rng.integers(1, 8))
        most = 4 if kind == "few" else 1000
        times: list[Any] = [rng.integers(0, most, size).tolist() for size in sizes]
        if kind == "text":
            times = [[f"{t:04}" for t in each] for each in times]
        whole = [t for each in times for t in each]
        if not whole:
            continue
        schema = pa.table({"t": whole, "n": list(range(len(whole)))}).schema
        found = list(merged(runs_of(times, batch), "t", schema))
        numbers = [n for table in found for n in table["n"].to_pylist()]
        assert numbers == sorted(range(len(whole)), key=lambda k: whole[k])


def test_a_run_is_open_only_while_it_is_needed() -> None:
    """Where times of neighbours alone overlap, two or three are open at a time."""
    times = [list(range(100 * k, 100 * k + 150)) for k in range(20)]
    opened: list[int] = []
    schema = pa.schema([("t", pa.int64()), ("n", pa.int64())])
    most = 0
    for _ in merged(runs_of(times, 10, opened), "t", schema):
        most = max(most, len(opened))
    assert 2 <= most <= 3


def test_which_runs_overlap() -> None:
    """Equal times at a border are in order if the files are."""
    apart = runs_of([[0, 1], [1, 2], [5, 6], [3, 4]], 10)
    assert overlapping(apart) == set()
    assert overlapping(runs_of([[1, 2], [0, 1], [7]], 10)) == {0, 1}
    assert overlapping(runs_of([[0, 9], [2, 3], [4, 5], [20]], 10)) == {0, 1, 2}
