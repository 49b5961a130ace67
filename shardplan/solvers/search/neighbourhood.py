"""Large neighbourhoods of small problems: an exact plan for some bundles at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.solvers.base import Silent
from shardplan.solvers.params import DEFAULTS, SolverParams

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Ints
    from shardplan.solvers.base import Stop


class Neighbourhood:
    """Frees bundles of the worst and best ranks and some others; the rest stays.

    The integer program of the free ones has few enough variables for HiGHS to solve
    it, or nearly so, in a moment: a large neighbourhood search (Shaw 1998).
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        params: SolverParams = DEFAULTS,
    ) -> None:
        self._problem, self._rng, self._params = problem, rng, params

    @property
    def is_part(self) -> bool:
        """Whether anything is left to fix."""
        return self._problem.num_bundles > self._params.auto.neighbourhood_tables

    def improve(self, assignment: Assignment, stop: Stop) -> Assignment:
        """Search once for a better assignment; returns one that is no worse."""
        from shardplan.solvers.ilp.model import IntegerProgram

        free = self._free(assignment)
        part, keep = self._part(assignment, free)
        start = replace(assignment, option=np.searchsorted(keep, assignment.option))
        with stop.sooner(self._params.auto.neighbourhood_s):
            program = IntegerProgram(start, self._params)
            found = program.solve(part, stop, self._seed(), Silent())
        if found.assignment is None:
            return assignment
        better = Assignment(keep[found.assignment.option], found.assignment.places)
        value = self._problem.value
        return better if value(better) < value(assignment) else assignment

    def _seed(self) -> int:
        return int(self._rng.integers(2**31))

    def _free(self, assignment: Assignment) -> Bools:
        """Choose bundles: most of those on the worst and best rank, some others."""
        problem = self._problem
        # A better plan takes something off the slowest rank, and the fastest has room
        # for it; some others may have to make way. The noise is larger than what
        # tells them apart, so that each try frees different ones.
        load = problem.loads(assignment).cost.sum(axis=1)
        ends = {int(np.argmax(load)), int(np.argmin(load))}
        near = np.zeros(problem.num_bundles)
        for bundle, option in enumerate(assignment.option.tolist()):
            if problem.options.scope[option] == Scope.RANK:
                near[bundle] = bool(ends & set(assignment.places[bundle].tolist()))
        params = self._params.auto
        noise = self._rng.random(problem.num_bundles) * params.neighbourhood_noise
        order = np.argsort(-near - noise)
        free = np.zeros(problem.num_bundles, dtype=bool)
        free[order[: params.neighbourhood_tables]] = True
        return free

    def _part(self, assignment: Assignment, free: Bools) -> tuple[Problem, Ints]:
        """Fix all other bundles' options and ranks; options left, by index."""
        problem = self._problem
        menu = problem.options
        keep = free[menu.table]
        keep[assignment.option] = True
        kept = np.flatnonzero(keep)
        allowed = dict(problem.allowed)
        for bundle in np.flatnonzero(~free).tolist():
            scope = int(menu.scope[assignment.option[bundle]])
            if scope != Scope.ALL:
                used = problem.ranks_used(scope, assignment.places[bundle])
                allowed[bundle] = used
        options = menu.select(kept, problem.num_bundles)
        return replace(problem, options=options, allowed=allowed), kept
