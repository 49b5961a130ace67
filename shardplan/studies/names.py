"""What a study file names elsewhere: axes, columns, topologies, and whether twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import Fault, shorten
from shardplan.io.catalog import split_hosts
from shardplan.io.wording import suggest
from shardplan.studies.axes import quoted
from shardplan.studies.columns import COLUMNS
from shardplan.studies.constraints import parse_constraint
from shardplan.studies.fields import has_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shardplan.records.study import StudyFile
    from shardplan.studies.axes import StudyAxis
    from shardplan.studies.spec import StudySpec


def find_misnamed(
    file: StudyFile, axes: Sequence[StudyAxis], knobs: Sequence[StudyAxis], where: str
) -> list[Fault]:
    """Return keys and columns that are not there, or are there twice."""
    found = [
        *_twice([*axes, *knobs]),
        *_conditions(file),
        *_objectives(file),
        *_axes(file, [name for axis in axes for name in axis.columns]),
        *_sections(file),
    ]
    return [Fault(where, key, value, rule) for key, value, rule in found]


def find_idle(spec: StudySpec) -> list[str]:
    """Return what of a study has no effect."""
    file = spec.file
    notes = [
        f"exclude[{number}] matches no point"
        for number, left_out in enumerate(spec.excluded)
        if not all(left_out.values())
    ]
    used = {name for names in file.scenarios.values() for name in names}
    notes += [
        f"overrides.{quoted(name)} is in no scenario and changes nothing"
        for name in file.overrides
        if name not in used
    ]
    topologies = spec.sources.topologies
    known = {*topologies, *(split_hosts(name)[0] for name in topologies)}
    known |= {topology.name for topology in topologies.values()}
    notes += [
        f"prices.{quoted(name)} is for no topology of the study{suggest(name, known)}"
        for name in file.prices
        if name not in known
    ]
    return [f"{spec.where}: {note}" for note in notes]


_Found = tuple[str, str, str]
"""Key, value and rule of a fault."""


def _twice(axes: Iterable[StudyAxis]) -> Iterator[_Found]:
    """Yield targets of two axes: the second would take back what the first did."""
    changed: dict[str, str] = {}
    for axis in axes:
        mine = {
            target: choice.key
            for choice in reversed(axis.choices)
            for target in choice.targets
        }
        for target, key in mine.items():
            if target in changed:
                rule = (
                    f"{target} is changed by {changed[target]} as well: leave one out"
                )
                yield key, "", rule
        changed |= mine


def _axes(file: StudyFile, columns: Sequence[str]) -> Iterator[_Found]:
    """Yield names of axes that there are not."""
    keys = [
        (f"exclude[{number}].{quoted(key)}", key)
        for number, entry in enumerate(file.exclude)
        for key in entry
    ]
    if file.search:
        for side in ("minimise", "maximise"):
            name = getattr(file.search, side)
            keys += [(f"search.{side}", name)] if name is not None else []
    for at, key in keys:
        if key not in columns:
            near = suggest(key, columns) or f"; known: {', '.join(columns) or 'none'}"
            yield at, "", f"{key} is no axis of the study{near}"


def _conditions(file: StudyFile) -> Iterator[_Found]:
    """Yield conditions that cannot be read."""
    rules = {f"subject_to[{i}]": text for i, text in enumerate(file.subject_to)}
    if file.search:
        for i, text in enumerate(file.search.subject_to):
            rules[f"search.subject_to[{i}]"] = text
    for at, text in rules.items():
        try:
            parse_constraint(text)
        except ValueError as error:
            yield at, shorten(text), str(error)


def _objectives(file: StudyFile) -> Iterator[_Found]:
    """Yield columns of the front and of objectives that have no better end."""
    named: dict[str, str] = {}
    if file.pareto:
        named = {"pareto.x": file.pareto.x, "pareto.y": file.pareto.y}
    if file.codesign:
        for side in ("minimise", "maximise"):
            for i, name in enumerate(getattr(file.codesign, side)):
                named[f"codesign.{side}[{i}]"] = name
    better = [name for name, column in COLUMNS.items() if column.sense]
    for at, name in named.items():
        if name not in better:
            rule = "has no better end" if name in COLUMNS else "is no column"
            near = suggest(name, better) or f"; known: {', '.join(better)}"
            yield at, shorten(name), rule + near


def _sections(file: StudyFile) -> Iterator[_Found]:
    """Yield prices of what is no field, and sections that exclude each other."""
    for name, price in file.prices.items():
        for field in ("per_host_hour_per", "watts_per_host_per"):
            for key in getattr(price, field):
                if not has_field(key):
                    at = f"prices.{quoted(name)}.{field}.{quoted(key)}"
                    yield at, "", "is no field of [base] and no path of an input"
    others = [
        name for name in ("axes", "zip", "scenarios", "search") if getattr(file, name)
    ]
    if file.codesign and others:
        rule = f"takes the place of {', '.join(others)}: use knobs with choices"
        yield "codesign", "", rule
