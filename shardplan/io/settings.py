"""Change inputs by dotted paths, such as ``topology.host_groups[0].num_hosts=4``.

A path begins with ``workload``, ``topology`` or ``cost_model`` and goes on with the
keys of its file. Entries of lists are chosen by number, by name where they have one
(``workload.tables.user.embedding_dim``), or all with ``*``, which also stands for a
part of a name. A name with dots or brackets goes in double quotes.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import PydanticUndefined

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.catalog import load_network
from shardplan.io.location import is_record, members
from shardplan.io.network_names import with_networks
from shardplan.io.validate import validate
from shardplan.io.wording import suggest, unknown_key
from shardplan.records.inputs import Inputs
from shardplan.records.record import Record, dump

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

R = TypeVar("R", bound=Record)
Step = int | str

ROOTS = tuple(Inputs.model_fields)
"""What a path may begin with."""
_WHERE = "setting"
_ALL = "*"
_INSTEAD = {
    "batch_size": "global_batch_size",
    "global_batch_size": "batch_size",
}
"""Of these a workload has one: setting it takes the other away."""
_SETTING = re.compile(
    r'((?:"[^"]*"|[^"=])*?)\s*(\+=|(?<!\.)\*=|=)(.*)',
    re.DOTALL,  # a.*=1 sets all of a
)
_STEP = re.compile(
    r'(?:^|(?<=.)\.)(?:"([^"]+)"|([^."\[\]]+))|\[([0-9]{1,9}|\*)\]', re.DOTALL
)


@dataclass(frozen=True)
class Setting:
    """One change of an input.

    Attributes
    ----------
    steps : tuple of str or int
        The path: its root, keys, indices, names, or ``*``.
    value : object
        The new value, as a file would have it.
    adds : bool
        The values are added to a list instead of taking its place.
    scales : bool
        The value is a factor: the input's own number is multiplied by it, and stays
        whole where it must be.
    """

    steps: tuple[Step, ...]
    value: object
    adds: bool = False
    scales: bool = False

    @property
    def path(self) -> str:
        """The path as text."""
        return format_path(self.steps)


def parse_setting(text: str) -> Setting:
    """Read ``PATH=VALUE``, ``PATH+=VALUES`` to add to a list, ``PATH*=FACTOR``.

    The value is written as in TOML; what is no TOML is text, so ``bf16`` and
    ``200 Gb/s`` need no quotes.

    Raises
    ------
    ValueError
        If there is no path or no value.
    """
    match = _SETTING.fullmatch(text)
    if match is None:
        raise ValueError(f"{shorten(text)} must look like PATH=VALUE")
    path, sign, value = match[1].strip(), match[2], match[3].strip()
    return Setting(parse_path(path), _parse_value(value), sign == "+=", sign == "*=")


def parse_path(text: str) -> tuple[Step, ...]:
    """Read a dotted path.

    Raises
    ------
    ValueError
        If it is none.
    """
    steps: list[Step] = []
    end = 0
    while (match := _STEP.match(text, end)) and match.end() > end:
        quoted, plain, index = match.groups()
        is_number = index is not None and index != _ALL
        steps.append(int(index) if is_number else quoted or plain or _ALL)
        end = match.end()
    if not steps or end < len(text):
        rule = 'must be a path such as topology.host_groups[0].num_hosts or a."b.c".d'
        raise ValueError(f"{shorten(text)} {rule}")
    return tuple(steps)


def format_path(steps: Iterable[Step]) -> str:
    """Write a path as `parse_path` reads it."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if re.fullmatch(r"[^.\"\[\]=]+", step) else f'"{step}"'
            text += f".{shown}" if text else shown
    return text


def _parse_value(text: str) -> object:
    try:
        data = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return data["value"] if len(data) == 1 else text


def require_roots(settings: Iterable[Setting]) -> None:
    """Raise `InputError` for settings of something else than the three inputs."""
    for setting in settings:
        root = str(setting.steps[0])
        if root not in ROOTS or len(setting.steps) == 1:
            rule = f"a path begins with {', '.join(ROOTS)} and a key of it"
            near = "" if root in ROOTS else suggest(root, ROOTS)
            raise InputError.single(_WHERE, setting.path, None, rule + near)


def changed(record: R, root: str, settings: Sequence[Setting]) -> R:
    """Return a record with the settings that begin with `root`, in their order.

    Raises
    ------
    InputError
        For a path that leads nowhere, with the nearest known key, and for values that
        the record refuses.
    """
    own = [setting for setting in settings if setting.steps[0] == root]
    if not own:
        return record
    data = applied(dump(record), type(record), own)
    try:
        return validate(type(record), with_networks(data, load_network, _WHERE), _WHERE)
    except InputError as error:
        raise InputError(
            Fault(p.where, f"{root}.{p.key}" if p.key else root, p.value, p.rule)
            for p in error.problems
        ) from error


