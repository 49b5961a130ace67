"""Read TOML."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.io.nesting import refuse_deep, refuse_long_keys, too_deep
from shardplan.io.text import read_text

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_toml(file: Traversable, where: str) -> dict[str, Any]:
    """Return the data of a TOML file.

    Parameters
    ----------
    file : Traversable
        A `pathlib.Path`, or a file inside a package.
    where : str
        How messages name the file.

    Raises
    ------
    InputError
        If the file cannot be read or is no TOML; the message has the line.
    """
    return parse_toml(read_text(file, where), where)


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the data of a text of TOML; see `read_toml`."""
    refuse_long_keys(text, where)
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise too_deep(where) from None
    except ValueError as error:
        message, line = _split_place(str(error).partition(";")[0])
        raise InputError.single(where, line, None, f"not TOML: {message}") from error
    refuse_deep([data], where)
    return data


def _split_place(message: str) -> tuple[str, str]:
    """Split ``Expected '=' (at line 3, column 5)`` into message and place."""
    match = re.fullmatch(r"(.*) \(at (.*)\)", message, re.DOTALL)
    return (match[1], match[2]) if match else (message, "")
