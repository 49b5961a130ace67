"""Read bytes and text; what cannot be read is an `InputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import InputError
from shardplan.io.outputs import refuse_output

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_bytes(file: Traversable, where: str) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        If it does not exist, is a directory or may not be read, or if the command
        is going to overwrite it.
    """
    if not where:
        raise InputError.single("''", "", None, "is no path: name a file")
    refuse_output(file, where)
    try:
        if file.is_dir():
            rule = "is a directory, but a file is needed"
            raise InputError.single(where, "", None, rule)
        return file.read_bytes()
    except FileNotFoundError:
        raise InputError.single(where, "", None, "no such file") from None
    except (OSError, ValueError, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        rule = f"cannot be read: {reason}"
        raise InputError.single(where, "", None, rule) from error


def read_text(file: Traversable, where: str) -> str:
    """Return the UTF-8 text of a file, without a byte order mark."""
    return decode(read_bytes(file, where), where)


def decode(content: bytes, where: str) -> str:
    """Return UTF-8 text without its byte order mark.

    Raises
    ------
    InputError
        If it is no such text.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        rule = "is not UTF-8 text"
        raise InputError.single(where, f"line {line}", None, rule) from error
