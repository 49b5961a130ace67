"""Arrays of whole numbers in files, read from where they lie, in blocks."""

from __future__ import annotations

import warnings
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_ROWS = 1 << 17
"""Samples that are read at a time."""
MOST_ROW_BYTES = 1 << 20
"""Bytes of a row beyond which a header is taken for a damaged one."""


class ArrayHeader(NamedTuple):
    """What the header of an array in NumPy's format says.

    Attributes
    ----------
    num_rows, width : int
        Shape; a width of 1 for one dimension.
    dtype : np.dtype
        Of anything but Python's objects.
    is_fortran : bool
        Whether columns lie one after the other, not rows.
    size : int
        Bytes of the header.
    """

    num_rows: int
    width: int
    dtype: np.dtype
    is_fortran: bool
    size: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.width * self.dtype.itemsize


def read_header(file: IO[bytes]) -> ArrayHeader:
    """Read the header of an array of at most two dimensions.

    Raises
    ------
    OSError
        If it is none, or that of another array.

    References
    ----------
    NumPy Enhancement Proposal 1, A simple file format for NumPy arrays.
    """
    formats = np.lib.format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            version = formats.read_magic(file)
            is_first = version == (1, 0)
            read = formats.read_array_header_1_0
            read = read if is_first else formats.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
    except Exception as error:  # NumPy parses Python: whatever that raises
        raise OSError("has no header of a NumPy array") from error
    if len(shape) not in (1, 2):
        raise OSError(f"is an array of {len(shape)} dimensions: one or two are read")
    num_rows, width = (*shape, 1)[:2]
    if dtype.hasobject:
        raise OSError("is an array of Python's objects, which are not read")
    found = ArrayHeader(num_rows, width, dtype, is_fortran, file.tell())
    if num_rows < 0 or not 0 < found.row_bytes <= MOST_ROW_BYTES:
        raise OSError(f"is an array of shape {shape}: no rows, or too long ones")
    return found


def require_ids(header: ArrayHeader) -> None:
    """Refuse an array that is not of whole numbers.

    Raises
    ------
    OSError
    """
    if header.dtype.kind not in "iu":
        raise OSError(f"is an array of {header.dtype}, not of whole numbers")


class Numbers(Protocol):
    """Whole numbers in a file."""

    def read(self, first: int, count: int) -> np.ndarray:
        """Return some in this machine's byte order.

        Raises
        ------
        OSError
            If they are not there.
        """


class StoredNumbers:
    """Those that lie in a file as they are; any can be read."""

    def __init__(self, file: IO[bytes], offset: int, dtype: np.dtype) -> None:
        self._file = file
        self._offset = offset
        self._dtype = dtype

    def read(self, first: int, count: int) -> np.ndarray:
        """Read from the file."""
        self._file.seek(self._offset + first * self._dtype.itemsize)
        return numbers_of(self._file, count, self._dtype)


def numbers_of(file: IO[bytes], count: int, dtype: np.dtype) -> np.ndarray:
    """Return the next numbers of a file in this machine's byte order.

    Raises
    ------
    OSError
        If it has fewer.
    """
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise OSError("the file ends before its numbers do")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)


def blocks(first: int, last: int, step: int = 0) -> Iterator[tuple[int, int]]:
    """Yield ends of blocks of rows; 0 for those that are read at a time."""
    step = step or BLOCK_ROWS
    for start in range(first, last, step):
        yield start, min(start + step, last)
