"""The axes of a study, with every value turned into what it changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.settings import Setting, format_path, parse_path
from shardplan.io.validate import validate
from shardplan.io.wording import suggest
from shardplan.records.record import dump
from shardplan.records.study import MAX_POINTS, Axis, StudyBase
from shardplan.studies.fields import ROOTS, read_number
from shardplan.studies.point import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shardplan.records.study import StudyFile

SCENARIO = "scenario"
"""The axis of scenarios, and its column."""
_SCALE = "scale"


@dataclass(frozen=True)
class Choice:
    """One entry of an axis: what it is called, and what it changes.

    Attributes
    ----------
    key : str
        Where the file has it, for messages.
    values : dict of str to object
        By column, as written.
    base : dict of str to object
        Fields of the base, validated.
    settings : tuple of Setting
        Changes of inputs, solver options and parameter servers.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()

    @cached_property
    def code(self) -> str:
        """The settings as JSON, for hashes."""
        return encode(self.settings)

    @property
    def targets(self) -> list[str]:
        """What it changes: fields of the base and paths."""
        return [*self.base, *(setting.path for setting in self.settings)]


@dataclass(frozen=True)
class StudyAxis:
    """One axis: a key, several that move together, or the scenarios."""

    columns: tuple[str, ...]
    choices: tuple[Choice, ...]


def joined(key: str, choices: Sequence[Choice]) -> Choice:
    """Return one choice that changes all that some do, in their order."""
    return Choice(
        key,
        {name: value for choice in choices for name, value in choice.values.items()},
        {name: value for choice in choices for name, value in choice.base.items()},
        tuple(setting for choice in choices for setting in choice.settings),
    )


class AxisReader:
    """Reads the axes of a file, and collects what is wrong with them.

    Attributes
    ----------
    problems : list of Fault
    """

    def __init__(self, file: StudyFile, where: str) -> None:
        self._file, self._where = file, where
        self._base = dump(file.base)
        self.problems: list[Fault] = []

    def axes(self) -> tuple[StudyAxis, ...]:
        """Return the scenarios, then the axes and the zips in the file's order."""
        found = [self._scenarios()] if self._file.scenarios else []
        found += [
            StudyAxis((key,), self._choices(f"axes.{_quoted(key)}", key, axis))
            for key, axis in self._file.axes.items()
        ]
        found += [self._zipped(name, axes) for name, axes in self._file.zip.items()]
        return tuple(found)

    def base(self) -> Choice:
        """Return what the base itself names."""
        return Choice("base", {}, dict(self._file.base))

    def override(self, name: str) -> Choice:
        """Return all changes of a named override."""
        at = f"overrides.{_quoted(name)}"
        changes = self._file.overrides[name].items()
        parts = [
            self.choice(f"{at}.{_quoted(key)}", key, **_value_or_factor(value))
            for key, value in changes
        ]
        return joined(at, [part for part in parts if part])

    def choice(
        self, at: str, key: str, value: Any, *, scales: bool = False
    ) -> Choice | None:
        """Return what a value of a key changes, or None after noting what is wrong."""
        if "." not in key and "[" not in key:
            return self._of_base(at, key, value, scales=scales)
        try:
            steps = parse_path(key)
        except ValueError as error:
            self._note(at, None, str(error))
            return None
        if steps[0] not in ROOTS or len(steps) == 1:
            near = "" if steps[0] in ROOTS else suggest(str(steps[0]), ROOTS)
            rule = f"a path begins with {', '.join(ROOTS)} and a key of it{near}"
            self._note(at, None, rule)
            return None
        return Choice(at, {key: value}, {}, (Setting(steps, value, scales=scales),))

    def _of_base(self, at: str, key: str, value: Any, *, scales: bool) -> Choice | None:
        if key not in StudyBase.model_fields:
            near = suggest(key, [*StudyBase.model_fields, *ROOTS])
            rule = near or f"; known: {', '.join(StudyBase.model_fields)}"
            self._note(at, None, f"unknown key{rule}; or write a path with dots")
            return None
        try:
            if scales:
                value = self._scaled(key, value)
            read = validate(StudyBase, {**self._base, key: value}, self._where)
        except InputError as error:
            self.problems += [
                Fault(self._where, at, p.value, p.rule) for p in error.problems
            ]
            return None
        return Choice(at, {key: value}, {key: getattr(read, key)})

    def _scaled(self, key: str, factor: float) -> float:
        own = self._base.get(key)
        if not isinstance(own, (int, float)) or isinstance(own, bool):
            rule = f"{key} of [base] is no number: a factor does not apply"
            raise InputError.single(self._where, key, factor, rule)
        return own * factor

    def _choices(self, at: str, key: str, axis: Axis) -> tuple[Choice, ...]:
        """Return a choice for each value of an axis that is not wrong by itself."""
        values = self._values(at, key, axis)
        written = "" if axis.values is not None else f".{_kind(axis)}"
        self._refuse_twice(at, values)
        found = [
            self.choice(
                f"{at}{written}[{i}]", key, value, scales=axis.scale is not None
            )
            for i, value in enumerate(values)
        ]
        return tuple(choice for choice in found if choice)

    def _values(self, at: str, key: str, axis: Axis) -> list[Any]:
        if axis.values is not None:
            return list(axis.values)
        if axis.scale is not None:
            return list(axis.scale)
        try:
            return list(_generated(key, axis))
        except ValueError as error:
            self._note(at, None, str(error))
            return []

    def _refuse_twice(self, at: str, values: Sequence[Any]) -> None:
        seen: list[Any] = []
        known: set[str] = set()
        for value in values:
            text = repr(value)
            if text in known:
                self._note(at, value, "has this value twice")
            known.add(text)
            seen.append(value)

    def _zipped(self, name: str, axes: Mapping[str, Axis]) -> StudyAxis:
        at = f"zip.{_quoted(name)}"
        columns = {
            key: self._choices(f"{at}.{_quoted(key)}", key, axis)
            for key, axis in axes.items()
        }
        lengths = {key: len(choices) for key, choices in columns.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key} has {n}" for key, n in lengths.items())
            self._note(at, None, f"lists that move together are equally long: {shown}")
        rows = zip(*columns.values(), strict=False)
        choices = tuple(joined(f"{at}[{i}]", row) for i, row in enumerate(rows))
        return StudyAxis(tuple(axes), choices)

    def _scenarios(self) -> StudyAxis:
        overrides: dict[str, Choice] = {}
        choices = []
        for name, parts in self._file.scenarios.items():
            at = f"scenarios.{_quoted(name)}"
            for part in parts:
                if part not in self._file.overrides:
                    known = list(self._file.overrides)
                    near = suggest(part, known) or f"; known: {', '.join(known)}"
                    self._note(at, part, f"is no override{near}")
                elif part not in overrides:
                    overrides[part] = self.override(part)
            all_of = joined(at, [overrides[p] for p in parts if p in overrides])
            choices.append(Choice(at, {SCENARIO: name}, all_of.base, all_of.settings))
        return StudyAxis((SCENARIO,), tuple(choices))

    def _note(self, at: str, value: Any, rule: str) -> None:
        shown = "" if value is None else shorten(value)
        self.problems.append(Fault(self._where, at, shown, rule))


