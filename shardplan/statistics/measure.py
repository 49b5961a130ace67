"""Measure the tables of a log: part by part, by any number of workers."""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from shardplan.errors import Fault, InputError
from shardplan.records.log_statistics import LogStatistics, Unread
from shardplan.statistics.count import PartStatistics
from shardplan.statistics.crew import make_crew, work
from shardplan.statistics.errands import Errand
from shardplan.statistics.formats.piece import Damage
from shardplan.statistics.log_files import list_parts
from shardplan.statistics.pilot import pilot_places
from shardplan.statistics.sorting import Sorting
from shardplan.statistics.summary import summarise
from shardplan.statistics.summing import Summing
from shardplan.statistics.work_folder import (
    WorkFolder,
    digest,
    part_keys,
    stamps_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping
    from shardplan.statistics.crew import Workforce
    from shardplan.statistics.log_files import Part

_FEW_SPANS = 16
"""Where there are more parts than this, a worker counts several in a row."""
_LONGEST_SPAN = 4
"""Up to two to this power: what is lost when a run is killed."""


class MeasureObserver(Protocol):
    """Is told how far a run is; must not change anything."""

    def stage(self, word: str, total: int, known: int) -> None:
        """Take note that parts are now to be counted, or ordered; some of them are."""

    def advance(self) -> None:
        """Take note that one more is."""


class _Unheard:
    """The observer that ignores everything."""

    def stage(self, word: str, total: int, known: int) -> None:
        """Ignore it."""

    def advance(self) -> None:
        """Ignore it."""


def measure(
    paths: Sequence[str | os.PathLike[str]],
    mapping: LogMapping,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    strict: bool = False,
    folder: WorkFolder | None = None,
    observer: MeasureObserver | None = None,
) -> LogStatistics:
    """Measure the tables of a log.

    Parameters
    ----------
    paths : sequence of path
        Files and folders.
    mapping : LogMapping
    workers : int
        Processes of this machine; more than 1 need dask. The result does not depend on
        who works.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers count instead. They need the log and
        the folder under the same paths.
    strict : bool
        Refuse a log of which anything cannot be read.
    folder : WorkFolder, optional
        Has what an earlier run has counted, and keeps what this one does; held by the
        caller. A temporary one if none is given.
    observer : MeasureObserver, optional

    Raises
    ------
    InputError
        If there is no such file, column or hash function, or nothing can be read; for
        workers that cannot start, are gone, or have another shardplan.
    """
    parts, damaged = list_parts(paths, mapping)
    with ExitStack() as stack:
        if folder is None:
            prefix = "shardplan-"
            kept = stack.enter_context(TemporaryDirectory(prefix=prefix))
            folder = WorkFolder(kept)
        folder.write_mapping(mapping)
        crew = make_crew(folder, min(workers, max(1, len(parts))), scheduler)
        stack.enter_context(closing(crew))
        total = _total(parts, mapping, folder, crew, observer or _Unheard())
    total.damaged += damaged
    if strict and total.damaged:
        raise InputError([Fault(d.path, "", "", d.reason) for d in total.damaged])
    return _result(mapping, total)


def _total(
    parts: list[Part],
    mapping: LogMapping,
    folder: WorkFolder,
    crew: Workforce,
    observer: MeasureObserver,
) -> PartStatistics:
    """Count what is not counted yet, and add all up."""
    before = stamps_of(parts)
    keys = part_keys(parts, mapping, before)
    damaged: list[Damage] = []
    log, hot = _look(parts, keys, folder, crew)
    kept = {f"{log}.hot"}
    errands_of: Callable[[Sequence[int]], Iterator[Errand]]
    if mapping.time:
        sorting = Sorting(folder, parts, keys, mapping)
        unknown = sorting.unknown()
        observer.stage("ordered by time", len(parts), len(parts) - unknown)
        sorting.order(crew, observer.advance)
        damaged = sorting.damaged()
        kept |= sorting.kept()
        leaves = sorting.leaves(hot)
        errands_of = partial(sorting.errands, leaves, log)
    else:
        leaves, errands_of = _spans(parts, keys, log, hot)
    summing = Summing(folder, leaves, log)
    folder.keep_only(kept | summing.kept())
    missing = summing.missing
    observer.stage("counted", len(leaves), len(leaves) - len(missing))
    left = {leaves[number] for number in missing}

    def then(key: str) -> list[Errand]:
        if key in left:
            observer.advance()
            if key == leaves[0]:
                _require_numbers(folder, key)
            folder.file(f"{key}.sorted").unlink(missing_ok=True)
        return summing.done(key)

    work(crew, chain(summing.begun(), errands_of(missing)), then)
    total = summing.total() or PartStatistics.none(mapping)
    _refuse_texts(total)
    total.damaged += damaged
    now = stamps_of(parts)
    changed = [path for path, stamp in before.items() if now.get(path) != stamp]
    total.damaged += [Damage(p, "has changed while it was measured") for p in changed]
    return total


def _require_numbers(folder: WorkFolder, key: str) -> None:
    """Refuse a log by its first part, before the rest is read.

    Raises
    ------
    InputError
        For columns that have only texts there.
    """
    try:
        _refuse_texts(folder.require_part(key))
    except InputError:
        folder.file(f"{key}.part").unlink(missing_ok=True)
        raise


def _refuse_texts(found: PartStatistics) -> None:
    """Refuse columns of texts alone: the mapping lacks their hash function.

    A damaged block among numbers has ids that cannot be read.
    """
    numbers = found.numbers
    if faults := [f for name, f in found.texts.items() if name not in numbers]:
        raise InputError(faults)


def _look(
    parts: list[Part], keys: list[str], folder: WorkFolder, crew: Workforce
) -> tuple[str, str]:
    """Have the hot rows of the log found.

    Returns
    -------
    log : str
        Their key.
    hot : str
        Digest of the rows: what is counted depends on them.
    """
    looked = pilot_places(len(parts))
    log = digest("look", *(keys[k] for k in looked))
    if not folder.has_hot(log):
        some = [[list(piece) for piece in parts[k]] for k in looked]
        work(crew, [Errand("look", log, (some,))], lambda key: [])
    return log, folder.hot_digest(log)


def _spans(
    parts: list[Part], keys: list[str], log: str, hot: str
) -> tuple[list[str], Callable[[Sequence[int]], Iterator[Errand]]]:
    """Return the keys of several parts in a row each, and what counts some of them."""
    length = min((len(parts) // _FEW_SPANS).bit_length() - 1, _LONGEST_SPAN)
    size = 1 << max(0, length)
    starts = range(0, len(parts), size)
    leaves = [digest(hot, *keys[start : start + size]) for start in starts]

    def errands(missing: Sequence[int]) -> Iterator[Errand]:
        for number in missing:
            start = number * size
            span = [[list(p) for p in part] for part in parts[start : start + size]]
            yield Errand("count", leaves[number], (span, log))

    return leaves, errands


def _result(mapping: LogMapping, total: PartStatistics) -> LogStatistics:
    tallies = total.tallies
    samples = next(iter(tallies.values())).lengths.num_samples
    if not samples:
        faults = [Fault(d.path, "", "", d.reason) for d in total.damaged]
        nothing = Fault(mapping.name, "", "", "the log has no sample")
        raise InputError(faults or [nothing])
    return LogStatistics(
        schema_version=1,
        name=mapping.name,
        num_samples=samples,
        tables=tuple(
            summarise(
                table,
                tallies[table.name],
                total.unreadable[table.name],
                total.days.get(table.name),
            )
            for table in mapping.tables
        ),
        together=tuple(map(tuple, (total.together / samples).tolist())),
        unread=tuple(Unread(path=d.path, reason=d.reason) for d in total.damaged),
    )
