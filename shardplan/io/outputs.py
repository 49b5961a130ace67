"""Keep a command from reading a file that it is going to overwrite."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_Identity = tuple[int, int]

_announced: ContextVar[set[_Identity] | None] = ContextVar("announced", default=None)


@contextmanager
def announcing() -> Iterator[None]:
    """Within it, files that are announced as outputs are no inputs."""
    token = _announced.set(set())
    try:
        yield
    finally:
        _announced.reset(token)


def announce(path: str) -> None:
    """Say that `path` will be written; a file that does not exist yet is no input."""
    outputs, identity = _announced.get(), _identity(Path(path))
    if outputs is not None and identity is not None:
        outputs.add(identity)


def refuse_output(file: object, where: str) -> None:
    """Refuse to read a file that was announced.

    Raises
    ------
    InputError
        If it was; links and standard input count as the file behind them.
    """
    outputs = _announced.get()
    if outputs and isinstance(file, Path) and _identity(file) in outputs:
        rule = "is an input, and an option asks to write there: name another file"
        raise InputError.single(where, "", None, rule)


def _identity(path: Path) -> _Identity | None:
    """Device and number of a regular file; pipes and devices may be both."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None
