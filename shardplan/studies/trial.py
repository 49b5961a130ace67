"""Try every value of every axis alone, so that a study fails before it runs."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING

from shardplan.errors import Fault, InputError, shorten
from shardplan.studies.axes import Choice, joined
from shardplan.studies.expand import combinations
from shardplan.studies.point import StudyPoint
from shardplan.studies.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.records.study import StudyBase
    from shardplan.studies.axes import StudyAxis
    from shardplan.studies.spec import StudySpec


_BASE = "base"


def try_values(spec: StudySpec, knobs: Iterable[StudyAxis] = ()) -> list[Fault]:
    """Return what is wrong with values of axes that are right by themselves.

    Each is tried alone on the base, with every input that the study names. What fails
    there may be right in its points, where other values go with it: then it is wrong
    only if it fails in the first of these as well.
    """
    trial = _Trial(spec)
    problems = list(trial.of(Choice(_BASE)))
    for number, axis in enumerate([*spec.axes, *knobs]):
        is_axis = number < len(spec.axes)
        for choice in axis.choices:
            problems += trial.of(choice, number if is_axis else None)
        if is_axis:
            problems += trial.same(axis)
    return problems


class _Trial:
    """Resolves single values, and knows which led to the same."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._resolver = Resolver(spec)
        self._named = {field: _named(spec, field) for field in ("workload", "topology")}
        self._keys: dict[str, list[str]] = defaultdict(list)
        self._known: set[Fault] = set()

    def of(self, choice: Choice, axis: int | None = None) -> Iterator[Fault]:
        """Yield what is wrong with a choice on any input of the study."""
        bases = list(self._bases(choice))
        wrong: dict[Fault, list[StudyBase]] = {}
        for base in bases:
            alone = StudyPoint(0, {}, base, choice.settings, "")
            try:
                self._keys[choice.key].append(self._resolver.attempt(alone).key)
            except InputError as error:
                real = self._in_points(choice, base, axis)
                for problem in error.problems:
                    if real is None or problem in real:
                        wrong.setdefault(problem, []).append(base)
        if choice.key == _BASE:
            self._known = set(wrong)
        for problem, failing in wrong.items():
            if choice.key == _BASE or problem not in self._known:
                if not problem.value:  # the path is wrong, for all values alike
                    self._known.add(problem)
                met = failing if len(failing) < len(bases) else []
                yield self._told(problem, choice, met)

    def same(self, axis: StudyAxis) -> Iterator[Fault]:
        """Yield choices that lead to the same inputs as another one of their axis."""
        seen: dict[tuple[str, ...], str] = {}
        for choice in axis.choices:
            keys = tuple(self._keys.get(choice.key, ()))
            first = seen.setdefault(keys, choice.key)
            if keys and first != choice.key and choice.settings:
                rule = f"leads to the same inputs as {first}"
                yield Fault(self._spec.where, choice.key, _value(choice), rule)

    def _bases(self, choice: Choice) -> Iterator[StudyBase]:
        """Yield the base with every input that the choice can meet."""
        base = self._spec.file.base.model_copy(update=dict(choice.base))
        touched = {str(setting.steps[0]) for setting in choice.settings}
        if "hosts" in choice.base:
            touched.add("topology")
        fields = sorted(touched & self._named.keys() - choice.base.keys())
        for names in product(*(self._named[field] for field in fields)):
            met = base.model_copy(update=dict(zip(fields, names, strict=True)))
            if self._spec.sources.has(met, choice.settings):
                yield met

    def _in_points(
        self, choice: Choice, base: StudyBase, number: int | None
    ) -> set[Fault] | None:
        """Return what is wrong in the first point that has a choice and its inputs.

        None if that says nothing: there is no such axis, or another has no values. A
        choice that is in no point is not wrong.
        """
        axes = [axis.choices for axis in self._spec.axes]
        if not all(axes) or (number is None and choice.key != _BASE):
            return None
        allowed = [
            [
                i
                for i, other in enumerate(choices)
                if (other is choice or here != number)
                and all(
                    other.base.get(field, getattr(base, field)) == getattr(base, field)
                    for field in self._named
                )
            ]
            for here, choices in enumerate(axes)
        ]
        for choices in combinations(self._spec, allowed):
            point = joined("", choices)
            whole = self._spec.file.base.model_copy(update=dict(point.base))
            if not self._spec.sources.has(whole, point.settings):
                return None
            try:
                self._resolver.attempt(StudyPoint(0, {}, whole, point.settings, ""))
            except InputError as error:
                return set(error.problems)
            return set()
        return set()

    def _told(self, problem: Fault, choice: Choice, met: list[StudyBase]) -> Fault:
        """Say where the study has what a record refuses, and with which inputs."""
        own, rule = _value(choice), problem.rule
        if problem.key not in choice.key:
            has_other = problem.value not in ("", own)
            value = f" = {problem.value}" if has_other else ""
            rule = f"{problem.key}{value}: {rule}"
        if met:
            names = {
                field: list(dict.fromkeys(getattr(base, field) for base in met))
                for field in self._named
            }
            shown = (
                f"{field} {', '.join(found)}"
                for field, found in names.items()
                if len(self._named[field]) > 1
            )
            rule += f" (with {' and '.join(shown)})"
        return Fault(self._spec.where, choice.key, own, rule)


def _named(spec: StudySpec, field: str) -> list[str]:
    """Return the inputs of a kind that points have."""
    found = [
        choice.base[field]
        for axis in spec.axes
        for choice in axis.choices
        if field in choice.base
    ]
    return list(dict.fromkeys(found)) or [getattr(spec.file.base, field)]


def _value(choice: Choice) -> str:
    values = list(choice.values.values())
    return shorten(values[0]) if len(values) == 1 else ""
