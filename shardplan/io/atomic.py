"""Write output files whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shardplan.errors import InputError


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8; after a failure the old file is untouched.

    The text goes to a new file in the same directory, which then takes the place
    of `path`. A symbolic link stays a link; a device or pipe is written directly.

    Raises
    ------
    InputError
        If the directory does not exist, or the file may not be written.
    """
    where = os.fspath(path)
    try:
        target = Path(where).resolve()
        if target.is_dir():
            raise InputError.single(where, "", None, "is a directory, not a file")
        if not target.parent.is_dir():
            rule = f"the directory {target.parent} does not exist"
            raise InputError.single(where, "", None, rule)
        content = text.encode("utf-8")
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        rule = f"cannot be written: {reason}"
        raise InputError.single(where, "", None, rule) from error


def _replace(target: Path, content: bytes) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    draft = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            draft.chmod(mode)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
