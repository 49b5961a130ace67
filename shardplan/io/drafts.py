"""Drafts: new files that take the place of a target once they are complete.

A writer that is killed leaves its draft behind; the next one to the same target
removes it. A draft is locked while its writer lives, and the lock ends with the
process however it ends, also in another container or on another host of a shared
folder; so what is locked, or too young to be locked yet, is never touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: there a file that is open cannot be removed.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_YOUNG_S = 60.0
"""Time between making a draft and locking it that is more than enough [s]."""


@contextmanager
def draft_of(target: Path, content: bytes) -> Iterator[Path]:
    """Write a new file beside the target, down to the disk; remove it in the end.

    Inside, it may take the place of the target.
    """
    draft = target.parent / f"{_prefix(target)}{secrets.token_hex(8)}.tmp"
    try:
        with draft.open("xb") as file:
            _lock(file)
            _remove_stale(target, os.fstat(file.fileno()).st_mtime)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked
                yield draft
        if fcntl is None:  # Windows renames no open file
            yield draft
    finally:
        draft.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    """Begin the names of all drafts of a target; short, however long its name is."""
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def _lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed; False if another process has it locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, or the file system has no locks: who can tell?
        return False
    return True


def _remove_stale(target: Path, now: float) -> None:
    """Remove drafts of writers that are gone; `now` is the file system's time [s]."""
    for draft in target.parent.glob(f"{_prefix(target)}*.tmp"):
        # Nothing here is worth failing for: it may be another user's, or gone.
        with contextlib.suppress(OSError):
            found = draft.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_mtime > now - _YOUNG_S:
                continue
            with draft.open("r+b") as file:
                is_stale = _lock(file)
            if is_stale:
                draft.unlink()
