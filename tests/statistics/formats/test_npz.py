"""Zipped arrays, one for each feature."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.statistics.formats import arrays
from shardplan.statistics.measure import measure
from tests.statistics.formats.files import ids, mapping, npy, zipped

if TYPE_CHECKING:
    from pathlib import Path

LOG = {f"{n}.npy": npy(v) for n, v in ids(5000).items()}


def test_what_numpy_writes(tmp_path: Path) -> None:
    """With and without compression; other arrays do not matter."""
    names = {**ids(50), "dense": np.zeros(3)}
    np.savez(tmp_path / "a.npz", **names)  # type: ignore[arg-type]
    np.savez_compressed(tmp_path / "b.npz", **names)  # type: ignore[arg-type]
    a, b = (measure([tmp_path / f"{n}.npz"], mapping(".npz")) for n in "ab")
    assert a == b
    assert [t.lookups for t in a.tables] == [50, 150]


def test_damage_within_compressed_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs what comes after it, which is named."""
    monkeypatch.setattr(arrays, "BLOCK_ROWS", 100)
    content = bytearray(zipped(LOG, zipfile.ZIP_DEFLATED))
    content[len(content) * 3 // 4] ^= 0xFF
    path = tmp_path / "log.npz"
    path.write_bytes(content)
    found = measure([path], mapping(".npz"))
    (unread,) = found.unread
    assert 1000 < found.num_samples < 5000
    assert f"{5000 - found.num_samples:,} samples are lost" in unread.reason


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"a.npy": npy(np.zeros((4, 1), int))}, r"different rows: \[4, 5000\]"),
        ({"b.npy": npy(np.zeros((5000, 2)))}, "b.npy is an array of float64"),
        ({"b.npy": LOG["b.npy"][:-1]}, "another size than its header"),
        ({"b.npy": npy(np.zeros((5000, 2), int, "F"))}, "one after the other"),
    ],
)
def test_arrays_that_do_not_fit(
    tmp_path: Path, change: dict[str, bytes], rule: str
) -> None:
    """The file is refused."""
    path = tmp_path / "log.npz"
    path.write_bytes(zipped({**LOG, **change}))
    with pytest.raises(InputError, match=rule):
        measure([path], mapping(".npz"))
