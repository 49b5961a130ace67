"""Say in plain words what pydantic says about a value."""

from __future__ import annotations

import difflib
import json
import math
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from shardplan.errors import shorten
from shardplan.io.location import first_record, is_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic_core import ErrorDetails


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` if a known word is near, else nothing."""
    near = difflib.get_close_matches(word[:100], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def show_value(details: ErrorDetails) -> str:
    """Show the value of a problem, if it is short enough to help."""
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


def show_tag(details: ErrorDetails) -> str:
    """Show the `kind` of a problem."""
    return shorten(details["ctx"]["tag"]) if "tag" in details.get("ctx", {}) else ""


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
    "string_pattern_mismatch": (
        "must not start with white space or contain control characters"
    ),
    "invalid-json-value": "must be text, a number, true, false, a list or a group",
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


def plain_rule(details: ErrorDetails) -> str:
    """Return the rule that a value breaks."""
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


def tag_rule(details: ErrorDetails, union: list[Any]) -> str:
    """Return the rule for the `kind` that selects a record."""
    records = [record for record in union if is_record(record)]
    known = [record.model_fields["kind"].default for record in records]
    if details["type"] == "union_tag_invalid":
        near = suggest(str(details["ctx"]["tag"]), known)
        return f"must be {_one_of(known)}{near}"
    return f"is required: {_one_of(known)}"


def group_rule(expected: list[Any]) -> str:
    """Return the rule for what should be a record, with its keys."""
    record = first_record(expected)
    known = f": {', '.join(record.model_fields)}" if record else ""
    return "must be a group of keys and values" + known


def unknown_key(key: str, parent: type[BaseModel] | None) -> str:
    """Return the rule for a key that `parent` does not have."""
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
