"""What moved between two logs, by more than errors or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shardplan.records.log_mapping import LogTable
from shardplan.records.log_statistics import LogStatistics
from shardplan.report.statistics_diff import statistics_diff_data
from shardplan.statistics.summary import summarise
from tests.statistics.logs import KINDS, ROWS
from tests.statistics.test_reuse import tally_of


def log(kind: str, seed: int, keep: int = 10**6, name: str = "item") -> LogStatistics:
    ids = KINDS[kind](np.random.default_rng(seed), 20_000)
    table = LogTable(name=name, num_embeddings=ROWS)
    return LogStatistics(
        schema_version=1,
        name=kind,
        num_samples=len(ids),
        tables=(summarise(table, tally_of(ids, 4, keep), 0),),
        together=((1.0,),),
    )


def distances(old: LogStatistics, new: LogStatistics) -> dict[str, Any]:
    (line,) = statistics_diff_data(old, new)["tables"]
    found: dict[str, Any] = line["distances"]
    return found


def test_a_log_and_itself() -> None:
    data = statistics_diff_data(log("drifting", 0), log("drifting", 0))
    assert data["num_moved"] == 0
    for each in data["tables"][0]["distances"].values():
        assert each["distance"] == 0


def test_sampled_statistics_of_the_same_log_are_within_errors() -> None:
    """Though they are not the same."""
    found = distances(log("shuffled", 0), log("shuffled", 0, keep=2048))
    for name in ("rows_seen", "access", "unique_rows", "miss_ratio"):
        assert 0 < found[name]["distance"] <= found[name]["bound"]
        assert not found[name]["beyond_errors"]


def test_what_moved() -> None:
    """Order alone moves what depends on it; half of the blocks' shares is exact."""
    old, new = log("shuffled", 0), log("sessions", 0)
    found = distances(old, new)
    assert found["unique_rows"]["distance"] > 0.3
    assert found["miss_ratio"]["beyond_errors"]
    heat = [each.tables[0].block_heat for each in (old, new)]
    apart = np.abs(np.subtract(*heat)).sum() / 2
    assert found["block_heat"]["distance"] == pytest.approx(apart)
    assert found["mean_length"] == {
        "distance": 0.0,
        "bound": 0.0,
        "beyond_errors": False,
    }


def test_tables_of_one_log_only() -> None:
    data = statistics_diff_data(log("shuffled", 0), log("shuffled", 0, name="user"))
    assert (data["added"], data["removed"]) == (["user"], ["item"])
    assert data["tables"] == []