def applied(
    data: dict[str, Any], model: type[Record], settings: Iterable[Setting]
) -> dict[str, Any]:
    """Change the data of a record in place, below the root of each path.

    Raises
    ------
    InputError
        For a path that leads nowhere, and for a factor of what is no number.
    """
    for setting in settings:
        _Change(setting, data.get("constraints", {})).within(data, model, 1)
    return data


class _Change:
    """One setting on its way into the data of a record.

    Parameters
    ----------
    inherited : dict
        The default of constraints, to which a table's own lists are added.
    """

    def __init__(self, setting: Setting, inherited: dict[str, Any]) -> None:
        self._setting = setting
        self._steps = setting.steps
        self._inherited = inherited

    def within(self, data: Any, annotation: Any, depth: int) -> Any:
        """Return `data` of a type with the value at the rest of the path."""
        if depth == len(self._steps):
            return self._value(data)
        kinds = list(members(annotation))
        records = [kind for kind in kinds if is_record(kind)]
        if records:
            return self._in_record({} if data is None else data, records, depth)
        for kind in kinds:
            origin = getattr(kind, "__origin__", None)
            if origin is tuple:
                return self._in_list(list(data or ()), kind.__args__, depth)
            if origin is dict:
                return self._in_mapping(dict(data or {}), kind.__args__[1], depth)
        raise self._error(depth, f"{format_path(self._steps[:depth])} has no keys")

    def _value(self, data: Any) -> Any:
        value = self._setting.value
        if self._setting.scales:
            return self._scaled(data, value)
        if not self._setting.adds:
            return value
        if data is not None and not isinstance(data, (list, tuple)):
            raise self._error(len(self._steps), "is no list: use '=' in place of '+='")
        return [*(data or ()), *(value if isinstance(value, list) else [value])]

    def _scaled(self, number: Any, factor: Any) -> Any:
        if not _is_number(factor) or not 0 < factor < float("inf"):
            rule = f"a factor must be a number above 0, not {shorten(factor)}"
            raise self._error(len(self._steps), rule)
        if not _is_number(number):
            has = "has no value" if number is None else "is no number"
            raise self._error(len(self._steps), f"{has}: a factor does not apply")
        product = number * factor
        return round(product) if isinstance(number, int) else product

    def _in_record(self, data: Any, records: list[Any], depth: int) -> Any:
        key = self._steps[depth]
        owner = next((r for r in records if key in r.model_fields), None)
        if owner is None or not isinstance(key, str):
            raise self._error(depth, unknown_key(str(key), records[0]))
        field = owner.model_fields[key]
        child = data.get(key)
        if child is None:
            child = _data(field.get_default(call_default_factory=True))
            if self._setting.adds and "constraints" in self._steps[2:depth]:
                child = self._inherited.get(key, child)
        is_last = depth + 1 == len(self._steps)
        data[key] = self.within(child, field.annotation, depth + 1)
        if is_last and key in _INSTEAD:
            data.pop(_INSTEAD[key], None)
        return data

    def _in_list(self, data: list[Any], types: Sequence[Any], depth: int) -> Any:
        for index in self._chosen(data, depth):
            data[index] = self.within(data[index], types[0], depth + 1)
        return data

    def _chosen(self, data: list[Any], depth: int) -> list[int]:
        """Return the entries of a list that a step means."""
        step = self._steps[depth]
        if step == _ALL:
            return list(range(len(data)))
        if isinstance(step, int):
            if step < len(data):
                return [step]
            raise self._error(depth, f"there are {len(data)}, numbered from 0")
        names = [
            entry.get("name") if isinstance(entry, dict) else None for entry in data
        ]
        found = [i for i, name in enumerate(names) if name == step]
        if not found and _ALL in step:
            pattern = ".*".join(map(re.escape, step.split(_ALL)))
            found = [i for i, n in enumerate(names) if n and re.fullmatch(pattern, n)]
        if not found:
            known = [name for name in names if name]
            near = suggest(step, known) or f"; known: {', '.join(known[:10])}"
            raise self._error(depth, f"no entry has this name or number{near}")
        return found

    def _in_mapping(self, data: dict[str, Any], kind: Any, depth: int) -> Any:
        key = str(self._steps[depth])
        is_last = depth + 1 == len(self._steps)
        if key != _ALL and key not in data and not is_last:
            known = suggest(key, data) or f"; known: {', '.join(data) or 'none'}"
            raise self._error(depth, f"unknown key{known}")
        for name in list(data) if key == _ALL else [key]:
            data[name] = self.within(data.get(name), kind, depth + 1)
        return data

    def _error(self, depth: int, rule: str) -> InputError:
        at = format_path(self._steps[: depth + 1])
        return InputError.single(_WHERE, at, None, rule)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _data(default: object) -> Any:
    """Return the default of a field as a file would have it; None if there is none."""
    if isinstance(default, Record):
        return dump(default)
    if isinstance(default, (tuple, list)):
        return [_data(entry) for entry in default]
    return None if default is PydanticUndefined else default
