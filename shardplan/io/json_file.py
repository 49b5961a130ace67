"""Read JSON, strictly: a key that occurs twice is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError, shorten
from shardplan.io.nesting import refuse_deep, too_deep
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
    return parse_json(read_text(file, where), where)


def parse_json(text: str, where: str) -> Any:
    """Return the data of a text of JSON; see `read_json`."""
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError.single(where, place, None, f"not JSON: {error.msg}") from error
    except RecursionError:
        raise too_deep(where) from None
    except ValueError as error:
        reason = str(error).partition("; use ")[0]
        raise InputError.single(where, "", None, f"not JSON: {reason}") from error
    refuse_deep([data], where)
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                rule = f"key {shorten(key)} occurs twice in one object"
                raise _DuplicateKeyError(rule)
            seen.add(key)
    return data
