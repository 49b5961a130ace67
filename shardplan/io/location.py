"""Find the place of a problem in a file from pydantic's location of it."""

from __future__ import annotations

import re
import types
import typing
from typing import Any

from pydantic import BaseModel

from shardplan.errors import shorten

if typing.TYPE_CHECKING:
    from collections.abc import Iterable

Loc = tuple[int | str, ...]
"""Keys and indices, outermost first."""


def format_key(key: Iterable[int | str]) -> str:
    """Write a key path as in ``host_groups[0].device.hbm_bytes``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[\w*-]{1,100}", part)
            shown = part if plain else shorten(part)
            text += f".{shown}" if text else shown
    return text


def resolve(model: Any, loc: Loc) -> tuple[Loc, type[BaseModel] | None, list[Any]]:
    """Drop the tags of unions from `loc`.

    Also return the record that has the last key, and the types of its value.
    """
    key: list[int | str] = []
    here, parent = model, None
    for part in loc:
        candidates = list(members(here))
        tagged = _tagged(candidates, part)
        if tagged is not None:
            here = tagged
            continue
        parent = first_record(candidates)
        key.append(part)
        here = _child(candidates, part)
    return tuple(key), parent, list(members(here))


def first_record(candidates: Iterable[Any]) -> type[BaseModel] | None:
    """Return the first record among the types of a value."""
    return next((c for c in candidates if is_record(c)), None)


def members(annotation: Any) -> Iterable[Any]:
    """Yield the types behind ``Annotated``, ``Optional`` and unions."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def is_record(candidate: Any) -> bool:
    """Tell whether a type is a record."""
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _tagged(candidates: list[Any], part: int | str) -> Any:
    """Return the record of a tagged union that `part` names, if it is one."""
    records = [c for c in candidates if is_record(c)]
    if len(records) < 2:
        return None
    return next((r for r in records if r.model_fields["kind"].default == part), None)


def _child(candidates: list[Any], part: int | str) -> Any:
    for candidate in candidates:
        if is_record(candidate):
            if part in candidate.model_fields:
                return candidate.model_fields[part].annotation
        elif typing.get_origin(candidate) is dict:
            return typing.get_args(candidate)[1]
        elif isinstance(part, int):
            items = typing.get_args(candidate)
            if items:
                return items[0] if items[-1] is Ellipsis else items[part % len(items)]
    return None
