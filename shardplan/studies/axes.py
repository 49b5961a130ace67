"""The axes of a study, with every value turned into what it changes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.catalog import load_network, looks_like_path
from shardplan.io.network_names import names_network
from shardplan.io.settings import Setting, parse_path
from shardplan.io.validate import validate
from shardplan.io.wording import suggest
from shardplan.records.record import dump
from shardplan.records.study import StudyBase
from shardplan.studies.fields import ROOTS
from shardplan.studies.point import encode
from shardplan.studies.values import count_of, kind_of, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.records.network import NetworkModel
    from shardplan.records.study import Axis, StudyFile

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

    Parameters
    ----------
    file : StudyFile
    where : str
        How messages name it.
    networks : dict of str to NetworkModel
        Those in files of their own, by the path that the study has; what is not there
        is loaded, and added.
    folder : Path, optional
        What paths are relative to.

    Attributes
    ----------
    problems : list of Fault
    """

    def __init__(
        self,
        file: StudyFile,
        where: str,
        networks: dict[str, NetworkModel],
        folder: Path | None = None,
    ) -> None:
        self._file, self._where = file, where
        self._networks, self._folder = networks, folder or Path()
        self._base = dump(file.base)
        self.problems: list[Fault] = []

    def count(self) -> int:
        """Return how many combinations there are, and make none; 0 for wrong rules."""
        axes = self._file.axes
        lengths = [_count(key, axis) for key, axis in axes.items()]
        for zipped in self._file.zip.values():
            lengths.append(min(_count(key, axis) for key, axis in zipped.items()))
        return math.prod(lengths) * max(len(self._file.scenarios), 1)

    def axes(self) -> tuple[StudyAxis, ...]:
        """Return the scenarios, then the axes and the zips in the file's order."""
        overrides = {name: self._override(name) for name in self._file.overrides}
        found = [self._scenarios(overrides)] if self._file.scenarios else []
        for key, axis in self._file.axes.items():
            choices = self._choices(f"axes.{quoted(key)}", key, axis)
            found.append(StudyAxis((key,), tuple(filter(None, choices))))
        found += [self._zipped(name, axes) for name, axes in self._file.zip.items()]
        for one in found:
            self._refuse_twice(one)
        return tuple(found)

    def knobs(self) -> tuple[StudyAxis, ...]:
        """Return what ends and choices of the knobs of a co-design change."""
        knobs = self._file.codesign.knobs if self._file.codesign else {}
        found = []
        for key, knob in knobs.items():
            at = f"codesign.knobs.{quoted(key)}"
            given = {f"{at}.choices[{i}]": v for i, v in enumerate(knob.choices)}
            given = given or {f"{at}.low": knob.low, f"{at}.high": knob.high}
            if self._is_key(at, key):
                read = (self.choice(name, key, value) for name, value in given.items())
                found.append(StudyAxis((key,), tuple(filter(None, read))))
        return tuple(found)

    def choice(
        self, at: str, key: str, value: Any, *, scales: bool = False
    ) -> Choice | None:
        """Return what a value of a key changes, or None after noting what is wrong."""
        if key in StudyBase.model_fields:
            return self._of_base(at, key, value, scales=scales)
        if not self._is_key(at, key):
            return None
        steps = parse_path(key)
        try:
            new = self._network(value) if names_network(steps) else value
        except InputError as error:
            self.problems += [
                p if p.key else Fault(self._where, at, shorten(value), p.rule)
                for p in error.problems
            ]
            return None
        return Choice(at, {key: value}, {}, (Setting(steps, new, scales=scales),))

    def _network(self, value: Any) -> Any:
        """Return a network beside the study itself, for workers have no such file."""
        if not isinstance(value, str) or not looks_like_path(value):
            return value
        if value not in self._networks:
            self._networks[value] = load_network(self._folder / value)
        return dump(self._networks[value])

    def _is_key(self, at: str, key: str) -> bool:
        """Tell whether a key is a field of the base or a path; if not, note it."""
        if key in StudyBase.model_fields:
            return True
        try:
            steps = parse_path(key)
        except ValueError as error:
            self._note(at, None, str(error))
            return False
        if len(steps) > 1 and steps[0] in ROOTS:
            return True
        known = StudyBase.model_fields if len(steps) == 1 else ROOTS
        near = suggest(str(steps[0]), known) or f"; known: {', '.join(known)}"
        rule = "is neither a field of [base] nor a path, which begins with"
        self._note(at, None, f"{rule} {', '.join(ROOTS)} and a key of it{near}")
        return False

    def _of_base(self, at: str, key: str, value: Any, *, scales: bool) -> Choice | None:
        try:
            new = self._scaled(key, value) if scales else value
            read = validate(StudyBase, {**self._base, key: new}, self._where)
        except InputError as error:
            self.problems += [
                Fault(self._where, at, p.value, p.rule) for p in error.problems
            ]
            return None
        return Choice(at, {key: value}, {key: getattr(read, key)})

    def _scaled(self, key: str, factor: float) -> float:
        own = self._base.get(key)
        if not isinstance(own, (int, float)) or isinstance(own, bool):
            rule = f"[base] has no number {key} to which a factor applies"
            raise InputError.single(self._where, key, factor, rule)
        return own * factor

    def _choices(self, at: str, key: str, axis: Axis) -> list[Choice | None]:
        """Return a choice for each value of an axis, None where it is wrong."""
        if not self._is_key(at, key):
            return []
        try:
            values = values_of(key, axis)
        except ValueError as error:
            self._note(at, None, str(error))
            return []
        kind = kind_of(axis)
        place = at if kind == "values" else f"{at}.{kind}"
        return [
            self.choice(f"{place}[{i}]", key, value, scales=kind == "scale")
            for i, value in enumerate(values)
        ]

    def _refuse_twice(self, axis: StudyAxis) -> None:
        known: dict[str, Choice] = {}
        for choice in axis.choices:
            same = known.setdefault(f"{dict(choice.base)} {choice.code}", choice)
            if same is not choice:
                self._note(choice.key, None, f"is the same as {same.key}")

    def _zipped(self, name: str, axes: Mapping[str, Axis]) -> StudyAxis:
        at = f"zip.{quoted(name)}"
        found = [
            self._choices(f"{at}.{quoted(key)}", key, axis)
            for key, axis in axes.items()
        ]
        lengths = [len(choices) for choices in found]
        if all(lengths) and len(set(lengths)) > 1:
            shown = ", ".join(
                f"{key} has {count}" for key, count in zip(axes, lengths, strict=True)
            )
            self._note(at, None, f"lists that move together are equally long: {shown}")
        choices = []
        for i, row in enumerate(zip(*found, strict=False)):
            valid = [choice for choice in row if choice]
            if len(valid) == len(row):
                choices.append(joined(f"{at}[{i}]", valid))
        return StudyAxis(tuple(axes), tuple(choices))

    def _override(self, name: str) -> Choice:
        """Return all changes of a named override."""
        at = f"overrides.{quoted(name)}"
        parts = []
        for key, value in self._file.overrides[name].items():
            is_factor = isinstance(value, dict) and list(value) == [_SCALE]
            new = value[_SCALE] if is_factor else value  # type: ignore[index,call-overload]
            place = f"{at}.{quoted(key)}"
            parts.append(self.choice(place, key, new, scales=is_factor))
        return joined(at, [part for part in parts if part])

    def _scenarios(self, overrides: Mapping[str, Choice]) -> StudyAxis:
        choices = []
        for name, parts in self._file.scenarios.items():
            at = f"scenarios.{quoted(name)}"
            unknown = [part for part in parts if part not in overrides]
            for part in unknown:
                near = suggest(part, overrides)
                near = near or f"; known: {', '.join(overrides) or 'none'}"
                self._note(at, part, f"is no override{near}")
            if not unknown:
                all_of = joined(at, [overrides[part] for part in parts])
                new = Choice(at, {SCENARIO: name}, all_of.base, all_of.settings)
                choices.append(new)
        return StudyAxis((SCENARIO,), tuple(choices))

    def _note(self, at: str, value: Any, rule: str) -> None:
        shown = "" if value is None else shorten(value)
        self.problems.append(Fault(self._where, at, shown, rule))


def _count(key: str, axis: Axis) -> int:
    try:
        return count_of(key, axis)
    except ValueError:
        return 0


def quoted(key: str) -> str:
    """Write a key as TOML does."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
