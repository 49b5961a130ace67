"""MovieLens-100k in the order of time: measured, counted, and as a model guesses it.

``make test-data`` fetches it; without, these tests are left out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from shardplan.costs.memory.access import lru_hit_rate, row_bins, unique_rows
from shardplan.records.log_mapping import LogMapping
from shardplan.records.tables import CdfAccess
from shardplan.statistics.measure import measure
from tests.real_logs import FOLDER
from tests.statistics.logs import exact_misses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.log_statistics import TableStatistics

LOG = FOLDER / "ml-100k.inter"
ROWS = {"user": 944, "item": 1683}
SIZES = np.array([10.0, 20.0, 50.0, 100.0, 200.0, 500.0])

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(not LOG.exists(), reason="make test-data fetches it")


class Log(NamedTuple):
    """What is measured of one order of the samples, and the ids themselves."""

    ids: dict[str, Ints]
    found: dict[str, TableStatistics]


def log(time: str) -> Log:
    columns = np.loadtxt(LOG, dtype=np.int64, skiprows=1).T
    order = np.argsort(columns[3], kind="stable") if time else np.arange(100_000)
    features = [{"column": f"{n}_id:token", "table": n} for n in ROWS]
    tables = [{"name": n, "num_embeddings": rows} for n, rows in ROWS.items()]
    mapping = {"schema_version": 1, "name": "movielens", "format": "tsv", "time": time}
    mapping |= {"features": features, "tables": tables}
    tables = measure([LOG], LogMapping.model_validate(mapping)).tables
    ids = {"user": columns[0, order], "item": columns[1, order]}
    return Log(ids, {table.name: table for table in tables})


@pytest.fixture(scope="module")
def in_time() -> Log:
    """Sorted by time."""
    return log("timestamp:float")


@pytest.fixture(scope="module")
def as_it_lies() -> Log:
    """In the order of the file, which is not that of time."""
    return log("")


def at(points: Sequence[tuple[float, float]], x: Any) -> Any:
    return np.interp(x, *np.array(points).T)


def points_of(table: TableStatistics) -> tuple[tuple[float, float], ...]:
    return tuple((n / table.num_embeddings, share) for n, share in table.access)


def guessed_hits(table: TableStatistics, rows: float) -> float:
    """Hits of an LRU cache if lookups were independent, with the log's own curve."""
    bins = row_bins([table.num_embeddings], [CdfAccess(points=points_of(table))])
    return float(lru_hit_rate(bins, [rows])[0])


@pytest.mark.parametrize("name", ROWS)
def test_what_is_counted(in_time: Log, name: str) -> None:
    """Rows, blocks, modulo classes and the access curve, against plain counts."""
    ids, found = in_time.ids[name], in_time.found[name]
    counts = np.bincount(ids, minlength=ROWS[name])
    assert found.rows_seen == np.count_nonzero(counts)
    assert found.rows_seen_error == found.access_error == 0.0
    assert (found.lookups, found.out_of_range, found.unreadable) == (100_000, 0, 0)
    blocks = np.bincount(np.arange(ROWS[name]) * 1024 // ROWS[name], counts, 1024)
    assert found.block_heat == pytest.approx(blocks / 1e5, abs=1e-9)
    for ranks, skew in found.modulo_skew:
        classes = np.bincount(ids % int(ranks), minlength=int(ranks))
        assert skew == pytest.approx(classes.max() / classes.mean(), rel=1e-6)
    hottest = np.cumsum(np.sort(counts)[::-1]) / 1e5
    for rows, share in found.access:
        assert share == pytest.approx(hottest[int(rows) - 1], abs=1e-9)


@pytest.mark.parametrize("name", ROWS)
def test_distinct_rows_of_windows(in_time: Log, name: str) -> None:
    """The mean of all windows, as counted while one slides over the log."""
    curve = in_time.found[name].unique_rows
    for least in (60, 500, 4000):
        width, rows = next(point for point in curve if point[0] >= least)
        exact = sliding_window(in_time.ids[name].tolist(), int(width))
        assert rows == pytest.approx(exact, 1e-6)


def sliding_window(ids: list[int], width: int) -> float:
    inside, total = Counter(ids[:width]), 0
    for leaves, comes in zip(ids, [*ids[width:], -1], strict=False):
        total += len(inside)
        inside[comes] += 1
        inside[leaves] -= 1
        if not inside[leaves]:
            del inside[leaves]
    return total / (len(ids) - width + 1)


@pytest.fixture(scope="module")
def exact(in_time: Log) -> dict[str, Floats]:
    """Misses of LRU caches that are run lookup by lookup."""
    return {name: exact_misses(ids, SIZES) for name, ids in in_time.ids.items()}


@pytest.mark.parametrize("name", ROWS)
def test_misses_of_lru_caches(
    in_time: Log, exact: dict[str, Floats], name: str
) -> None:
    """Within half a point."""
    found = at(in_time.found[name].miss_ratio, SIZES)
    assert np.abs(found - exact[name]).max() <= 0.005


def test_distinct_rows_of_independent_lookups(in_time: Log) -> None:
    """Even with the log's own distribution a batch seems to have 24 times the users."""
    user = in_time.found["user"]
    bins = row_bins([944], [CdfAccess(points=points_of(user))])
    assert float(unique_rows(bins, [512.0])[0]) == pytest.approx(337, abs=1)
    assert at(user.unique_rows, 512) == pytest.approx(13.8, abs=0.1)


@pytest.mark.parametrize(
    ("name", "rows", "guess", "true"),
    [
        ("user", 50, 0.099, 0.982),
        ("item", 50, 0.082, 0.045),
        ("item", 200, 0.305, 0.259),
    ],
)
def test_hits_of_independent_lookups(
    exact: dict[str, Floats],
    in_time: Log,
    name: str,
    rows: int,
    guess: float,
    true: float,
) -> None:
    """Caches of users are taken for useless, those of items for better than they are.

    People come for a while, and rate a film once.
    """
    hits = dict(zip(SIZES, 1.0 - exact[name], strict=True))
    assert hits[rows] == pytest.approx(true, abs=0.001)
    assert guessed_hits(in_time.found[name], rows) == pytest.approx(guess, abs=0.001)


def test_the_file_is_not_in_time_order(as_it_lies: Log) -> None:
    """As it lies caches of items seem to be as independent lookups have them."""
    item = as_it_lies.found["item"]
    for rows in (50, 200):
        hits = 1.0 - at(item.miss_ratio, rows)
        assert hits == pytest.approx(guessed_hits(item, rows), abs=0.001)
