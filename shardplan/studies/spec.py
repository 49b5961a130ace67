"""A study that is ready to run: its file, its axes and the inputs that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from shardplan.errors import Fault, InputError
from shardplan.io.file_kind import require_kind
from shardplan.io.toml import read_toml
from shardplan.io.validate import validate
from shardplan.records.study import MAX_POINTS, Axis, StudyFile
from shardplan.studies.axes import SCENARIO, AxisReader, Choice, StudyAxis
from shardplan.studies.codesign.faults import find_design_faults
from shardplan.studies.expand import combinations
from shardplan.studies.names import find_idle, find_misnamed
from shardplan.studies.sources import Sources, load_sources
from shardplan.studies.trial import try_values

if TYPE_CHECKING:
    from shardplan.records.record import Record

Left = dict[int, frozenset[int]]
"""Of an [[exclude]]: by axis the choices that it means."""


@dataclass(frozen=True, eq=False)
class StudySpec:
    """A study, checked as far as it can be without running it.

    Attributes
    ----------
    file : StudyFile
        What the file says.
    where : str
        How messages name it.
    axes : tuple of StudyAxis
        In the order of loops, the last innermost.
    excluded : tuple of dict
        For each [[exclude]] the choices, by axis, that it leaves out together.
    sources : Sources
        The records that it names.
    """

    file: StudyFile
    where: str
    axes: tuple[StudyAxis, ...]
    excluded: tuple[Left, ...]
    sources: Sources

    @classmethod
    def of(
        cls,
        data: StudyFile | Mapping[str, Any],
        folder: str | os.PathLike[str] = ".",
        *,
        where: str = "study",
        sources: Sources | None = None,
    ) -> StudySpec:
        """Make a study from a record, or from the data of a file.

        Parameters
        ----------
        data : StudyFile or mapping
        folder : path
            What paths of inputs are relative to.
        where : str
            How messages name the study.
        sources : Sources, optional
            Records by the names in `data`; what is not among them is loaded.

        Raises
        ------
        InputError
            With everything that is wrong with the study and the files that it names.
        """
        file, problems = (
            (data, []) if isinstance(data, StudyFile) else _read(data, where)
        )
        networks = {} if sources is None else dict(sources.networks)
        reader = AxisReader(file, where, networks, Path(folder))
        count = reader.count()
        if count > MAX_POINTS:
            rule = f"{count:,} points are more than {MAX_POINTS:,}: leave values out"
            raise InputError([*problems, Fault(where, "axes", "", rule)])
        axes, knobs = reader.axes(), reader.knobs()
        problems += find_misnamed(file, axes, knobs, where)
        problems += reader.problems
        problems += find_design_faults(file, where)
        found, unread = load_sources(
            where, Path(folder), file, [*axes, *knobs], sources
        )
        problems += unread
        found = replace(found, networks=networks)
        spec = cls(file, where, axes, _excluded(file, axes), found)
        problems += try_values(spec, knobs)
        if not problems and next(combinations(spec), None) is None:
            rule = "leaves no point: exclude less"
            problems.append(Fault(where, "exclude", "", rule))
        if problems:
            raise InputError(problems)
        return spec

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions that points must meet, those of the search as well."""
        own = self.file.search.subject_to if self.file.search else ()
        return tuple(dict.fromkeys((*self.file.subject_to, *own)))

    @property
    def warnings(self) -> list[str]:
        """What of the file has no effect."""
        return find_idle(self)

    def choice(self, key: str, value: Any) -> Choice:
        """Return what a value of an axis, or of any other key, changes.

        Parameters
        ----------
        key : str
            A column of an axis, a field of the base, or a path.
        value : object
            As a file has it; for an axis of factors a factor.

        Raises
        ------
        InputError
            For a key or value that leads nowhere.
        """
        reader = AxisReader(self.file, self.where, dict(self.sources.networks))
        scaled = any(
            setting.scales
            for axis in self.axes
            if key in axis.columns
            for setting in axis.choices[0].settings
            if setting.path == key
        )
        if key == SCENARIO:
            found = {c.values[key]: c for c in self.axes[0].choices}.get(value)
        else:
            found = reader.choice(key, key, value, scales=scaled)
        if found is None:
            raise InputError(
                reader.problems or [Fault(self.where, key, repr(value), "is none")]
            )
        return found


def load_spec(
    path: str | os.PathLike[str], sources: Sources | None = None
) -> StudySpec:
    """Load a study file.

    Parameters
    ----------
    path : path
        A TOML file.
    sources : Sources, optional
        Records by the names in the file; what is not among them is loaded.

    Raises
    ------
    InputError
        With everything that is wrong with the study and the files that it names.
    """
    where = os.fspath(path)
    data = read_toml(Path(where), where)
    require_kind(data, "study", where)
    return StudySpec.of(data, Path(where).parent, where=where, sources=sources)


def _read(
    data: StudyFile | Mapping[str, Any], where: str
) -> tuple[StudyFile, list[Fault]]:
    """Read the data of a file; of one that is wrong, what can be tried without that.

    Raises
    ------
    InputError
        If nothing can be.
    """
    if isinstance(data, StudyFile):
        return data, []
    plain = dict(data) if isinstance(data, Mapping) else data
    try:
        return validate(StudyFile, plain, where), []
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, ValidationError) or not isinstance(plain, dict):
            raise
        wrong = {str(problem["loc"][0]) for problem in cause.errors() if problem["loc"]}
        try:
            rest = validate(StudyFile, _without(plain, wrong), where)
        except InputError:
            raise error from None
        return rest, list(error.problems)


def _without(data: dict[str, Any], wrong: set[str]) -> dict[str, Any]:
    """Leave out sections that are wrong, and what may name something in them."""
    rest = {"schema_version": 1, "name": "study"}
    rest |= {key: value for key, value in data.items() if key not in wrong}
    left_out: set[str] = set()
    if "axes" in wrong:
        rest["axes"] = _valid(Axis, data["axes"])
    if wrong & {"axes", "zip", "overrides", "scenarios"}:
        left_out |= {"exclude", "search"}
    if "overrides" in wrong:
        left_out.add("scenarios")
    if "base" in wrong and isinstance(data.get("base"), dict):
        needed = ("workload", "topology")
        rest["base"] = {key: data["base"].get(key) for key in needed}
        left_out |= {"axes", "zip", "overrides", "scenarios", "exclude", "search"}
        left_out |= {"codesign", "parameter_servers"}
    return {key: value for key, value in rest.items() if key not in left_out}


def _valid(model: type[Record], entries: object) -> dict[str, Any]:
    """Return the entries of a section that are right by themselves."""
    found = {}
    for key, value in entries.items() if isinstance(entries, dict) else ():
        try:
            found[key] = model.model_validate(value)
        except ValidationError:
            continue
    return found


def _excluded(file: StudyFile, axes: tuple[StudyAxis, ...]) -> tuple[Left, ...]:
    found = []
    for entry in file.exclude:
        left: Left = {}
        for number, axis in enumerate(axes):
            asked = {key: entry[key] for key in axis.columns if key in entry}
            if asked:
                left[number] = frozenset(
                    i
                    for i, choice in enumerate(axis.choices)
                    if all(_is_any(choice.values[k], v) for k, v in asked.items())
                )
        found.append(left)
    return tuple(found)


def _is_any(value: Any, wanted: Any) -> bool:
    return bool(value == wanted or (isinstance(wanted, list) and value in wanted))
