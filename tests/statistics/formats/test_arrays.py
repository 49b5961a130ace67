"""Headers of arrays, and those that are refused."""

from __future__ import annotations

import io

import numpy as np
import pytest

from shardplan.statistics.formats.arrays import read_header, require_ids
from tests.statistics.formats.files import npy


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_what_a_header_says(version: tuple[int, int], shape: tuple[int, ...]) -> None:
    """Its own size, too."""
    content = npy(np.zeros(shape, ">i2"), version)
    found = read_header(io.BytesIO(content))
    assert (found.num_rows, found.width, found.dtype) == (*(*shape, 1)[:2], ">i2")
    assert found.size + found.num_rows * found.row_bytes == len(content)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "has no header"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': __imp", "has no header"),
        (b"\x93NUMPY\x01\x00\x08\x00((((((((", "has no header"),
        (npy(np.zeros((2, 2, 2), int)), "of 3 dimensions"),
        (npy(np.zeros((2, 0), int)), "no rows, or too long"),
        (npy(np.zeros(2)), "float64, not of whole numbers"),
        (npy(np.zeros(2, "M8[s]")), "not of whole numbers"),
        (npy(np.array([{}, {}], dtype=object)), "Python's objects"),
    ],
)
def test_other_arrays(content: bytes, rule: str) -> None:
    """The reason is said."""
    with pytest.raises(OSError, match=rule):
        require_ids(read_header(io.BytesIO(content)))
