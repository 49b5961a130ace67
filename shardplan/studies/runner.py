"""Run a study, or read what a run has left: the same walk over the same journal."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError, LimitError
from shardplan.io.atomic import write_bytes_atomically
from shardplan.io.settings import parse_setting
from shardplan.io.wording import suggest
from shardplan.planning.arguments import whole
from shardplan.planning.interrupts import Interrupts
from shardplan.studies.directory import ResultFolder
from shardplan.studies.expand import axis_names, expand
from shardplan.studies.journal import Journal, JournalWriter
from shardplan.studies.session import RunObserver, Session
from shardplan.studies.spec import StudySpec, load_spec
from shardplan.studies.strategies import strategy_of
from shardplan.studies.study import Study
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shardplan.records.study import StudyFile
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.pools.task import Pool
    from shardplan.studies.session import PoolMaker

    Source = StudySpec | StudyFile | Mapping[str, Any] | str | os.PathLike[str]
    Path = str | os.PathLike[str]

MOST_WORKERS = 1024
"""Processes of one machine."""


def run(
    study: Source,
    directory: Path | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    observer: RunObserver | None = None,
    interrupts: Interrupts | None = None,
) -> Study:
    """Run the points of a study that have no result yet.

    Parameters
    ----------
    study : path of a TOML file, StudySpec, record or mapping
        The path of a folder of results is that of the study in it, whose inputs are
        kept there: it goes on wherever the folder lies.
    directory : path, optional
        Where results are kept; a run of the same study there goes on. Without it
        nothing is kept.
    workers : int
        Processes of this machine. More than 1 need dask, and import the script that
        calls: call below ``if __name__ == "__main__":`` there.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers run the points instead.
    only : sequence of str
        ``KEY=VALUE`` for axes: points with other values are not run.
    fresh : bool
        Forget all results in the folder.
    observer : RunObserver, optional
    interrupts : Interrupts, optional
        What hears signals, if something does already.

    Returns
    -------
    Study
        All finished points of the study, of earlier runs as well.

    Raises
    ------
    InputError
        For a wrong study, folder or argument, for workers that are gone, and if
        results cannot be written. Finished points are kept.
    LimitError
        If Ctrl-C or a signal ended it. Finished points are kept.
    """
    if directory is not None and not isinstance(directory, (str, os.PathLike)):
        rule = "must be the path of a folder"
        raise InputError.single("study", "directory", directory, rule)
    spec = _spec(study)
    workers = whole("workers", workers, MOST_WORKERS, least=1, where="study")
    everything = expand(spec)
    points = chosen_points(spec, everything, [only] if isinstance(only, str) else only)
    asked = spec.file.codesign.points if spec.file.codesign else len(points)
    make_pool = _pool_maker(min(workers, max(1, asked)), scheduler)
    with ExitStack() as stack:
        hearing = nullcontext(interrupts) if interrupts else Interrupts(signal.SIGINT)
        heard = stack.enter_context(hearing)
        folder, journal, writer = None, Journal(), None
        if directory is not None:
            folder = ResultFolder(directory)
            stack.enter_context(folder.to_write())
            if fresh:
                write_bytes_atomically(folder.journal_path, b"")
            journal = folder.journal()
            writer = JournalWriter(folder.journal_path, journal)
            stack.enter_context(closing(writer))
            folder.write_study(spec)
        session = Session(spec, points, journal, writer, make_pool, observer)
        stack.enter_context(closing(session))
        try:
            strategy_of(spec)(session)
        except KeyboardInterrupt:
            found = study_of(spec, everything, journal)
            raise _interrupted(found, asked, folder, heard) from None
        found = replace(study_of(spec, everything, journal), lost=_lost(session))
        if folder is not None:
            folder.write_table(found)
    return found


def load_study(directory: Path) -> Study:
    """Read the results in a folder; nothing is run.

    Raises
    ------
    InputError
        If it holds no study, or its files are damaged.
    """
    folder = ResultFolder(directory)
    folder.require()
    spec = folder.spec()
    return study_of(spec, expand(spec), folder.journal())


def study_of(
    spec: StudySpec, points: tuple[StudyPoint, ...], journal: Journal
) -> Study:
    """Return what a journal knows of a study and its points."""
    session = Session(spec, points, journal)
    rows = strategy_of(spec)(session)
    found = {row.point.number for row in rows}
    missing = tuple(p for p in session.points if p.number not in found)
    return Study(spec, tuple(rows), missing)


def _lost(session: Session) -> dict[int, str]:
    """Return why points have no result that stays."""
    return {
        point.number: str(session.lost[point.id]["message"])
        for point in session.points
        if point.id in session.lost
    }


def chosen_points(
    spec: StudySpec, points: tuple[StudyPoint, ...], only: Sequence[str]
) -> tuple[StudyPoint, ...]:
    """Return those of the points that have one of the given values on every axis named.

    Raises
    ------
    InputError
        For a key that is no axis, and a value that no point has.
    """
    if only and spec.file.codesign:
        rule = "a co-design chooses its points itself: change its knobs"
        raise InputError.single("study", "only", only[0], rule)
    wanted: dict[str, list[str]] = {}
    for text in only:
        key, equals, value = text.partition("=")
        names = axis_names(spec)
        if not equals or key not in names:
            rule = f"must be AXIS=VALUE{suggest(key, names)}; axes: {', '.join(names)}"
            raise InputError.single("study", "only", text, rule)
        wanted.setdefault(key, []).append(value)
        if not any(_means(value, point.values[key]) for point in points):
            known = dict.fromkeys(str(point.values[key]) for point in points)
            rule = f"no point has this value; there are {', '.join(known)}"
            raise InputError.single("study", "only", text, rule)
    return tuple(
        point
        for point in points
        if all(
            any(_means(text, point.values[key]) for text in texts)
            for key, texts in wanted.items()
        )
    )


def _means(text: str, value: object) -> bool:
    """Whether text of an option is a value of a file."""
    return text == str(value) or parse_setting(f"x.y={text}").value == value


def _spec(study: Source) -> StudySpec:
    if isinstance(study, StudySpec):
        return study
    if isinstance(study, (str, os.PathLike)):
        if os.path.isdir(study):  # noqa: PTH112
            folder = ResultFolder(study)
            folder.require()
            return folder.spec()
        return load_spec(study)
    return StudySpec.of(study)


def _pool_maker(workers: int, scheduler: str | None) -> PoolMaker:
    """Return what makes a pool once a point is missing: planning imports much.

    That dask is missing is said before a folder is made.
    """
    if (scheduler is not None or workers > 1) and find_spec("distributed") is None:
        from shardplan.workers.dask import require_dask

        require_dask("workers" if scheduler is None else "scheduler", "study")

    def make(spec: StudySpec, known: Collection[str]) -> Pool:
        if scheduler is None and workers == 1:
            from shardplan.studies.pools.local import LocalPool

            return LocalPool(spec, known)
        from shardplan.studies.pools.dask import DaskPool

        if scheduler is not None:
            return DaskPool.on_scheduler(scheduler, spec, known)
        return DaskPool.on_this_machine(workers, spec, known)

    return make


def _interrupted(
    study: Study, asked: int, folder: ResultFolder | None, heard: Interrupts
) -> LimitError:
    """Write the table of what there is, and say how to go on."""
    done = f"{len(study.rows):,} of {plural(asked, 'point')}"
    text = f"{heard.word}: {done} have a result"
    if folder is not None:
        folder.write_table(study)
        text += f" in {folder.path}; the same command goes on"
    return LimitError(text, interrupted=True)
