"""Plan files: JSON that is the same for the same plan, and that people can diff.

Keys have the order of the records; every table has one line.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.io.atomic import write_text_atomically
from shardplan.records.inputs import Inputs
from shardplan.records.memo import by_identity
from shardplan.records.record import Record, dump

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from shardplan.plans.plan import Plan

_LEAST_BYTES = 65_536
"""For certificates, and files of few tables."""


def write_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan file, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_text_atomically(path, format_plan(plan))


def format_plan(plan: Plan) -> str:
    """Return the text of a plan file."""
    data = plan.model_dump(mode="json", exclude_defaults=True, exclude={"inputs"})
    kept = {"inputs": plan.inputs, **data}
    ordered = {name: kept[name] for name in type(plan).model_fields if name in kept}
    return "".join(_pieces(ordered, 0)) + "\n"


@by_identity
def _record_text(record: Record, depth: int) -> str:
    """Return the text of an input, which many plans share."""
    return "".join(_pieces(dump(record), depth))


def expected_bytes(inputs: Inputs) -> int:
    """Return about how long the file of a plan for these inputs will be, and not less.

    A plan holds its inputs and one line per table, which is shorter than the table's
    own description unless its ranks are many and scattered.
    """
    return _LEAST_BYTES + 2 * len(inputs.model_dump_json())


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """Yield JSON text; objects are broken into lines, and so are lists of them."""
    inner = "\n" + " " * (depth + 1)
    if isinstance(value, Inputs):
        value = dict(value)
    if isinstance(value, Record):
        yield _record_text(value, depth)
    elif isinstance(value, dict) and value:
        for index, (key, item) in enumerate(value.items()):
            yield ("," if index else "{") + inner + json.dumps(key) + ": "
            one_line_each = key == "tables" and isinstance(item, list) and item
            pieces = _table_lines if one_line_each else _pieces
            yield from pieces(item, depth + 1)
        yield "\n" + " " * depth + "}"
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield ("," if index else "[") + inner
            yield from _pieces(item, depth + 1)
        yield "\n" + " " * depth + "]"
    else:
        yield json.dumps(value)


def _table_lines(tables: list[Any], depth: int) -> Iterator[str]:
    """Yield the list with every table on a line of its own."""
    inner = "\n" + " " * (depth + 1)
    yield "[" + inner
    yield ("," + inner).join(map(json.dumps, tables))
    yield "\n" + " " * depth + "]"
