"""Minimise the predicted step with solvers of sums, their weights from its path."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.step.guide import find_guide
from shardplan.problems.weighted import LEAST_WEIGHT, StepView, by_load
from shardplan.solvers.base import (
    Improver,
    PlanTaker,
    Resumable,
    Silent,
    SolverResult,
    SolveStatus,
)
from shardplan.solvers.few_tables import anew, pays
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.greedy_parts import solve_parts
from shardplan.solvers.near_menus import solve_near
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.path_turns import PathTurns
from shardplan.solvers.shelf.step_shelves import StepShelves
from shardplan.solvers.shortest_step import MenuPart, ShortestStep
from shardplan.solvers.step_search import StepSearch
from shardplan.solvers.turns import Turns
from shardplan.solvers.uniform import Uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints
    from shardplan.solvers.base import Observer, Solver, Stop

_SWEEPS = 30.0
"""Moves per option that first turns are shares of, where work is limited."""
_NEAR = 1.0
"""Turn of greedy with small menus; shares as of `Turns`."""
_FIRST = 0.15
"""Turn of moving tables from greedy's plans."""
_SUMS, _MOVES, _PATH = 1.2, 0.4, 0.6
"""Turns of the solver of sums, of moving tables after it, and of going on from the best
plan by what its path weighs."""
_FIRST_SUMS = 5.0
"""First turn of the solver where little comes before it: its race must end."""
_MANY = 50_000
"""Tables times ranks above which all that comes before sums pays later than they do."""
_COLOSSAL = 200_000
"""Tables times ranks above which sums of whole menus over SSD bring little for long."""
_UNIFORM = 0.3
"""Turn of plans of tables that are all cut alike; without a limit of work alone."""
_SHELF_S, _GUIDE_S = 0.7, 1.5
"""Most for each program of shelves, and to find out what had better run [s]."""
_SHELF_ROUNDS = 4
"""Solves with shelves, each with one more path."""
_SHELF_SLACK = 1.05
"""Plans are looked for below this many times the step: paths of others may miss it."""


