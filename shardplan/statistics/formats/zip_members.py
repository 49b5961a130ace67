"""Members of a zip file, and where in it they lie."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from shardplan.statistics.formats.arrays import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, lzma.LZMAError, struct.error),
    *(NotImplementedError, OverflowError, UnicodeDecodeError),
)
"""What a damaged zip file raises."""
_LOCAL = struct.Struct("<4s22x2H")
"""Signature, and lengths of the name and of the extra field."""


@contextmanager
def opened_zip(file: str | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a zip file, none of whose members is encrypted.

    Raises
    ------
    OSError
        If it is none, or damaged, also while it is read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if any(info.flag_bits & 1 for info in archive.infolist()):
                raise OSError("is encrypted")
            yield archive
    except ZIP_ERRORS as error:
        raise OSError(f"is a damaged zip file: {error}") from error


class PackedNumbers:
    """Whole numbers of a compressed member, which are read one after the other."""

    def __init__(self, member: IO[bytes], dtype: np.dtype) -> None:
        self._member = member
        self._dtype = dtype

    def read(self, _: int, count: int) -> np.ndarray:
        """Return the next ones.

        Raises
        ------
        OSError
            If they are not there, or damaged.
        """
        try:
            return numbers_of(self._member, count, self._dtype)
        except ZIP_ERRORS as error:
            raise OSError(f"is a damaged zip file: {error}") from error


def stored_at(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member that is not compressed begin.

    Raises
    ------
    OSError
        If they are not in the file.

    References
    ----------
    PKWARE, APPNOTE.TXT 6.3.10, 4.3.7: the local header is 30 bytes, a name and a field.
    """
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        raise OSError(f"is a damaged zip file: {info.filename} is not where it says")
    _, name, extra = _LOCAL.unpack(header)
    start = info.header_offset + _LOCAL.size + name + extra
    if start + info.file_size > file.seek(0, 2):
        raise OSError(f"is a damaged zip file: {info.filename} is cut")
    return int(start)
