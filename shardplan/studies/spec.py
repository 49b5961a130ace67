"""A study that is ready to run: its file, its axes and the inputs that it names."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.io.toml import read_toml
from shardplan.io.validate import validate
from shardplan.records.study import MAX_POINTS, StudyFile
from shardplan.studies.axes import SCENARIO, AxisReader, Choice, StudyAxis
from shardplan.studies.sources import Sources, load_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

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
            The records by the names in `data`; by default they are loaded.

        Raises
        ------
        InputError
            With everything that is wrong with the study and the files that it names.
        """
        file = data
        if not isinstance(file, StudyFile):
            file = validate(StudyFile, dict(data), where)
        reader = AxisReader(file, where)
        axes = reader.axes()
        count = math.prod(len(axis.choices) for axis in axes)
        if count > MAX_POINTS:
            rule = f"{count:,} points are more than {MAX_POINTS:,}: leave values out"
            reader.problems.append(Fault(where, "axes", "", rule))
        if reader.problems:
            raise InputError(reader.problems)
        if sources is None:
            choices = [choice for axis in axes for choice in axis.choices]
            sources = load_sources(where, Path(folder), [reader.base(), *choices])
        return cls(file, where, axes, _excluded(file, axes), sources)

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
        reader = AxisReader(self.file, self.where)
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
        Records to use instead of the files that it names.

    Raises
    ------
    InputError
        With everything that is wrong with the study and the files that it names.
    """
    where = os.fspath(path)
    data = read_toml(Path(where), where)
    return StudySpec.of(data, Path(where).parent, where=where, sources=sources)


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