def _generated(key: str, axis: Axis) -> Iterator[float]:
    """Yield the values of a geometric or linear axis.

    In decimal arithmetic: 0.1 and two steps of 0.1 are 0.3, as the reader has it.

    Raises
    ------
    ValueError
        For ends that are no numbers, or between which there are none or too many.
    """
    kind = _kind(axis)
    first, last = (read_number(key, end) for end in getattr(axis, kind))
    if kind == "linear":
        by = read_number(key, axis.step)
        count = (last - first) / by if by > 0 else math.nan
    else:
        assert axis.factor is not None
        by = axis.factor
        is_positive = 0 < first <= last
        count = math.log(last / first) / math.log(by) if is_positive else math.nan
    if not count >= 0:
        order = (
            "0 < FIRST <= LAST" if kind == "geometric" else "FIRST <= LAST, step > 0"
        )
        raise ValueError(f"{kind} needs {order}")
    if count >= MAX_POINTS:
        raise ValueError(f"makes more than {MAX_POINTS:,} values")
    start, change = Decimal(repr(first)), Decimal(repr(by))
    for i in range(math.floor(count + 1e-9) + 1):
        value = start * change**i if kind == "geometric" else start + change * i
        is_whole = isinstance(first, int) and value == value.to_integral_value()
        yield int(value) if is_whole else float(value)


def _kind(axis: Axis) -> str:
    return next(k for k in ("scale", "geometric", "linear") if getattr(axis, k))


def _value_or_factor(value: Any) -> dict[str, Any]:
    """Read the value of an override: ``{ scale = FACTOR }`` is a factor."""
    if isinstance(value, dict) and list(value) == [_SCALE]:
        return {"value": value[_SCALE], "scales": True}
    return {"value": value}


def _quoted(key: str) -> str:
    return format_path([key]) if "." not in key else f'"{key}"'
