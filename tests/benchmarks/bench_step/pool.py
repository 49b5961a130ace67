"""A pool of valid plans for a pair: what solvers return, and what they would not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from shardplan.checking import check
from shardplan.costs.scopes import Scope
from shardplan.errors import ShardplanError
from shardplan.planning.planner import solve
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.evaluation import evaluate
from shardplan.plans.realize import placements
from shardplan.problems.problem import Assignment, Problem, build_problem
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective, Target
from shardplan.simulation import simulate
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy, place_all
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.selection import select_from
from shardplan.solvers.uniform import _ways

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.plans.plan import Plan
    from shardplan.records.inputs import Inputs
    from shardplan.records.placement import TablePlacement
    from shardplan.solvers.base import Solver

_WAYS, _HALVES, _CHANGED = 10, 8, 16
"""Uniform ways, menus of half of the types, and plans with some tables changed."""
_CHANGED_SHARE = (0.05, 0.25)


@dataclass(frozen=True)
class Rated:
    """A plan, who found it, its values by objective and its simulated step [s]."""

    source: str
    plan: Plan
    value_s: dict[str, float]
    step_s: float


class Pool:
    """Plans for one pair, each once.

    Parameters
    ----------
    inputs : Inputs
    seed : int
        Of what is drawn at random.
    """

    def __init__(self, inputs: Inputs, seed: int = 0) -> None:
        self.inputs, self._rng = inputs, np.random.default_rng(seed)
        self._rated: dict[tuple[TablePlacement, ...], Rated] = {}

    @property
    def rated(self) -> list[Rated]:
        """All plans, the first found first."""
        return list(self._rated.values())

    @property
    def best(self) -> Rated:
        """The plan with the shortest simulated step."""
        return min(self._rated.values(), key=lambda one: one.step_s)

    def add(self, source: str, tables: tuple[TablePlacement, ...]) -> Rated | None:
        """Rate placements, unless they are no valid plan."""
        if tables not in self._rated:
            plan = assemble_unproven(
                self.inputs,
                tables,
                solver="",
                target=Target.ANY,
                objective=Objective.TIME,
            )
            if check(plan):
                return None
            evaluation = evaluate(plan)
            values = {one.value: evaluation.value(one) for one in Objective}
            self._rated[tables] = Rated(
                source, plan, values, simulate(plan).step_time_s
            )
        return self._rated[tables]

    def add_solvers(self) -> None:
        """Add what solvers find that are quick, and each way that they try."""
        for objective, problem in self._problems.items():
            greedy = Greedy()
            timed = ByStepTime(greedy) if objective is Objective.TIME else greedy
            self._solved(f"greedy {objective.value}", timed, problem)
        step = self._problems[Objective.STEP]
        self._solved("ldm", LargestDifferencing(), step)
        for number, attempt in enumerate(DEFAULTS.greedy.attempts):
            some = {"attempts": (attempt,), "last_resorts": ()}
            greedy_params = DEFAULTS.greedy.model_copy(update=some)
            params = DEFAULTS.model_copy(update={"greedy": greedy_params})
            self._solved(f"attempt {number}", Greedy(params), step)
        for number, found in enumerate(islice(_uniform(step), _WAYS)):
            self._placed(f"way {number}", step, found)

    def add_auto(self, objective: Objective, limit_s: float, seed: int) -> Plan | None:
        """Add what `auto` returns, and return it; None if it has no plan in time."""
        try:
            plan = solve(
                **dict(self.inputs),
                objective=objective,
                time_limit_s=limit_s,
                seed=seed,
            ).plan
        except ShardplanError:
            return None
        self.add(f"auto {objective.value} {limit_s:g} s, seed {seed}", plan.tables)
        return plan

    def add_halves(self) -> None:
        """Add greedy's plans with a random half of each table's sharding types."""
        step = self._problems[Objective.STEP]
        for number in range(_HALVES):
            half = _half(step, self._rng)
            self._solved(f"half {number}", Greedy(), half)

    def add_changed(self) -> None:
        """Add the best plan with some tables chosen anew at random."""
        problem, best = self._problems[Objective.TIME], self.best
        for number in range(_CHANGED):
            share = self._rng.uniform(*_CHANGED_SHARE)
            changed = self._rng.random(problem.num_bundles) < share
            anew = placements(problem, _random(problem, self._rng))
            tables = list(best.plan.tables)
            for bundle in np.flatnonzero(changed):
                for index in problem.bundles.members[bundle]:
                    tables[index] = anew[index]
            self.add(f"changed {number}", tuple(tables))

    @cached_property
    def _problems(self) -> dict[Objective, Problem]:
        """Menus differ by objective: what cannot pay is left out."""
        step = self._problem(Objective.STEP)
        tiers = not _fits(step)
        return {one: self._problem(one, all_tiers=tiers) for one in Objective}

    def _problem(self, objective: Objective, *, all_tiers: bool = False) -> Problem:
        inputs = dict(self.inputs)
        return build_problem(**inputs, objective=objective, all_tiers=all_tiers)

    def _solved(self, source: str, solver: Solver, problem: Problem) -> None:
        self._placed(
            source, problem, solver.solve(problem, Stop(), 0, Silent()).assignment
        )

    def _placed(self, source: str, problem: Problem, found: Assignment | None) -> None:
        if found is not None:
            self.add(source, placements(problem, found))


def _fits(problem: Problem) -> bool:
    """Whether greedy has a plan."""
    if not np.diff(problem.options.start).all():
        return False
    return Greedy().solve(problem, Stop(), 0, Silent()).assignment is not None


def _uniform(problem: Problem) -> Iterator[Assignment]:
    """Yield plans in which all tables are cut alike, as `uniform` tries them."""
    totals = OptionTotals.of(problem)
    for _, legal, strictly in _ways(problem, totals):
        choice = select_from(problem, totals, legal, 1.0)
        placed = place_all(problem, totals, choice, strictly=strictly)
        if placed is not None:
            yield placed.assignment()


def _half(problem: Problem, rng: np.random.Generator) -> Problem:
    """Leave each table a random half of its sharding types, at least one."""
    menu = problem.options
    kinds = [np.unique(menu.sharding_type[o]) for o in _options(problem)]
    kept = [rng.choice(kind, -(-len(kind) // 2), replace=False) for kind in kinds]
    keep = np.concatenate(
        [
            np.arange(o.start, o.stop)[np.isin(menu.sharding_type[o], some)]
            for o, some in zip(_options(problem), kept, strict=True)
        ]
    )
    return replace(
        problem,
        options=menu.select(keep, problem.num_bundles),
        bundles=replace(problem.bundles, sources=problem.bundles.sources[keep]),
    )


def _random(problem: Problem, rng: np.random.Generator) -> Assignment:
    """Draw an option for each bundle, and places for it; all may not fit together."""
    menu = problem.options
    option = np.array([rng.integers(o.start, o.stop) for o in _options(problem)])
    places = []
    for bundle, chosen in enumerate(option.tolist()):
        free = problem.group_places(bundle, chosen)
        count = 0 if menu.scope[chosen] == Scope.ALL else menu.num_places(chosen)
        places.append(rng.choice(free, count, replace=count > len(free)))
    return Assignment(option, tuple(places))


def _options(problem: Problem) -> Iterable[slice]:
    start = problem.options.start.tolist()
    return [slice(a, b) for a, b in pairwise(start)]
