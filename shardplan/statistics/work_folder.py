"""The folder beside the output that has what is counted of a log so far.

::

    lock            held while a run is at work
    mapping.json    for its workers
    KEY.hot         the hot rows of the log
    KEY.levels      what is known of the samples of the whole log
    KEY.part        the statistics of consecutive parts of the log
    KEY.order       the times of a part, and checksums of its runs
    KEY-N.run       samples of a part, sorted by time
    KEY.sorted      samples of the whole log, sorted by time, that are to be counted

A key is the digest of all that a file depends on, so what was counted twice has the
same name, and what is out of date has another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shardplan.errors import InputError
from shardplan.io.locks import try_lock
from shardplan.records.log_mapping import LogMapping
from shardplan.records.record import dump
from shardplan.statistics.count import KeptRows, PartStatistics
from shardplan.statistics.packing import pack, unpack
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from shardplan.statistics.hot_rows import HotRows
    from shardplan.statistics.log_files import Part

T = TypeVar("T")

_SUFFIXES = (".hot", ".levels", ".part", ".order", ".run", ".sorted", ".tmp")
_LOCK, _MAPPING = "lock", "mapping.json"
_MOST_OWNER = 200
SAME_PATHS = "workers need the log and this folder under the same paths"


class WorkFolder:
    """Files by their keys, each whole or not there.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextmanager
    def held(self) -> Iterator[WorkFolder]:
        """Make the folder if need be, and hold its lock within the block.

        Without anything that helps a next run it is removed in the end.

        Raises
        ------
        InputError
            If it has other files, cannot be written, or another run is at work.
        """
        with self.refusals():
            self.path.mkdir(exist_ok=True)
            self._refuse_others()
            lock = (self.path / _LOCK).open("a+b")
        with lock:
            if not try_lock(lock):
                lock.seek(0)
                owner = lock.read(_MOST_OWNER).decode("utf-8", "replace").strip()
                rule = f"another run is at work there ({owner or 'it has just begun'})"
                raise InputError.single(str(self.path), "", None, rule)
            with self.refusals():
                lock.truncate(0)
                lock.write(f"process {os.getpid()} on {platform.node()}\n".encode())
                lock.flush()
            try:
                yield self
            finally:
                if not self.names(".part") and not self.names(".order"):
                    self.remove()

    def require(self) -> None:
        """Raise `InputError` if it cannot be seen from here."""
        if not self.path.is_dir():
            rule = f"is not there; {SAME_PATHS}"
            raise InputError.single(str(self.path), "", None, rule)

    def file(self, name: str) -> Path:
        """Return the path of a file."""
        return self.path / name

    def names(self, suffix: str) -> set[str]:
        """Return the names of the files of a kind."""
        return {path.name for path in self.path.glob(f"*{suffix}")}

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Give a new file to write to, which takes its name in the end."""
        draft = self.file(f"{name}-{secrets.token_hex(8)}.tmp")
        with self.refusals():
            try:
                yield draft
                draft.replace(self.file(name))
            finally:
                draft.unlink(missing_ok=True)

    def write_hot(self, log: str, hot: dict[str, HotRows]) -> None:
        """Keep the hot rows of a log."""
        with self.draft(f"{log}.hot") as draft:
            draft.write_bytes(pack(hot))

    def has_hot(self, log: str) -> bool:
        """Tell whether the hot rows of a log are there."""
        return self._unpacked(f"{log}.hot", dict) is not None

    def hot_digest(self, log: str) -> str:
        """Return the digest of the hot rows of a log, which are there."""
        return hashlib.sha256(self.file(f"{log}.hot").read_bytes()).hexdigest()[:32]

    def kept_rows(self, log: str) -> KeptRows:
        """Return which rows of a log are kept, as it is known by now.

        Raises
        ------
        InputError
            If that is not there, or damaged.
        """
        name = f"{log}.hot"
        hot = self._required(name, self._unpacked(name, dict))
        return KeptRows(self.mapping(), hot, self._levels(log))

    def write_part(self, key: str, found: PartStatistics, log: str) -> None:
        """Keep the statistics of consecutive parts of a log."""
        with self.draft(f"{key}.part") as draft:
            draft.write_bytes(pack(found))
        known = KeptRows(self.mapping(), levels=self._levels(log))
        before = known.levels.copy()
        known.learn(found)
        if known.levels != before:
            # Of two that write at once either is right: levels may be too low.
            with self.draft(f"{log}.levels") as draft:
                draft.write_text(json.dumps(known.levels), encoding="utf-8")

    def _levels(self, log: str) -> dict[str, int]:
        try:
            text = self.file(f"{log}.levels").read_bytes()
        except FileNotFoundError:
            return {}
        levels: dict[str, int] = json.loads(text)
        return levels

    def part(self, key: str) -> PartStatistics | None:
        """Return the statistics of a key; None if they are not there, or damaged."""
        return self._unpacked(f"{key}.part", PartStatistics)

    def require_part(self, key: str) -> PartStatistics:
        """Return the statistics of a key.

        Raises
        ------
        InputError
            If they are not there, or damaged.
        """
        return self._required(f"{key}.part", self.part(key))

    def _required(self, name: str, found: T | None) -> T:
        if found is None:
            rule = "was damaged or removed: the same command counts it again"
            raise InputError.single(str(self.file(name)), "", None, rule)
        return found

    def _unpacked(self, name: str, kind: type[T]) -> T | None:
        """Return what a file has; None if it is not there, or damaged."""
        try:
            found = unpack(self.file(name).read_bytes())
        except OSError:
            return None
        return found if isinstance(found, kind) else None

    def keep_only(self, names: Collection[str]) -> None:
        """Remove what an earlier run left that is of no use."""
        with self.refusals():
            for path in self.path.iterdir():
                if path.suffix in _SUFFIXES and path.name not in names:
                    path.unlink()

    def write_mapping(self, mapping: LogMapping) -> None:
        """Write the mapping for workers."""
        with self.draft(_MAPPING) as draft:
            draft.write_text(json.dumps(dump(mapping)), encoding="utf-8")

    def mapping(self) -> LogMapping:
        """Return the mapping of the run that is at work."""
        return LogMapping.model_validate_json(self.file(_MAPPING).read_bytes())

    def remove(self) -> None:
        """Remove the folder: its output is written."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn what the system says into the error of an input."""
        try:
            yield
        except OSError as error:
            rule = f"cannot be written: {error.strerror or error}"
            raise InputError.single(str(self.path), "", None, rule) from error

    def _refuse_others(self) -> None:
        own = {_LOCK, _MAPPING}
        for path in self.path.iterdir():
            if path.name not in own and path.suffix not in _SUFFIXES:
                rule = (
                    f"has {path.name}, which is no partial result of a log: rename "
                    "the folder, or give another output"
                )
                raise InputError.single(str(self.path), "", None, rule)


def beside(output: str | os.PathLike[str]) -> WorkFolder:
    """Return the folder for what is counted until an output can be written."""
    target = Path(output).resolve()
    return WorkFolder(target.with_name(f"{target.name}.partial"))


def digest(*items: object) -> str:
    """Return the key of what JSON can say."""
    text = json.dumps(items, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


Stamps = dict[str, tuple[int, int]]
"""Size [bytes] and time of the last change [ns] of files."""


def stamps_of(parts: Sequence[Part]) -> Stamps:
    """Return what tells whether the files of parts have changed; none of those gone."""
    found: Stamps = {}
    for path in sorted({piece.path for part in parts for piece in part}):
        with suppress(OSError):
            status = Path(path).stat()
            found[path] = status.st_size, status.st_mtime_ns
    return found


def part_keys(parts: Sequence[Part], mapping: LogMapping, stamps: Stamps) -> list[str]:
    """Return the keys of parts: of their files as they are, and of how to read them."""
    start = digest(VERSION, {**dump(mapping), "name": "", "description": ""})
    return [
        digest(start, [[*piece, stamps.get(piece.path)] for piece in part])
        for part in parts
    ]
