"""The text of a log file, decompressed, up to what of it cannot be read."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

PACKED = (".gz", ".zst", ".bz2")
"""Suffixes of compressed files."""
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 14
"""What of a chunk was unpacked before an error is lost."""


def _open(path: str) -> Any:
    suffix = Path(path).suffix.lower()
    if suffix == ".gz":
        return gzip.open(path)
    if suffix == ".bz2":
        return bz2.open(path)
    if suffix == ".zst":
        import pyarrow as pa

        return pa.input_stream(path, compression="zstd")
    return Path(path).open("rb")


class TextStream(io.RawIOBase):
    r"""Bytes of a file; where it is damaged they end, after the last whole line.

    A line that is cut could look like a whole one with another id.

    Attributes
    ----------
    damage : str
        Why the rest cannot be read; empty as long as nothing is wrong.
    quotes : int
        Quotes so far.
    is_utf8 : bool
        Whether all was so far; other bytes are written as `\xff`.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.damage = ""
        self.quotes = 0
        self.is_utf8 = True
        self._file = _open(path)
        suffix = Path(path).suffix.lower()
        self._next = self._file.read if suffix == ".zst" else self._file.read1
        self._chunk = _PACKED_CHUNK if suffix in PACKED else _CHUNK
        self._ready = memoryview(b"")
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as there is something."""
        while not self._ready and not self._ended:
            self._fill()
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _fill(self) -> None:
        """Take the next whole lines; at the end the last one, if nothing is wrong."""
        try:
            chunk = self._next(self._chunk)
        except (OSError, EOFError, zlib.error) as error:
            self.damage = str(error).splitlines()[0]
            self._ended = True
            return
        text = self._rest + chunk
        self._ended = not chunk
        end = len(text) if self._ended else text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._ready = memoryview(self._as_utf8(text[:end]))

    def _as_utf8(self, lines: bytes) -> bytes:
        r"""Write bytes that are no UTF-8 as `\xff`: other ids stay other ids.

        The CSV reader cannot report a line with such bytes.
        """
        self.quotes += lines.count(b'"')
        if lines.isascii():
            return lines
        text = lines.decode("utf-8", "backslashreplace").encode()
        self.is_utf8 &= text == lines
        return text


def header(path: str, delimiter: str) -> list[str]:
    """Return the names in the first line of a file; none if it has no line."""
    with TextStream(path) as stream:
        text = io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", "replace", "")
        return next(
            (names for names in csv.reader(text, delimiter=delimiter) if names), []
        )
