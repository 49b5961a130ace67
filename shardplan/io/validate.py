"""Turn data into records; everything that is wrong with it in one error."""

from __future__ import annotations

import json
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from shardplan.errors import Fault, InputError
from shardplan.io.location import format_key, resolve
from shardplan.io.wording import (
    group_rule,
    plain_rule,
    show_tag,
    show_value,
    tag_rule,
    unknown_key,
)
from shardplan.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

    from shardplan.io.location import Loc

R = TypeVar("R", bound=Record)

_VERSION = "schema_version"
_KEY = "[key]"
"""How pydantic ends the path of what is wrong with the key of a mapping itself."""


def validate(model: type[R], data: object, where: str) -> R:
    """Make a record from the data of a file.

    Parameters
    ----------
    model : type of Record
    data : object
        What a TOML or JSON reader returned.
    where : str
        How messages name the file.

    Raises
    ------
    InputError
        With every problem: key path, value, rule, and the nearest known key.
    """
    _refuse_other_versions(model, data, where)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(find_problems(error, model, where)) from error


def validate_items(model: type[R], data: Sequence[object]) -> tuple[R, ...]:
    """Make one record per item; raises pydantic's own error."""
    return TypeAdapter(tuple[model, ...]).validate_python(data)  # type: ignore[valid-type]


def find_problems(error: ValidationError, model: Any, where: str) -> list[Fault]:
    """Return everything that `error` says about data for `model`."""
    return [
        Fault(where, format_key(key), value, rule)
        for key, value, rule in explain(error, model, where)
    ]


def explain(
    error: ValidationError, model: Any, where: str = ""
) -> Iterable[tuple[Loc, str, str]]:
    """Yield key path, shown value and rule in plain words of every problem."""
    for details in error.errors(include_url=False):
        key, parent, here = resolve(model, details["loc"])
        kind, value = details["type"], show_value(details)
        if _only_follows(details):
            continue
        if details["loc"][-1:] == (_KEY,) and details["input"] == details["loc"][-2]:
            yield key[:-1], "", f"the name {plain_rule(details)}"
        elif kind == "extra_forbidden":
            yield key, value, unknown_key(str(key[-1]), parent)
        elif kind == "missing" and key == (_VERSION,):
            yield key, "", f"is required: add {_version_line(model, where)}"
        elif kind.startswith("union_tag_"):
            yield (*key, "kind"), show_tag(details), tag_rule(details, here)
        elif kind.startswith("model_"):
            yield key, value, group_rule(here)
        else:
            yield key, value, plain_rule(details)


def _only_follows(details: ErrorDetails) -> bool:
    """Tell whether a list is "too short" only because its items are wrong."""
    items = details["input"]
    return (
        details["type"] == "too_short"
        and isinstance(items, (list, tuple))
        and len(items) >= details["ctx"]["min_length"]
    )


def _refuse_other_versions(model: type[Record], data: object, where: str) -> None:
    """Another version may differ anywhere: no other problem would be meaningful."""
    if not isinstance(data, dict) or _VERSION not in model.model_fields:
        return
    version = data.get(_VERSION)
    read = _read_versions(model)
    if type(version) is not int or version in read:
        return
    age = "is too new" if version > max(read) else "is not supported"
    rule = f"{age}: this release of shardplan reads schema_version {_join(read)}"
    raise InputError.single(where, _VERSION, version, rule)


def _read_versions(model: type[BaseModel]) -> tuple[int, ...]:
    return typing.get_args(model.model_fields[_VERSION].annotation)


def _version_line(model: type[BaseModel], where: str) -> str:
    version = max(_read_versions(model))
    if where.lower().endswith(".json"):
        return json.dumps({_VERSION: version})[1:-1]
    return f"{_VERSION} = {version}"


def _join(values: Iterable[object]) -> str:
    return " or ".join(str(value) for value in values)
