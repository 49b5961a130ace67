"""Whether a file has the columns that a mapping names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import Fault, InputError
from shardplan.io.wording import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.log_mapping import LogMapping


def require_columns(names: Sequence[str], mapping: LogMapping, path: str) -> list[str]:
    """Return the columns to read of those that a file has.

    Raises
    ------
    InputError
        If one is not there, or there several times.
    """
    needed = list(mapping.needed_columns())
    faults = [
        Fault(path, name, "", f"is no column of this file{suggest(name, names)}")
        for name in needed
        if name not in names
    ]
    faults += [
        Fault(path, name, "", "is the name of several columns: rename the others")
        for name in needed
        if list(names).count(name) > 1
    ]
    if faults:
        raise InputError(faults)
    return needed


def numbered_columns(
    mapping: LogMapping | None, count: int, kind: str, has: str, path: str
) -> Sequence[str]:
    """Return the names of a file's columns, which has none: the mapping's, or numbers.

    Parameters
    ----------
    kind : str
        What stands before a number: ``kind_0``.
    has : str
        How a message says how many the file has.

    Raises
    ------
    InputError
        If the mapping names another number of columns.
    """
    names = mapping.columns if mapping else ()
    if names and len(names) != count:
        rule = f"names {len(names)} columns, {has}"
        raise InputError.single(path, "columns", None, rule)
    return names or [f"{kind}_{k}" for k in range(count)]
