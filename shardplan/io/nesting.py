"""Refuse data nested deeper than any record: parsers and `repr` recurse into it."""

from __future__ import annotations

import re
from typing import Any

from shardplan.errors import InputError

MAX_DEPTH = 64
"""Groups and lists inside each other; a plan file has 9."""

_RULE = f"is nested too deeply (more than {MAX_DEPTH} groups or lists in each other)"
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:\.[ \t]*+{_PART}){{{MAX_DEPTH}}}")


def too_deep(where: str) -> InputError:
    """Make the error of a file that is nested too deeply."""
    return InputError.single(where, "", None, _RULE)


def refuse_deep(data: Any, where: str) -> None:
    """Raise `InputError` if containers are nested deeper than `MAX_DEPTH`."""
    level = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return
    raise too_deep(where)


def refuse_long_keys(text: str, where: str) -> None:
    """Raise `InputError` for a dotted TOML key of more than `MAX_DEPTH` parts.

    `tomllib` takes memory of the square of the number of parts: 2 GB for 16,000.
    """
    if _LONG_KEY.search(text):
        raise too_deep(where)


def _containers(outer: Any) -> list[Any]:
    inner = outer.values() if isinstance(outer, dict) else outer
    return [item for item in inner if isinstance(item, (dict, list))]
