"""A first look finds what is hot, and workers know what others have found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.statistics import count
from shardplan.statistics.log_files import list_parts
from shardplan.statistics.pilot import find_hot_rows, pilot_places
from shardplan.statistics.row_hash import row_hash
from shardplan.statistics.work_folder import WorkFolder
from tests.statistics.test_measure import clicks, mapping, write

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pyarrow")


def test_parts_are_spread_over_the_log() -> None:
    """All of a few, and of many as many as are enough."""
    assert pilot_places(0) == []
    assert pilot_places(3) == [0, 1, 2]
    many = pilot_places(5000)
    assert len(set(many)) == 512
    assert set(np.diff(many).tolist()) <= {9, 10}


def test_hot_rows_are_those_with_most_lookups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every table; a worker keeps them, and the level that others have reached."""
    monkeypatch.setattr(count, "_LEAST_KEPT", 40)
    monkeypatch.setattr(count, "KEPT_ROWS", 80)
    parts, _ = list_parts([write(tmp_path, clicks(5000))], mapping())
    hot = find_hot_rows(parts, mapping())
    whole = count.count_part(parts[0], mapping(), count.KeptRows(mapping(), hot))
    every = count.KeptRows(mapping())
    monkeypatch.setattr(every, "_most", 10**6)
    exact = count.count_part(parts[0], mapping(), every).tallies["item"].sample
    hottest = exact.rows[np.argsort(-exact.counts, kind="stable")[:20]]
    assert hot["item"].has(row_hash(hottest)).sum() >= 15
    assert 20 <= whole.tallies["item"].sample.is_hot.sum() <= 40
    folder = WorkFolder(tmp_path)
    folder.write_mapping(mapping())
    folder.write_hot("log", hot)
    assert folder.kept_rows("log").of("item").level == 0
    folder.write_part("part", whole, "log")
    kept = folder.kept_rows("log").of("item")
    assert kept.level == whole.tallies["item"].sample.level > 0
    assert (kept.hot.marks == hot["item"].marks).all()
