"""Write output files whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.io.drafts import draft_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8; see `write_bytes_atomically`."""
    with _refusals(path):
        content = text.encode("utf-8")
    write_bytes_atomically(path, content)


def write_bytes_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file; after a failure the old one is untouched.

    The content goes to a new file in the same directory, which then takes the place
    of `path`; such files of writers that were killed are removed. A symbolic link
    stays a link; a device or pipe is written directly.

    Raises
    ------
    InputError
        If the directory does not exist, or the file may not be written.
    """
    with _refusals(path):
        target = _target(path)
        if _is_special(target):
            target.write_bytes(content)
        else:
            _replace(target, content)


def require_writable(path: str | os.PathLike[str], num_bytes: int = 0) -> None:
    """Prove that a file of so many bytes can be written now; leave nothing behind.

    Raises
    ------
    InputError
        As `write_text_atomically` would.
    """
    with _refusals(path):
        target = _target(path)
        if not _is_special(target):
            with draft_of(target, bytes(num_bytes)):
                pass
        elif not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def rescue_text(text: str, suffix: str) -> str:
    """Write text that has lost its place to a new temporary file; return its path.

    Raises
    ------
    OSError
        If no temporary directory can be written.
    """
    handle, path = tempfile.mkstemp(prefix="shardplan-", suffix=suffix)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("utf-8"))
    return path


@contextmanager
def _refusals(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says into the error of an input."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        rule = f"cannot be written: {reason}"
        raise InputError.single(os.fspath(path), "", None, rule) from error


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the file behind links; its directory exists."""
    where = os.fspath(path)
    target = Path(where).resolve()
    if target.is_dir():
        raise InputError.single(where, "", None, "is a directory, not a file")
    if not target.parent.is_dir():
        rule = f"the directory {target.parent} does not exist"
        raise InputError.single(where, "", None, rule)
    return target


def _is_special(target: Path) -> bool:
    """Whether it is a device or a pipe."""
    return target.exists() and not target.is_file()


def _replace(target: Path, content: bytes) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    with draft_of(target, content) as draft:
        if mode is not None:
            draft.chmod(mode)
        draft.replace(target)
