"""The journal of a study: one line per finished point, appended and never rewritten.

::

    {"journal": 1, "shardplan": "0.2.0"}
    {"id": "...", "key": "...", "values": {...}, "crc": "0a1b2c3d"}

A process that is killed leaves at most a line without its end, which the next one
closes before it appends. Every line has a checksum of itself, so what was cut or
overwritten is known, and what stands beside it on a line is still found. The last line
of an id counts.
"""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from shardplan.errors import InputError
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT = 1
"""Version of the lines."""
SYNC_S = 0.1
"""Lines are synced to the disk at most so often [s]; the system has them at once."""

_HEADER = re.compile(rb'\{"journal": ([0-9]{1,9}), "shardplan": "([^"\\\x00-\x1f]*)"\}')
_ENTRY = re.compile(rb'\{"id":(?:(?!\{"id":).)*?,"crc":"[0-9a-f]{8}"\}')
_TAIL = len(',"crc":"00000000"}')


class Entry(NamedTuple):
    """A finished point.

    Attributes
    ----------
    id, key : str
        Of the point as written, and of its inputs once they were changed; the key is
        empty if they could not be.
    values : dict
        Column to value.
    """

    id: str
    key: str
    values: dict[str, Any]


@dataclass
class Journal:
    """What a journal holds.

    Attributes
    ----------
    by_id, by_key : dict of str to Entry
    broken : int
        Lines that were cut or overwritten: their points are not there.
    others : dict of str to int
        Lines of other versions of shardplan, whose ids never meet those of this one.
    version : str
        Of the shardplan whose lines come last; empty for a new journal.
    ends_line : bool
        The next line can follow at once.
    """

    by_id: dict[str, Entry] = field(default_factory=dict)
    by_key: dict[str, Entry] = field(default_factory=dict)
    broken: int = 0
    others: dict[str, int] = field(default_factory=dict)
    version: str = ""
    ends_line: bool = True

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a journal; an empty one if there is no file.

        Raises
        ------
        InputError
            If the file cannot be read, is no journal, or has a later format.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            rule = f"cannot be read: {error.strerror or error}"
            raise InputError.single(str(path), "", None, rule) from error
        found = cls(ends_line=content[-1:] in (b"", b"\n"))
        for line in content.split(b"\n"):
            found._add_line(line, path)
        is_journal = found.version or found.by_id or is_cut_header(content)
        if not is_journal:
            rule = "is no journal of a study: name another folder"
            raise InputError.single(str(path), "", None, rule)
        return found

    def add(self, entry: Entry) -> None:
        """Take note of a point."""
        self.by_id[entry.id] = entry
        if entry.key:
            self.by_key[entry.key] = entry

    def _add_line(self, line: bytes, path: Path) -> None:
        if line.endswith(b"}") and (entry := _parse(line)) is not None:
            self._count(entry)
            return
        if not line.strip(b"\0\r "):
            return
        rest = _HEADER.sub(b"", line)
        for match in _HEADER.finditer(line):
            if int(match[1]) > FORMAT:
                rule = f"is a journal of shardplan {match[2].decode()}, with a later "
                rule += "format: use that release, or another folder"
                raise InputError.single(str(path), "", None, rule)
            self.version = match[2].decode("utf-8", "replace")
        for match in _ENTRY.finditer(rest):
            if (entry := _parse(match[0])) is not None:
                self._count(entry)
                rest = rest.replace(match[0], b"")
        if rest.strip(b"\0\r "):
            self.broken += 1

    def _count(self, entry: Entry) -> None:
        if self.version not in ("", VERSION):
            self.others[self.version] = self.others.get(self.version, 0) + 1
        self.add(entry)


def _parse(line: bytes) -> Entry | None:
    """Read a line; None if it is not what was written."""
    body = line[:-_TAIL] + b"}"
    if line[-_TAIL:] != _seal(body):
        return None
    try:
        data = json.loads(body)
        return Entry(data["id"], data["key"], data["values"])
    except (ValueError, KeyError, TypeError):
        return None


def _seal(body: bytes) -> bytes:
    """Return the end of a line: the checksum of all that comes before."""
    return b',"crc":"%08x"}' % zlib.crc32(body)


def is_cut_header(content: bytes) -> bool:
    """Whether a file is what a killed process leaves of a new journal."""
    return header().startswith(content.strip(b"\0\n "))


def header() -> bytes:
    """Return the line that says whose lines follow."""
    return b'{"journal": %d, "shardplan": "%s"}\n' % (FORMAT, VERSION.encode())


def format_entry(entry: Entry) -> bytes:
    """Return the line of a point."""
    text = json.dumps(entry._asdict(), separators=(",", ":"), allow_nan=False)
    body = text.encode()
    return body[:-1] + _seal(body) + b"\n"


class JournalWriter:
    """Appends to a journal; one process at a time has the folder's lock.

    Parameters
    ----------
    path : Path
    journal : Journal
        What the file holds.

    Raises
    ------
    InputError
        If nothing can be written; what was written before is kept.
    """

    def __init__(self, path: Path, journal: Journal) -> None:
        self._path = path
        self._journal = journal
        self._synced_s = time.monotonic()
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise self._refusal(error) from error
        start = b"" if journal.ends_line else b"\n"
        if journal.version != VERSION:
            start += header()
        try:
            self._write(start)
            self._sync()
        except BaseException:
            os.close(self._file)
            raise
        journal.version = VERSION

    def append(self, entries: Iterable[Entry]) -> None:
        """Write points that have finished."""
        found = list(entries)
        self._write(b"".join(map(format_entry, found)))
        for entry in found:
            self._journal.add(entry)
        if time.monotonic() - self._synced_s >= SYNC_S:
            self._sync()

    def close(self) -> None:
        """Sync the last lines."""
        try:
            self._sync()
        finally:
            os.close(self._file)

    def _write(self, content: bytes) -> None:
        """Append all of it or, on a full disk, none of it."""
        left, size = memoryview(content), os.fstat(self._file).st_size
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            os.ftruncate(self._file, size)
            raise self._refusal(error) from error

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._refusal(error) from error
        self._synced_s = time.monotonic()

    def _refusal(self, error: OSError) -> InputError:
        rule = f"cannot be written: {error.strerror or error}"
        if self._journal.by_id:
            rule += "; what is finished is kept, and the same command goes on"
        return InputError.single(str(self._path), "", None, rule)
