"""Write folders of files whole or not at all, and only over what was written before.

The files go to a new folder beside the target, which then takes its place: a run that
fails leaves the old folder as it was. A folder says by its list of files
(`CONTENTS`) that it was written here; one that holds anything else is somebody's, and
is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENTS = "contents.json"
"""Name of the file that lists the other ones of a folder."""


@contextmanager
def folder_draft(path: str | os.PathLike[str], kind: str) -> Iterator[Path]:
    """Give a new, empty folder to write to, which replaces `path` in the end.

    Parameters
    ----------
    kind : str
        What the folder is, such as ``study report``; only one of the same kind is
        replaced.

    Raises
    ------
    InputError
        If `path` may not be replaced (see `require_replaceable`), or the folder cannot
        be written.
    """
    require_replaceable(path, kind)
    target = Path(path).resolve()
    draft = target.parent / f"{_prefix(target)}{secrets.token_hex(8)}.tmp"
    with _refusals(path):
        draft.mkdir()
    try:
        yield draft
        with _refusals(path):
            _list_contents(draft, kind)
            require_replaceable(path, kind)  # it took a while to get here
            _swap(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def require_replaceable(path: str | os.PathLike[str], kind: str) -> None:
    """Refuse a folder that cannot be written, or that holds what is not ours.

    Raises
    ------
    InputError
        If `path` is a file, its parent does not exist or cannot be written, or it is
        a folder with files that no earlier run of the same kind wrote.
    """
    where = os.fspath(path)
    with _refusals(path):
        target = Path(path).resolve()
        if target.exists() and not target.is_dir():
            rule = "is a file; a folder is written: give another name"
            raise InputError.single(where, "", None, rule)
        if not target.parent.is_dir():
            rule = f"the directory {target.parent} does not exist"
            raise InputError.single(where, "", None, rule)
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if foreign := _foreign(target, kind):
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            rule = (
                f"holds {foreign[0]}{more}, which no earlier {kind} wrote; nothing is "
                "overwritten: give a new or empty folder"
            )
            raise InputError.single(where, "", None, rule)


def _foreign(target: Path, kind: str) -> list[str]:
    """Return the files of a folder that an earlier run did not write."""
    if not target.exists():
        return []
    present = _files(target)
    try:
        listed = json.loads((target / CONTENTS).read_text(encoding="utf-8"))
        own = {CONTENTS, *listed["files"]} if listed["kind"] == kind else set()
    except (OSError, ValueError, TypeError, KeyError):
        own = set()
    return [name for name in present if name not in own]


def _files(folder: Path) -> list[str]:
    """Return the paths of all files and empty folders below, sorted."""
    found = []
    for path in folder.rglob("*"):
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder or not any(path.iterdir()):
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def _list_contents(draft: Path, kind: str) -> None:
    """Write the list of files; every file is on the disk before the folder is moved."""
    listed = {"kind": kind, "files": _files(draft)}
    text = json.dumps(listed, indent=1) + "\n"
    (draft / CONTENTS).write_text(text, encoding="utf-8")
    for name in [*listed["files"], CONTENTS]:
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())


def _swap(draft: Path, target: Path) -> None:
    """Put a folder in the place of another, which comes back if that fails."""
    if not target.exists():
        draft.rename(target)
        return
    old = draft.with_suffix(".old")
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _prefix(target: Path) -> str:
    """Begin the names of drafts of a target; short, however long its name is."""
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


@contextmanager
def _refusals(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says into the error of an input."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        rule = f"cannot be written: {reason}"
        raise InputError.single(os.fspath(path), "", None, rule) from error
