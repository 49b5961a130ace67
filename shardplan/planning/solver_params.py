"""Parameters of solvers from files, and what of them is not at its default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Strict, create_model

from shardplan.errors import Fault, InputError
from shardplan.io.settings import Setting, applied
from shardplan.io.toml import read_toml
from shardplan.io.validate import validate
from shardplan.records.quantity import Quantity
from shardplan.records.record import Record, dump
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.registry import SOLVERS, solver_names, solver_type

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    Source = SolverParams | Mapping[str, Any] | str | os.PathLike[str]

_ROOT = "solver"
"""What a path to a parameter begins with."""


def load_params(source: Source | None) -> SolverParams:
    """Return parameters: of a TOML file, of a mapping as such a file has it, or given.

    A section named as the solver of a plug-in is read by that solver's `Params`.

    Raises
    ------
    InputError
        With everything that is wrong: sections, keys and values.
    """
    if source is None:
        return DEFAULTS
    if isinstance(source, SolverParams):
        return source
    if isinstance(source, Mapping):
        data, where = dict(source), "params"
    elif isinstance(source, (str, os.PathLike)):
        where = os.fspath(source)
        data = read_toml(Path(where), where)
    else:
        rule = "must be a path, a mapping of sections, or SolverParams"
        raise InputError.single("solve", "params", repr(source), rule)
    validate(_record_for(data, where, strict=True), data, where)
    return validate(_record_for(data, where), data, where)


def params_with(settings: Sequence[Setting]) -> SolverParams:
    """Return the defaults changed by paths such as ``solver.greedy.most_scores``.

    Raises
    ------
    InputError
        For a path that leads nowhere, and for values that the record refuses.
    """
    sections = {str(setting.steps[1]): None for setting in settings}
    try:
        data = applied({}, _record_for(sections, _ROOT), settings)
        return load_params(data)
    except InputError as error:
        raise InputError(
            Fault(p.where, _below_root(p.key), p.value, p.rule) for p in error.problems
        ) from error


def _below_root(key: str) -> str:
    return key if key.startswith(_ROOT) else f"{_ROOT}.{key}"


def changed_params(params: SolverParams) -> dict[str, Any]:
    """Return the values that differ from the defaults, by dotted name."""
    return dict(_leaves(dump(params), ""))


def _record_for(
    data: Mapping[str, Any], where: str, *, strict: bool = False
) -> type[SolverParams]:
    """Return the record of a file: that of built-in solvers, and of plug-ins in it.

    Strict ones refuse text and truth values for numbers, as built-in sections do; they
    are for messages alone, since a solver must get its own record.
    """
    built_in = {*SOLVERS, *SolverParams.model_fields}
    sections: Any = {
        name: (_strict(kind) if strict else kind, ...)
        for name in solver_names()
        if name in data and name not in built_in
        for kind in [_params_type(name, where)]
    }
    if not sections:
        return SolverParams
    return create_model(SolverParams.__name__, __base__=SolverParams, **sections)


def _params_type(name: str, where: str) -> type[Record]:
    kind = getattr(solver_type(name), "Params", None)
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind
    rule = f"solver {name} has no parameters: it needs a record `Params`"
    raise InputError.single(where, name, None, rule)


def _strict(kind: type[Record]) -> type[Record]:
    """Return the record with its plain numbers and flags checked strictly."""
    fields: Any = {
        name: (Annotated[field.annotation, Strict()], field)
        for name, field in kind.model_fields.items()
        if field.annotation in (bool, int, float) and not _has_units(field)
    }
    return create_model(kind.__name__, __base__=kind, **fields)


def _has_units(field: FieldInfo) -> bool:
    return any(isinstance(part, Quantity) for part in field.metadata)


def _leaves(data: Mapping[str, Any], path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in data.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{path}{name}.")
        else:
            found.append((path + name, value))
    return found
