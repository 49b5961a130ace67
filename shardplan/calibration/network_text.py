"""Write a network as the TOML of its file."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.network import NetworkModel
    from shardplan.records.record import Record

_OPERATIONS = ("all_to_all", "reduce", "all_reduce")


def network_toml(network: NetworkModel, comments: Sequence[str] = ()) -> str:
    """Return the text of a network's file, with comments at its top."""
    return "\n".join(_lines(network, comments)) + "\n"


def _lines(network: NetworkModel, comments: Sequence[str]) -> Iterator[str]:
    yield from (f"# {comment}" for comment in comments)
    for key in ("schema_version", "name", "description", "latency_growth"):
        value = getattr(network, key)
        if value is not None:
            yield f"{key} = {_text(value)}"
    for operation in _OPERATIONS:
        link = getattr(network, operation)
        if link is None:
            continue
        yield f"\n[{operation}]"
        yield from _fields(link, left_out="curves")
        for curve in link.curves:
            yield f"\n[[{operation}.curves]]"
            yield from _fields(curve)


def _fields(record: Record, left_out: str = "") -> Iterator[str]:
    for name in type(record).model_fields:
        value = getattr(record, name)
        if name != left_out and value is not None:
            yield f"{name} = {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    pairs = {name: getattr(value, name) for name in ("value", "unit", "source", "date")}
    inner = ", ".join(f"{k} = {_text(v)}" for k, v in pairs.items() if v is not None)
    return f"{{ {inner} }}"
