"""The text of a log file, decompressed, in blocks of whole lines."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKED = (".gz", ".zst", ".bz2")
"""Suffixes of compressed files."""
BLOCK_BYTES = 1 << 24
"""Bytes of a block, and how many are added where cells have lines in them."""
LONGEST = 4 * BLOCK_BYTES
"""Bytes from which on a line is too long, and a quote is not closed any more."""
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 14
"""What of a chunk was unpacked before an error is lost."""
_MARK = b"\xef\xbb\xbf"


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


class TextStream:
    r"""Text of a file; where it is damaged it ends, after the last whole line.

    A line that is cut could look like a whole one with another id.

    Parameters
    ----------
    has_quotes : bool
        Whether lines between quotes are one; a block does not end in them.

    Attributes
    ----------
    damage : str
        Why the rest cannot be read; empty as long as nothing is wrong.
    long_lines : int
        Lines that are left out because they have more than `LONGEST` bytes.
    open_quotes : int
        Lines with a quote that is not closed within `LONGEST` bytes: each is a block,
        so that it takes no others into its cell.
    is_utf8 : bool
        Whether all was so far; other bytes are written as `\xff`.
    """

    def __init__(self, path: str, *, has_quotes: bool = True) -> None:
        self.damage = ""
        self.long_lines = 0
        self.open_quotes = 0
        self.is_utf8 = True
        self._has_quotes = has_quotes
        self._file = _open(path)
        suffix = Path(path).suffix.lower()
        self._next = self._file.read if suffix == ".zst" else self._file.read1
        self._chunk = _PACKED_CHUNK if suffix in PACKED else _CHUNK
        self._text = bytearray()
        self._ended = False

    def __enter__(self) -> Self:
        """Return the stream, whose file is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks of whole lines, without a mark of the byte order."""
        size = BLOCK_BYTES
        self._fill(size)
        if self._text.startswith(_MARK):
            del self._text[: len(_MARK)]
        while self._text:
            if end := self._end():
                yield self._as_utf8(self._take(end))
                size = BLOCK_BYTES
            elif len(self._text) >= LONGEST:
                self._skip_line()
            else:
                size = len(self._text) + BLOCK_BYTES
            self._fill(size)

    def reasons(self) -> Iterator[str]:
        """Yield what is wrong with the text so far, and what of it is left out."""
        if self.damage:
            yield self.damage
        if self.long_lines:
            yield f"{self.long_lines} lines of more than {LONGEST >> 20} MiB"
        if self.open_quotes:
            yield f"{self.open_quotes} lines with a quote that is not closed"
        if not self.is_utf8:
            yield r"bytes that are not UTF-8, which are taken as \x.."

    def _fill(self, size: int) -> None:
        """Read until there are so many bytes, or there is no more.

        The last line ends as all others, or is left out where it is cut.
        """
        while len(self._text) < size and not self._ended:
            try:
                chunk = self._next(self._chunk)
            except (OSError, EOFError, zlib.error) as error:
                self.damage = str(error).splitlines()[0]
                self._ended = True
                del self._text[_last_line_end(self._text) :]
                return
            self._text += chunk
            if not chunk:
                self._ended = True
                if not self._text.endswith((b"\n", b"\r")) and self._text:
                    self._text += b"\n"

    def _take(self, end: int) -> bytes:
        taken = bytes(memoryview(self._text)[:end])
        del self._text[:end]
        return taken

    def _end(self) -> int:
        """Return where a block ends; 0 if more has to be read first."""
        end = _last_line_end(self._text)
        if self._has_quotes and self._text.count(b'"', 0, end) % 2:
            end = _last_line_end_outside(self._text)
            if not end and (self._ended or len(self._text) >= LONGEST):
                self.open_quotes += 1
                end = _first_line_end(self._text)
        return end

    def _skip_line(self) -> None:
        """Leave out what has no end, and what comes up to the next end."""
        self.long_lines += 1
        end = 0
        while not end and self._text:
            self._text.clear()
            self._fill(BLOCK_BYTES)
            end = _first_line_end(self._text)
        del self._text[:end]

    def _as_utf8(self, lines: bytes) -> bytes:
        r"""Write bytes that are no UTF-8 as `\xff`: other ids stay other ids.

        The CSV reader cannot report a line with such bytes.
        """
        if lines.isascii():
            return lines
        text = lines.decode("utf-8", "backslashreplace").encode()
        self.is_utf8 &= text == lines
        return text


def _line_end(text: bytearray) -> bytes:
    """Return the byte that ends lines: an old file has only carriage returns."""
    return b"\n" if b"\n" in text else b"\r"


def _first_line_end(text: bytearray) -> int:
    return text.find(_line_end(text)) + 1


def _last_line_end(text: bytearray) -> int:
    return text.rfind(_line_end(text)) + 1


def _last_line_end_outside(text: bytearray) -> int:
    """Return the end of the last line that is not between quotes."""
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    ends = np.flatnonzero(codes == ord(_line_end(text)))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0
