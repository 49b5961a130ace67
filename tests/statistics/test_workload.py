"""From a log to a workload that is solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.memory.access import measured_misses
from shardplan.costs.usage import TableUsage
from shardplan.errors import InputError
from shardplan.planning.planner import solve
from shardplan.records.log_mapping import LogTable
from shardplan.records.log_statistics import LogStatistics
from shardplan.records.tables import CdfAccess
from shardplan.statistics.folder import load_statistics, write_statistics
from shardplan.statistics.measure import measure
from shardplan.statistics.summary import summarise
from shardplan.statistics.workload import with_statistics
from tests.helpers import workload
from tests.statistics.logs import KINDS, lru_distances, shuffled
from tests.statistics.test_measure import MAPPING, clicks, mapping, write
from tests.statistics.test_reuse import tally_of

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.records.workload import Workload

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> LogStatistics:
    path = write(tmp_path_factory.mktemp("log"), clicks(5000))
    return measure([path], mapping())


def model(**item: object) -> Workload:
    tables = [
        {"name": "item", "num_embeddings": 20_000, "embedding_dim": 32, **item},
        {"name": "user", "num_embeddings": 100, "embedding_dim": 32},
        {"name": "other", "num_embeddings": 7, "embedding_dim": 32},
    ]
    return workload(*tables)


def test_measured_tables_replace_those_of_the_model(found: LogStatistics) -> None:
    """Others stay; the plan is made for what was measured."""
    made = with_statistics(model(), found)
    item, user, other = made.tables
    assert (item.pooling_factor, item.coverage) == (
        found.tables[0].pooling_factor,
        found.tables[0].coverage,
    )
    assert isinstance(item.access, CdfAccess)
    rows, share = item.access.points[-1]
    assert (rows * 20_000, share) == pytest.approx((found.tables[0].rows_seen, 1.0))
    assert user.coverage < 1.0
    assert item.measured == ("unique_ids", "miss_ratio", "block_heat")
    assert user.measured == item.measured
    lookups, rows = np.array(item.unique_ids).T
    for batch in found.tables[0].batches:
        unique = np.interp(batch.ids, lookups, rows)
        assert unique == pytest.approx(batch.unique_ids, rel=0.005)
    assert sum(item.block_heat) == pytest.approx(1.0)
    assert other == model().tables[2]
    assert solve(made, "dgx-h100", solver="greedy").verdict.violations == ()


def test_lengths_that_change_with_time(tmp_path: Path) -> None:
    """Lookups in a row are no batch then; what the planner takes is that of batches."""
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(16_384) // 4096 % 2, 1, 9)
    ids = shuffled(rng, int(lengths.sum()))
    lists = np.split(ids, np.cumsum(lengths)[:-1])
    table = pa.table({"seen": [each.tolist() for each in lists]})
    one = mapping(tables=MAPPING["tables"][:1], features=MAPPING["features"][:1])
    log = measure([write(tmp_path, table)], one)
    (item,) = log.tables
    parts = [lists[i : i + 2048] for i in range(0, len(lists), 2048)]
    true = np.mean([len(np.unique(np.concatenate(b))) for b in parts])
    assert item.batches[1].unique_ids == pytest.approx(true)
    assert np.interp(2048 * 5, *np.array(item.unique_rows).T) > 1.05 * true
    made = with_statistics(model(is_pooled=False), log)
    made = made.replace(global_batch_size=8 * 2048, dedup=True)
    usage = TableUsage.of(made, 8)
    assert usage.num_sent[0] / 8 == pytest.approx(true, rel=0.002)


@pytest.mark.parametrize("rows", [1, 7, 100, 1023])
def test_heat_of_few_rows_is_that_of_each(rows: int, tmp_path: Path) -> None:
    """Whatever the model said of where hot rows are: it was counted."""
    ids = shuffled(np.random.default_rng(3), 5000, rows)
    pq.write_table(pa.table({"item": ids}), tmp_path / "log.parquet")
    table = {"name": "item", "num_embeddings": rows}
    log = mapping(tables=[table], features=[{"column": "item", "table": "item"}])
    guess = model(num_embeddings=rows, row_routing="modulo")
    (item, *_) = with_statistics(guess, measure([tmp_path], log)).tables
    assert item.block_heat == pytest.approx(np.bincount(ids, minlength=rows) / 5000)
    assert item.row_routing is None


@pytest.mark.parametrize("kind", KINDS)
def test_misses_are_those_of_a_full_cache(kind: str, tmp_path: Path) -> None:
    """Within a point of caches that are run, not counted until they are full."""
    rows, size = 20_000, 40_000
    ids = KINDS[kind](np.random.default_rng(8), size, rows)
    table = {"name": "item", "num_embeddings": rows}
    feature = {"column": "item", "table": "item"}
    pq.write_table(pa.table({"item": ids}), tmp_path / "log.parquet")
    log = mapping(tables=[table], features=[feature])
    (item, *_) = with_statistics(model(), measure([tmp_path], log)).tables
    distances = lru_distances(ids)
    rows_before = np.cumsum(distances < 0) - (distances < 0)
    for cache in (64, 256, 1024):
        after = distances[rows_before >= cache]
        missed = float(((after < 0) | (after >= cache)).mean())
        assert measured_misses(item.miss_ratio, cache) == pytest.approx(
            missed, abs=0.01
        )
    assert measured_misses(item.miss_ratio, rows) == 0.0


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        ({"name": "items"}, "is no table of workload .*did you mean 'items'"),
        ({"num_embeddings": 5}, "was measured with 20,000 rows"),
    ],
)
def test_another_model(
    found: LogStatistics, item: dict[str, object], rule: str
) -> None:
    """Tables must be the same, by name and rows."""
    with pytest.raises(InputError, match=rule):
        with_statistics(model(**item), found)


def test_a_folder_keeps_them(found: LogStatistics, tmp_path: Path) -> None:
    """All digits; a folder of something else is left alone."""
    write_statistics(found, tmp_path / "s")
    assert load_statistics(tmp_path / "s") == found
    with pytest.raises(InputError, match="shardplan stats writes one"):
        load_statistics(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_statistics(found, tmp_path / "mine")


@pytest.mark.parametrize("rows", [1010, 1020, 1023, 1030, 2046])
def test_estimates_are_no_more_than_a_table_has(rows: int) -> None:
    """Where all rows are looked up a sample may say that there are more."""
    estimates = []
    for seed in range(4):
        ids = np.random.default_rng(seed).permutation(np.arange(8 * rows) % rows)
        tally = tally_of(ids, 4, 64)
        estimates.append(tally.sample.num_rows()[0])
        table = summarise(LogTable(name="item", num_embeddings=rows), tally, 0)
        assert table.rows_seen <= rows
        assert max(max(curve)[0] for curve in (table.access, table.miss_ratio)) <= rows
        assert max(most for _, most in table.unique_rows) <= rows
        log = LogStatistics(
            schema_version=1,
            name="log",
            num_samples=len(ids),
            tables=(table,),
            together=((1.0,),),
            unread=(),
        )
        item = with_statistics(model(num_embeddings=rows), log).tables[0]
        assert item.miss_ratio[-1] == (rows, 0.0)
    assert max(estimates) > rows
