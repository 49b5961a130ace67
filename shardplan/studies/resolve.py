"""From a point to the changed inputs and options that it is planned with."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.settings import Setting, changed
from shardplan.planning.solver_params import params_with
from shardplan.records.inputs import Inputs
from shardplan.records.record import dump
from shardplan.solvers.registry import SOLVERS, solver_type
from shardplan.studies.fields import ROOTS
from shardplan.studies.kept import Kept
from shardplan.studies.point import RESULTS_VERSION, encode
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shardplan.records.study import ServerSettings, StudyBase
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload
    from shardplan.solvers.params import SolverParams
    from shardplan.studies.kept import Printed
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.spec import StudySpec

    Settings = tuple[Setting, ...]

_ENDLESS = "auto"
"""The solver that goes on until something stops it."""
_MOST_TABLES = 100_000
"""Tables in all workloads that are kept, about 100 MB."""
_MOST_KEPT = 512
"""Records of any other kind that are kept."""


@dataclass(frozen=True)
class SolveOptions:
    """How a point is solved: the arguments of `solve` beside the inputs.

    Attributes
    ----------
    seed : int
        Given, or from the key.
    work_limit : float
        Infinite for none.
    """

    target: str
    objective: str
    solver: str
    seed: int
    work_limit: float
    gap: float
    rounds: int
    params: SolverParams

    def arguments(self) -> dict[str, Any]:
        """Return them as keyword arguments of `shardplan.solve`."""
        return {name: getattr(self, name) for name in type(self).__annotations__}


@dataclass(frozen=True)
class ResolvedPoint:
    """What a point is planned with.

    Attributes
    ----------
    inputs : Inputs
        Points that share a workload share the record.
    options : SolveOptions
    key : str
        SHA-256 of all that decides the result, equal for points that mean the same.
    kind : str
        ``plan`` or ``parameter-servers``.
    servers : ServerSettings or None
        For the latter.
    """

    inputs: Inputs
    options: SolveOptions
    key: str
    kind: str
    servers: ServerSettings | None


class Resolver:
    """Resolves the points of a study; keeps changed records for the points to come."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec, self._sources = spec, spec.sources
        self._workloads: Kept[Workload] = Kept(_MOST_TABLES)
        self._topologies: Kept[Topology] = Kept(_MOST_KEPT)
        self._software: Kept[AnyCostModel] = Kept(_MOST_KEPT)
        self._params: Kept[SolverParams] = Kept(_MOST_KEPT)

    def resolve(self, point: StudyPoint) -> ResolvedPoint:
        """Return inputs, options and key of a point.

        Raises
        ------
        InputError
            With every key path whose value a record refuses, and the point's values.
        """
        try:
            return self.attempt(point)
        except InputError as error:
            shown = _shown(point)
            raise InputError(
                Fault(self._spec.where, p.key, p.value, f"{p.rule}{shown}")
                for p in error.problems
            ) from error

    def attempt(self, point: StudyPoint) -> ResolvedPoint:
        """Do the same with errors that say nothing of the study or the point."""
        base, settings = point.base, _by_root(point.settings)
        steps: list[Callable[[], Any]] = [
            lambda: require_solver(base),
            lambda: self.workload(base, settings["workload"]),
            lambda: self.topology(base, settings["topology"]),
            lambda: self.software(point, settings["cost_model"]),
            lambda: self.params(settings["solver"]),
            lambda: self.servers(base, settings["parameter_servers"]),
        ]
        problems: list[Fault] = []
        found = []
        for step in steps:
            try:
                found.append(step())
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(_brief(problems))
        (
            _,
            (workload, first),
            (topology, second),
            (software, third),
            (params, fourth),
            servers,
        ) = found
        options: dict[str, Any] = {
            "target": base.target.value,
            "objective": base.objective.value,
            "solver": base.solver,
            "work_limit": base.work_limit,
            "gap": base.gap,
            "rounds": base.rounds,
        }
        parts = [RESULTS_VERSION, VERSION, first, second, third, fourth, options]
        parts += [base.kind, base.seed, servers and dump(servers)]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        if base.work_limit is None:
            options["work_limit"] = float("inf")
        seed = int(key[:8], 16) if base.seed is None else base.seed
        # Valid records need not be looked at again: all tables, for each point.
        inputs = Inputs.model_construct(
            workload=workload, topology=topology, cost_model=software
        )
        return ResolvedPoint(
            inputs,
            SolveOptions(**options, seed=seed, params=params),
            key,
            base.kind,
            servers,
        )

    def workload(self, base: StudyBase, settings: Settings) -> Printed[Workload]:
        """Return the changed workload and its fingerprint."""

        def make() -> Workload:
            return changed(self._sources.workloads[base.workload], "workload", settings)

        return self._workloads.get(
            (base.workload, encode(settings)), make, lambda found: len(found.tables)
        )

    def topology(self, base: StudyBase, settings: Settings) -> Printed[Topology]:
        """Return the changed topology and its fingerprint."""

        def make() -> Topology:
            return changed(self._sources.topology_of(base), "topology", settings)

        return self._topologies.get((base.topology, base.hosts, encode(settings)), make)

    def software(self, point: StudyPoint, settings: Settings) -> Printed[AnyCostModel]:
        """Return the changed cost model and its fingerprint."""
        name = self._sources.cost_model_name(point.base, point.settings)
        if name is None:
            rule = f"missing: {point.base.topology} names none; give one in [base]"
            raise InputError.single("", "cost_model", None, rule)

        def make() -> AnyCostModel:
            return changed(self._sources.cost_models[name], "cost_model", settings)

        return self._software.get((name, encode(settings)), make)

    def params(self, settings: Settings) -> Printed[SolverParams]:
        """Return the parameters of solvers and their fingerprint."""
        return self._params.get(encode(settings), lambda: params_with(settings))

    def servers(self, base: StudyBase, settings: Settings) -> ServerSettings | None:
        """Return the parameter servers, for points of that kind."""
        if base.kind == "plan":
            return None
        servers = self._spec.file.parameter_servers
        if servers is None:
            rule = "kind 'parameter-servers' needs a section [parameter_servers]"
            raise InputError.single("", "parameter_servers", None, rule)
        return changed(servers, "parameter_servers", settings)


