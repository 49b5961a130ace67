"""Batches of tables: what does not fit together is refused, or costs its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.statistics.formats import arrays
from shardplan.statistics.measure import measure
from tests.statistics.formats.files import batch as tensors_of
from tests.statistics.formats.files import ids, mapping, saved

if TYPE_CHECKING:
    from pathlib import Path

LOG = ids(40)


def test_offsets_that_fall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their block is left out, and its samples are named."""
    monkeypatch.setattr(arrays, "BLOCK_ROWS", 10)
    indices, offsets, lengths = tensors_of(LOG)
    offsets[15] = 10**12
    path = tmp_path / "log.pt"
    path.write_bytes(saved([indices, offsets, lengths]))
    found = measure([path], mapping(".pt"))
    assert found.num_samples == 30
    assert [u.reason for u in found.unread] == ["10 samples whose offsets are wrong"]


@pytest.mark.parametrize(
    ("tensors", "rule"),
    [
        (tensors_of(LOG)[:2], "no indices, offsets, and lengths"),
        ([np.arange(3), np.arange(3), np.ones((2, 40), int)], "3 offsets for lengths"),
        ([np.arange(0), np.arange(1), np.ones((2, 0), int)], "has no sample"),
    ],
)
def test_tensors_that_are_no_batch(
    tmp_path: Path, tensors: list[np.ndarray], rule: str
) -> None:
    """The file is refused."""
    path = tmp_path / "log.pt"
    path.write_bytes(saved(tensors))
    with pytest.raises(InputError, match=rule):
        measure([path], mapping(".pt"))


def test_columns_name_all_tables(tmp_path: Path) -> None:
    """Or none."""
    path = tmp_path / "log.pt"
    path.write_bytes(saved(tensors_of(LOG)))
    with pytest.raises(InputError, match="names 1 columns, the file has 2 tables"):
        measure([path], mapping(".pt", columns=["a"]))
