"""What workers do for a run: count parts, add sums up, sort; results go to its folder.

An errand that is run again writes the same file again, under the same name.
"""

from __future__ import annotations

import threading
from contextlib import chdir
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import Fault, InputError
from shardplan.records.log_mapping import LogFormat
from shardplan.statistics.count import count_part, count_tables, folded
from shardplan.statistics.formats.piece import LogPiece
from shardplan.statistics.pilot import find_hot_rows
from shardplan.statistics.time_order import order_part, read_run
from shardplan.statistics.work_folder import SAME_PATHS, WorkFolder

if TYPE_CHECKING:
    from collections.abc import Callable

_one_at_a_time = threading.Lock()
"""A worker may have threads, but one folder that relative paths start from."""


class Errand(NamedTuple):
    """Something to do, in words that travel.

    Attributes
    ----------
    what : str
        The function here.
    key : str
        Of the result.
    arguments : tuple
    """

    what: str
    key: str
    arguments: tuple[Any, ...]


def run_errand(folder: str, base: str, errand: Errand) -> list[Fault]:
    """Do something.

    Parameters
    ----------
    folder : str
        Path of the work folder.
    base : str
        Path that the paths of a log are relative to.

    Returns
    -------
    list of Fault
        Why it could not be done: errors of other processes lose what they hold.
    """
    what, key, arguments = errand
    with _one_at_a_time:
        try:
            with chdir(base):
                WorkFolder(folder).require()
                _DO[what](WorkFolder(folder), key, *arguments)
        except InputError as error:
            return list(error.problems)
        except OSError as error:
            return [Fault(folder, "", "", f"{error}; {SAME_PATHS}")]
    return []


def _look(folder: WorkFolder, key: str, parts: list[Any]) -> None:
    """Find the hot rows of a log."""
    each = [_part(part) for part in parts]
    folder.write_hot(key, find_hot_rows(each, folder.mapping()))


def _count(folder: WorkFolder, key: str, parts: list[Any], log: str) -> None:
    """Count consecutive parts of a log."""
    mapping, kept = folder.mapping(), folder.kept_rows(log)
    each = (count_part(_part(part), mapping, kept) for part in parts)
    folder.write_part(key, folded(each, mapping, kept), log)


def _count_sorted(folder: WorkFolder, key: str, log: str) -> None:
    """Count samples that were sorted; workers that come second find them counted."""
    file, mapping = folder.file(f"{key}.sorted"), folder.mapping()
    if file.exists():
        tables, kept = read_run(file, mapping.name), folder.kept_rows(log)
        folder.write_part(key, count_tables(tables, mapping, kept), log)


def _add(folder: WorkFolder, key: str, one: str, other: str, log: str) -> None:
    """Add the statistics of consecutive parts up, unless that is done."""
    if folder.part(key) is None:
        total = folder.require_part(one) + folder.require_part(other)
        folder.write_part(key, total, log)


def _order(folder: WorkFolder, key: str, part: list[Any], spill: bool) -> None:
    """Find the times of a part, or sort it."""
    order_part(folder, key, _part(part), folder.mapping(), spill=spill)


def _part(pieces: list[Any]) -> tuple[LogPiece, ...]:
    return tuple(LogPiece(p, LogFormat(form), *groups) for p, form, *groups in pieces)


_DO: dict[str, Callable[..., None]] = {
    "look": _look,
    "count": _count,
    "count_sorted": _count_sorted,
    "add": _add,
    "order": _order,
}
