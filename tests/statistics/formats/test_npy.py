"""Arrays of samples x features, cut and turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.statistics.measure import measure
from tests.statistics.formats.files import mapping, npy

if TYPE_CHECKING:
    from pathlib import Path

IDS = np.arange(60, dtype=np.int32).reshape(20, 3)
TABLES = [{"name": n, "num_embeddings": 100} for n in ("x", "y")]
FEATURES = [
    {"column": "sparse_0", "table": "x"},
    {"column": "sparse_2", "table": "y"},
]
USE = mapping(".npy", columns=(), tables=TABLES, features=FEATURES)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<i4", ">i8", "u1"])
def test_columns_are_numbered(tmp_path: Path, order: str, kind: str) -> None:
    """Whatever the order of bytes, and of rows and columns."""
    path = tmp_path / "day_0_sparse.npy"
    path.write_bytes(npy(np.array(IDS, dtype=kind, order=order)))
    x, y = measure([path], USE, strict=True).tables
    heat = np.flatnonzero(np.array(x.block_heat))
    assert heat.tolist() == [i * 1024 // 100 for i in range(0, 60, 3)]
    assert (x.lookups, y.lookups, y.rows_seen) == (20, 20, 20)


def test_a_cut_array_has_its_rows(tmp_path: Path) -> None:
    """The others are named; columns that are cut are no samples."""
    path = tmp_path / "log.npy"
    path.write_bytes(npy(IDS)[:-30])
    found = measure([path], USE)
    assert found.num_samples == 17
    assert [u.reason for u in found.unread] == ["the file is cut: 3 samples are lost"]
    path.write_bytes(npy(np.asfortranarray(IDS))[:-30])
    with pytest.raises(InputError, match="20 samples are lost"):
        measure([path], USE)


def test_columns_name_all(tmp_path: Path) -> None:
    """Or none."""
    path = tmp_path / "log.npy"
    path.write_bytes(npy(IDS))
    with pytest.raises(InputError, match="names 1 columns, the array has 3"):
        measure([path], mapping(".npy"))
