"""Read JSON, strictly: a key that occurs twice is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.io.text import read_text

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class _DuplicateKeyError(ValueError):
    """A key occurs twice in one object."""


def read_json(file: Traversable, where: str) -> Any:
    """Return the data of a JSON file.

    Raises
    ------
    InputError
        If the file cannot be read or is no JSON; the message has the line.
    """
    text = read_text(file, where)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError.single(where, place, None, f"not JSON: {error.msg}") from error
    except RecursionError:
        rule = "is nested too deeply"
        raise InputError.single(where, "", None, rule) from None
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise InputError.single(where, "", None, f"not JSON: {reason}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _DuplicateKeyError(f"key {twice!r} occurs twice in one object")
    return data