def require_solver(base: StudyBase) -> None:
    """Refuse a solver that there is not, and a search that only time would end."""
    if base.solver not in SOLVERS:
        try:
            solver_type(base.solver)
        except InputError as error:
            rule = error.problems[0].rule
            raise InputError.single("", "solver", base.solver, rule) from error
    if base.solver == _ENDLESS and base.work_limit is None and base.kind == "plan":
        rule = "needs work_limit: a time limit would end it elsewhere on every machine"
        raise InputError.single("", "solver", base.solver, rule)


def _brief(problems: Iterable[Fault]) -> Iterator[Fault]:
    """Yield one of the problems that many entries of a list have."""
    alike: dict[tuple[str, str, str], list[Fault]] = {}
    for problem in problems:
        name = re.sub(r"\[[0-9]+\]", "[*]", problem.key)
        alike.setdefault((name, problem.value, problem.rule), []).append(problem)
    for (_, value, rule), (first, *others) in alike.items():
        more = f" (here and in {len(others)} more)" if others else ""
        yield Fault(first.where, first.key, value, rule + more)


def _by_root(settings: Settings) -> dict[str, Settings]:
    found: dict[str, Settings] = dict.fromkeys(ROOTS, ())
    for setting in settings:
        root = str(setting.steps[0])
        found[root] = (*found[root], setting)
    return found


def _shown(point: StudyPoint) -> str:
    """Name a point by its values; workers know none, and their messages go with it."""
    values = ", ".join(f"{key} = {shorten(v)}" for key, v in point.values.items())
    return f" (point {point.number}: {values})" if values else ""
