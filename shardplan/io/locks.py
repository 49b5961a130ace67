"""Locks of files that end with the process that has them, however it ends."""

from __future__ import annotations

import contextlib
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def try_lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; False if somebody else has it."""
    if fcntl is None:
        return True
    with contextlib.suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
