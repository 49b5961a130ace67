"""Statistics in a folder: what was written, or what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.statistics.folder import load_statistics, write_statistics
from shardplan.statistics.workload import with_statistics
from tests.helpers import workload
from tests.report.test_statistics_diff import log

if TYPE_CHECKING:
    from pathlib import Path

MODEL = workload({"name": "item", "num_embeddings": 20_000, "embedding_dim": 8})


def changed(folder: Path, table: dict[str, Any], **log_keys: Any) -> Path:
    """Write the statistics of a log, with another table or other keys."""
    write_statistics(log("shuffled", 0), folder)
    file = folder / "statistics.json"
    data = json.loads(file.read_text())
    data["tables"][0] |= table
    file.write_text(json.dumps({**data, **log_keys}))
    return folder


def test_what_was_written(tmp_path: Path) -> None:
    assert load_statistics(changed(tmp_path / "found", {})) == log("shuffled", 0)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ({"access": []}, "access has no point"),
        ({"unique_rows": []}, "unique_rows has no point"),
        ({"miss_ratio": []}, "miss_ratio has no point"),
        ({"access": [[5, 9]]}, "shares must not be above 1"),
        ({"miss_ratio": [[5, 0.2], [3, 0.9]]}, "must not fall"),
        ({"unique_rows": [[-1, -5]]}, "must not be below 0"),
    ],
)
def test_curves_that_are_none(tmp_path: Path, table: dict[str, Any], rule: str) -> None:
    """Pictures and workloads would fail on them later."""
    with pytest.raises(InputError, match=rule) as caught:
        load_statistics(changed(tmp_path / "found", table))
    assert "statistics.json: tables[0]" in str(caught.value)


def test_tables_that_are_none(tmp_path: Path) -> None:
    """Two of one name, none at all, and a matrix of others."""
    one = json.loads((changed(tmp_path / "a", {}) / "statistics.json").read_text())
    twice, matrix = one["tables"] * 2, [[1, 1], [1, 1]]
    for keys, rule in (
        ({"tables": twice, "together": matrix}, "names must differ"),
        ({"tables": [], "together": []}, "tables = .*: must have"),
        ({"together": matrix}, "a row, and a column, for each table"),
    ):
        with pytest.raises(InputError, match=rule):
            load_statistics(changed(tmp_path / "b", {}, **keys))


def test_more_than_a_workload_may_say(tmp_path: Path) -> None:
    """What is wrong is said of the table, as of a workload file."""
    found = load_statistics(changed(tmp_path / "found", {"pooling_factor": 1e9}))
    with pytest.raises(InputError, match=r"shuffled: item: pooling_factor = 1.*10.6"):
        with_statistics(MODEL, found)