class ByStepTime:
    """Runs a solver on sums of weighted operations, and keeps the shortest step."""

    def __init__(self, solver: Solver, params: SolverParams = DEFAULTS) -> None:
        self.inner, self._params = solver, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        if not np.diff(problem.options.start).all():  # there is no plan at all
            return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
        best = ShortestStep(problem, observer)
        turns = Turns(stop, _SWEEPS * len(problem.options))
        is_greedy = isinstance(self.inner, Greedy)
        starts = [MenuPart.whole(problem)]
        if is_greedy or not self._is_large(problem):
            is_brief = not is_greedy and self._begins_with_sums(problem)
            starts = solve_parts(best, stop, seed, self._params, is_brief=is_brief)
        if not is_greedy:
            self._search(starts, best, stop, seed, turns)
        if best.assignment is None:
            return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
        is_over = stop.now() and not best.is_enough
        status = SolveStatus.TIME_LIMIT if is_over else SolveStatus.FEASIBLE
        # What is not near enough deserves a proof that takes longer.
        seen = best.greedy_first()
        if not best.is_enough:
            return SolverResult(best.assignment, 0.0, status, None, seen)
        proof = best.certificate
        return SolverResult(best.assignment, best.bound_s, status, proof, seen)

    def _search(
        self,
        starts: list[MenuPart],
        best: ShortestStep,
        stop: Stop,
        seed: int,
        turns: Turns,
    ) -> None:
        """Go on from greedy's plans until the time is over or one is good enough.

        Tables move before the solver, which may take longer than it should, and after.
        """
        if stop.gap > 0 and best.assignment is not None:
            best.bound(stop, self._params.proof)
        search = StepSearch(best.problem, seed)
        if not best.is_enough:
            self._solve_near(best, stop, seed, turns)
        if not (best.is_enough or self._begins_with_sums(best.problem)):
            self._uniformly(best, stop, seed, turns)
            known = [start.best for start in starts]
            _move_tables(search, known, best, stop, turns.length(_FIRST))
        if best.is_enough:
            return
        self._shelve(starts, best, stop)
        is_auto = isinstance(self.inner, PlanTaker)
        if is_auto and best.assignment is not None and pays(best.problem):
            greedy = min(starts, key=lambda start: start.step_s).best
            plans = best.assignment, greedy or best.assignment
            for plan in anew(best.problem, plans, search, stop, turns, self._params):
                best.take(plan)
                if best.is_enough:
                    return
        else:
            self._in_turns(search, best, stop, seed, turns)

    def _is_large(self, problem: Problem) -> bool:
        """Whether the solver comes first: greedy may take half of the time."""
        size = problem.num_bundles * problem.world_size
        return size > self._params.auto.greedy_size

    def _solve_near(
        self, best: ShortestStep, stop: Stop, seed: int, turns: Turns
    ) -> None:
        """Plan with small menus over SSD, but where sums find as much as soon."""
        size = best.problem.num_bundles * best.problem.world_size
        is_late = _MANY < size <= _COLOSSAL
        if best.assignment is None or is_late or not best.problem.options.uses_ssd:
            return
        solve_near(best, stop, turns.ends(_NEAR), seed, self._params)

    def _begins_with_sums(self, problem: Problem) -> bool:
        """Whether greedy's first plan is enough to begin with.

        With many tables the solver makes more of a second than further plans of greedy,
        plans of tables cut alike, or moves of single tables from them.
        """
        is_many = problem.num_bundles * problem.world_size > _MANY
        return self._is_large(problem) or is_many

    def _uniformly(
        self, best: ShortestStep, stop: Stop, seed: int, turns: Turns
    ) -> None:
        """Cut all tables alike; of these plans the one with the shortest step counts.

        Inside of the solver they would be judged by a sum.
        """
        problem, auto = best.problem, self._params.auto
        is_large = problem.num_bundles * problem.world_size > auto.ldm_size
        if is_large or not auto.uniform:
            return
        with stop.sooner(np.inf if stop.is_by_work else turns.length(_UNIFORM)):
            uniform = Uniform(best.step_s, self._params)
            found = uniform.solve(problem, stop, seed, Silent()).assignment
        if found is not None:
            best.take(found)

    def _shelve(self, starts: list[MenuPart], best: ShortestStep, stop: Stop) -> None:
        """Put few tables on shelves, by the paths of the plans that this leads to.

        HiGHS stops by the clock, which a limit of work promises not to look at.
        """
        is_wanted = self._params.auto.shelf and not stop.is_by_work
        if not is_wanted or best.assignment is None:
            return
        view = min(starts, key=lambda start: start.step_s).view
        shelves = StepShelves(view, self._params.shelf)
        latest = best.assignment
        before: Ints = np.zeros(0, dtype=np.int64)
        for _ in range(_SHELF_ROUNDS):
            is_over = stop.now() or best.is_enough or not shelves.suits
            if is_over or np.array_equal(latest.option, before):
                break
            shelves.look_at(latest)
            with stop.sooner(_SHELF_S):
                found = shelves.solve(_SHELF_SLACK * best.step_s, stop)
            if found is None:
                break
            latest, before = found, latest.option
            best.take(found)

    def _in_turns(
        self,
        search: StepSearch,
        best: ShortestStep,
        stop: Stop,
        seed: int,
        turns: Turns,
    ) -> None:
        """Let the solver of sums and moves of tables take turns."""
        is_guided = _suits_guide(best.problem)
        sums = self._by_sums(best, stop, seed, turns, is_guided=is_guided)
        path = None
        # Guides weigh paths by themselves; a second search takes as much memory again.
        is_left_out = is_guided or self._is_large(best.problem)
        if isinstance(self.inner, Improver) and not is_left_out:
            path = PathTurns(self.inner, best, seed)
        share = _FIRST_SUMS if self._begins_with_sums(best.problem) else _SUMS
        before = -1.0
        while not (stop.now() or best.is_enough or stop.spent == before):
            before, ends = stop.spent, turns.ends(share)
            share = _SUMS
            newest: Assignment | None = None
            for plan in sums:
                newest = plan
                if stop.spent >= ends:
                    break
            _move_tables(search, [newest], best, stop, turns.length(_MOVES))
            if path is not None:
                path.run(stop, turns.ends(_PATH))
            if turns.is_free:
                return

    def _by_sums(
        self,
        best: ShortestStep,
        stop: Stop,
        seed: int,
        turns: Turns,
        *,
        is_guided: bool,
    ) -> Iterator[Assignment | None]:
        """Solve the sum of the guide, if any, and the plain one, again and again.

        Yields the best plan of one sum now and then.
        """
        part = self._guide(best, stop) if is_guided else None
        plans: Sequence[Assignment] = ()
        for number in count():
            if part is None:
                # Greedy solved the plain sum at the very first.
                part, plans = MenuPart.whole(best.problem), best.greedy_first()[:2]
            before = stop.spent
            for some in self._plans(part.problem(), plans, stop, seed + number):
                for plan in some:
                    best.offer(part, plan)
                yield part.best
            if stop.now() or turns.is_free or stop.spent == before:
                return
            part = None

    def _plans(
        self, problem: Problem, plans: Sequence[Assignment], stop: Stop, seed: int
    ) -> Iterator[Sequence[Assignment]]:
        """Run the solver, in parts if it can be left."""
        solver = self.inner
        if plans and isinstance(solver, PlanTaker):
            solver = solver.knowing(plans)
        if isinstance(solver, Resumable):
            yield from solver.plans(problem, stop, seed)
            return
        found = solver.solve(problem, stop, seed, Silent())
        yield [one for one in (*found.seen, found.assignment) if one is not None]

    def _guide(self, best: ShortestStep, stop: Stop) -> MenuPart | None:
        """Ask linear programs what had better run, and what loads then cost."""
        problem = best.problem
        if best.assignment is None:
            return None
        loads = problem.loads(best.assignment).cost
        with stop.beyond_work(), stop.sooner(np.inf if stop.is_by_work else _GUIDE_S):
            guide = find_guide(problem, loads, stop)
        if guide is None:
            return None
        view = StepView(problem, guide.options)
        return MenuPart(view, np.maximum(guide.weights, LEAST_WEIGHT), by_load())


def _suits_guide(problem: Problem) -> bool:
    """Whether programs that cut tables at will say where plans are soon enough.

    They say little of fewer tables than ranks, or of tables that may leave HBM.
    """
    tables, ranks = problem.num_bundles, problem.world_size
    is_hbm_alone = not problem.options.uses_pools.any()
    return tables >= ranks and tables * ranks <= _MANY and is_hbm_alone


def _move_tables(
    search: StepSearch,
    plans: Sequence[Assignment | None],
    best: ShortestStep,
    stop: Stop,
    length: float,
) -> None:
    """Move single tables: from each plan for a while, then from the best."""
    if best.assignment is None:
        return
    unique = {id(one): one for one in (best.assignment, *plans) if one is not None}
    starts = list(unique.values())
    for better in search.improve(starts, stop, best.enough_s, length):
        best.take(better)
