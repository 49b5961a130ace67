"""Files of torch.save are read, and nothing that they say is done."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from shardplan.statistics.formats.tensors import read_tensors
from tests.statistics.formats.files import Evil, pickled, saved, zipped

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = [np.arange(5), np.arange(6).reshape(2, 3)]


def read(content: bytes) -> list[list[int]]:
    tensors = read_tensors(io.BytesIO(content))
    return [t.numbers.read(0, int(np.prod(t.shape))).tolist() for t in tensors]


def test_what_is_read() -> None:
    """Numbers row by row, in both byte orders."""
    expected = [t.ravel().tolist() for t in NUMBERS]
    assert read(saved(NUMBERS)) == expected
    swapped = [t.byteswap() for t in NUMBERS]
    assert read(saved(swapped, byteorder=b"big")) == expected
    small = zipped(
        {
            "x/data.pkl": pickled(NUMBERS[:1], "IntStorage"),
            "x/data/0": NUMBERS[0].astype(np.int32).tobytes(),
        }
    )
    assert read(small) == expected[:1]


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_nothing_is_called(protocol: int, capsys: pytest.CaptureFixture[str]) -> None:
    """By any protocol."""
    content = zipped({"log/data.pkl": pickle.dumps(Evil(), protocol)})
    with pytest.raises(OSError, match=r"print|instruction"):
        read(content)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"PK", "is a damaged zip file"),
        (zipped({"x": b""}), "no file of torch.save"),
        (saved(NUMBERS, **{"data.pkl": b"\x80\x02N."}), "no tuple"),
        (saved(NUMBERS, **{"data.pkl": pickle.dumps((1, 2), 2)}), "no tensors"),
        (saved(NUMBERS, **{"data.pkl": pickle.dumps({}, 2)}), "EMPTY_DICT"),
        (saved(NUMBERS, **{"data.pkl": pickled([NUMBERS[1].T])}), "not contiguous"),
        (saved(NUMBERS, **{"data.pkl": pickled(NUMBERS, "FloatStorage")}), "Float"),
        (saved(NUMBERS, **{"data.pkl": pickled([np.arange(6)])}), "more numbers"),
        (zipped({"x/data.pkl": pickled(NUMBERS)}), "lacks the numbers"),
        (zipped({"x/data.pkl": b" " * (1 << 21)}), "with a few tensors"),
    ],
)
def test_other_files(content: bytes, rule: str) -> None:
    """The reason is said."""
    with pytest.raises(OSError, match=rule):
        read(content)


@pytest.mark.parametrize("is_new", [True, False])
def test_files_of_torch(tmp_path: Path, *, is_new: bool) -> None:
    """Those that it writes itself; its old format is refused."""
    torch: Any = pytest.importorskip("torch")
    path = tmp_path / "log.pt"
    tensors = tuple(torch.from_numpy(t) for t in NUMBERS)
    torch.save(tensors, path, _use_new_zipfile_serialization=is_new)
    if is_new:
        assert read(path.read_bytes()) == [t.ravel().tolist() for t in NUMBERS]
        return
    with pytest.raises(OSError, match="zip"):
        read(path.read_bytes())
