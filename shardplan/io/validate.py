"""Turn data into records; everything that is wrong with it in one error."""

from __future__ import annotations

import difflib
import json
import math
import re
import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from shardplan.errors import InputError, Problem, shorten
from shardplan.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic_core import ErrorDetails

R = TypeVar("R", bound=Record)
Loc = tuple[int | str, ...]

_VERSION = "schema_version"


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


def find_problems(error: ValidationError, model: Any, where: str) -> list[Problem]:
    """Return everything that `error` says about data for `model`."""
    return [
        Problem(where, format_key(key), value, rule)
        for key, value, rule in explain(error, model, where)
    ]


def explain(
    error: ValidationError, model: Any, where: str = ""
) -> Iterable[tuple[Loc, str, str]]:
    """Yield key path, shown value and rule in plain words of every problem."""
    for details in error.errors(include_url=False):
        key, parent, here = _resolve(model, details["loc"])
        kind, value = details["type"], _show(details)
        if _only_follows(details):
            continue
        if kind == "extra_forbidden":
            yield key, value, _unknown_key(str(key[-1]), parent)
        elif kind == "missing" and key == (_VERSION,):
            yield key, "", f"is required: add {_version_line(model, where)}"
        elif kind.startswith("union_tag_"):
            yield (*key, "kind"), _show_tag(details), _tag_rule(details, here)
        elif kind.startswith("model_"):
            yield key, value, _group_rule(here)
        else:
            yield key, value, _rule(details)


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


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` if a known word is near, else nothing."""
    near = difflib.get_close_matches(word[:100], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


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


# --- the place: from pydantic's location to the key path of the file


def _resolve(model: Any, loc: Loc) -> tuple[Loc, type[BaseModel] | None, list[Any]]:
    """Drop the tags of unions from `loc`.

    Also return the record that has the last key, and the types of its value.
    """
    key: list[int | str] = []
    here, parent = model, None
    for part in loc:
        candidates = list(_members(here))
        tagged = _tagged(candidates, part)
        if tagged is not None:
            here = tagged
            continue
        parent = _first_record(candidates)
        key.append(part)
        here = _child(candidates, part)
    return tuple(key), parent, list(_members(here))


def _first_record(candidates: Iterable[Any]) -> type[BaseModel] | None:
    return next((c for c in candidates if _is_record(c)), None)


def _members(annotation: Any) -> Iterable[Any]:
    """Yield the types behind ``Annotated``, ``Optional`` and unions."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_record(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _tagged(candidates: list[Any], part: int | str) -> Any:
    """Return the record of a tagged union that `part` names, if it is one."""
    records = [c for c in candidates if _is_record(c)]
    if len(records) < 2:
        return None
    return next((r for r in records if r.model_fields["kind"].default == part), None)


def _child(candidates: list[Any], part: int | str) -> Any:
    for candidate in candidates:
        if _is_record(candidate):
            if part in candidate.model_fields:
                return candidate.model_fields[part].annotation
        elif isinstance(part, int):
            items = typing.get_args(candidate)
            if items:
                return items[0] if items[-1] is Ellipsis else items[part % len(items)]
    return None


# --- the value


def _show(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return ""
    value = details["input"]
    if isinstance(value, BaseModel):
        return ""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (dict, list, tuple)):
        shown = shorten(value) if len(value) <= 8 else "..."
        return "" if shown.endswith("...") else shown
    return shorten(value)


def _show_tag(details: ErrorDetails) -> str:
    return shorten(details["ctx"]["tag"]) if "tag" in details.get("ctx", {}) else ""


# --- the rule

_RULES: dict[str, str] = {
    "missing": "is required",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode text",
    "string_pattern_mismatch": "must not start with white space or contain line breaks",
    "dict_type": "must be a group of keys and values",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "date_type": "must be a date such as 2025-01-31",
    "date_parsing": "must be a date such as 2025-01-31",
    "date_from_datetime_parsing": "must be a date such as 2025-01-31",
    "date_from_datetime_inexact": "must be a date such as 2025-01-31",
}

_BOUNDS: dict[str, tuple[str, str]] = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def _rule(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _RULES:
        return _RULES[kind]
    if kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        return f"must be {sign} {_number(context[name])}"
    make = _MAKERS.get(kind)
    return make(details["input"], context) if make else details["msg"]


def _from_validator(value: object, context: dict[str, Any]) -> str:
    return str(context["error"])


def _choice(value: object, context: dict[str, Any]) -> str:
    known = _words(str(context["expected"]))
    near = suggest(value, known) if isinstance(value, str) else ""
    return f"must be {_one_of(known)}{near}"


def _length(value: object, context: dict[str, Any]) -> str:
    if "min_length" in context:
        return f"must have at least {_entries(context['min_length'])}"
    return f"must have at most {_entries(context['max_length'])}"


def _text_length(value: object, context: dict[str, Any]) -> str:
    if "max_length" in context:
        return f"must have at most {context['max_length']} characters"
    return "must not be empty"


_MAKERS: dict[str, Callable[[object, dict[str, Any]], str]] = {
    "value_error": _from_validator,
    "enum": _choice,
    "literal_error": _choice,
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _text_length,
    "string_too_long": _text_length,
}


def _tag_rule(details: ErrorDetails, union: list[Any]) -> str:
    known = [record.model_fields["kind"].default for record in union]
    if details["type"] == "union_tag_invalid":
        near = suggest(str(details["ctx"]["tag"]), known)
        return f"must be {_one_of(known)}{near}"
    return f"is required: {_one_of(known)}"


def _group_rule(expected: list[Any]) -> str:
    record = _first_record(expected)
    known = f": {', '.join(record.model_fields)}" if record else ""
    return "must be a group of keys and values" + known


def _unknown_key(key: str, parent: type[BaseModel] | None) -> str:
    known = list(parent.model_fields) if parent else []
    near = suggest(key, known)
    return f"unknown key{near}" if near else f"unknown key; known: {', '.join(known)}"


def _words(expected: str) -> list[str]:
    """Split pydantic's ``'a', 'b' or 'c'``."""
    return [word.strip("'") for word in re.split(r", | or ", expected)]


def _number(bound: float) -> str:
    """Write round bounds as powers of ten."""
    exponent = round(math.log10(bound)) if bound >= 1e6 else 0
    if exponent and bound == 10**exponent:
        return f"10^{exponent}"
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _entries(count: int) -> str:
    return f"{count} entry" if count == 1 else f"{count} entries"


def _one_of(known: Sequence[str]) -> str:
    return f"one of {', '.join(known)}" if len(known) > 1 else known[0]


def _join(values: Iterable[object]) -> str:
    return " or ".join(str(value) for value in values)
