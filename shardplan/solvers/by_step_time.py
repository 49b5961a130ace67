"""Minimise the predicted step with solvers of sums, their weights from its path."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.step.guide import find_guide
from shardplan.certify.step.search import step_bound
from shardplan.costs.scopes import Scope
from shardplan.problems.weighted import (
    LEAST_WEIGHT,
    StepView,
    by_load,
    by_phase,
    step_pricer,
    weights_at,
)
from shardplan.solvers.base import PlanTaker, Silent, SolverResult, SolveStatus
from shardplan.solvers.few_tables import anew, pays
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.shelf.step_shelves import StepShelves
from shardplan.solvers.step_search import StepSearch
from shardplan.solvers.uniform import Uniform
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.certify.params import ProofParams
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.problems.weighted import Groups
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.certificate import Certificate
    from shardplan.solvers.base import Observer, Solver, Stop
    from shardplan.steps.model import Prediction

_GREEDY_ROUNDS = 2
"""Solves with greedy by new weights: they settle, or alternate, after that."""
_UNIFORM_SHARE = 0.15
"""Share of what is left, at most, for plans of tables that are all cut alike."""
_SHELF_ROUNDS, _SHELF_SHARE = 4, 0.1
"""Solves with shelves, each with one more path; the share of what is left for each."""
_SHELF_SLACK = 1.05
"""Plans are looked for below this many times the step: paths of others may miss it."""
_FIRST_SHARE, _RUN_SHARE = 0.25, 0.4
"""Shares of what is left for moving tables, and then for the solver; then they move."""
_GUIDED_FIRST, _GUIDED_RUN = 0.1, 0.6
"""The same where the solver is guided: it finds more then."""
_GUIDE_SHARE = 0.2
"""Share of what is left, at most, to find out what had better run."""
_FEW, _LONG_SHARE = 1.0, 0.8
"""With fewer moves per table before it the solver has this share: they bring little."""
_GREEDY_SHARE = 0.1
"""Share of what is left that greedy's first plan may take, for more to be solved."""
_BOUND_SHARE = 0.2
"""Share of what is left, at most, for a bound that says when a plan is good enough."""


@dataclass
class _MenuPart:
    """A part of the menu, the weights to solve it with next, and its best step [s]."""

    view: StepView
    weights: Floats
    groups: Groups | None = None
    step_s: float = np.inf
    best: Assignment | None = None
    cost: Floats | None = None
    prediction: Prediction | None = None

    def renew(self) -> None:
        """Take the mean of the weights and those of the last plan."""
        # Weights jump from plan to plan, as paths do: the mean settles.
        assert self.cost is not None
        latest = weights_at(self.view.whole, self.cost, self.prediction)
        self.weights = 0.5 * (self.weights + latest)


class _ShortestStep:
    """Keeps the assignment with the shortest predicted step, and a bound, if any.

    Attributes
    ----------
    enough_s : float
        A step that ends the search; 0 without a bound [s].
    """

    def __init__(self, problem: Problem, observer: Observer) -> None:
        self.problem, self._observer = problem, observer
        self.assignment: Assignment | None = None
        self.step_s = np.inf
        self.bound_s = self.enough_s = 0.0
        self.certificate: Certificate | None = None
        self._seen: list[tuple[float, Assignment]] = []

    def offer(self, start: _MenuPart, found: Assignment | None) -> bool:
        """Look at what a view's solver found; say whether it fits."""
        if found is None:
            return False
        problem = self.problem
        assignment = start.view.whole_assignment(found)
        loads = problem.loads(assignment)
        if not loads.fits(problem.capacity):
            return False
        if start.cost is not None and np.array_equal(start.cost, loads.cost):
            return True
        start.cost = loads.cost
        start.prediction = step_pricer(problem).predict(loads.cost)
        step_s = start.prediction.step_s
        if step_s < start.step_s:
            start.step_s, start.best = step_s, assignment
        self._take(assignment, step_s)
        return True

    def take(self, assignment: Assignment) -> None:
        """Look at an assignment of the whole problem that fits."""
        self._take(assignment, self.problem.value(assignment))

    @property
    def is_enough(self) -> bool:
        """Whether the step is as near to the bound as asked for."""
        return self.step_s <= self.enough_s

    def bound(self, stop: Stop, params: ProofParams) -> None:
        """Prove quickly what no plan is below; with limits of work, the same always."""
        share_s = _BOUND_SHARE * stop.remaining_s()
        seconds = np.inf if stop.is_by_work else share_s
        with stop.beyond_work(), stop.sooner(seconds):
            self.certificate, self.bound_s = step_bound(
                self.problem, self.step_s, stop, params, is_quick=True
            )
        self.enough_s = stop.enough_s(self.bound_s)
        self._observer.improved(self.step_s, self.bound_s)

    def _take(self, assignment: Assignment, step_s: float) -> None:
        self._seen.append((step_s, assignment))
        if step_s < self.step_s:
            self.assignment, self.step_s = assignment, step_s
            self._observer.improved(step_s, self.bound_s)

    def greedy_first(self) -> tuple[Assignment, ...]:
        """Return all that was looked at by the predicted step, greedy's plan before."""
        ranked = sorted(self._seen[1:], key=lambda seen: seen[0])
        return tuple(one for _, one in (*self._seen[:1], *ranked))


class ByStepTime:
    """Runs a solver on sums of weighted operations, and keeps the shortest step.

    Each reduction that a plan uses at all takes a fixed time. Sums do not see it: parts
    of the menu without reductions over all ranks, inside groups, or both are solved
    apart.
    """

    def __init__(self, solver: Solver, params: SolverParams = DEFAULTS) -> None:
        self.inner, self._params = solver, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        if not np.diff(problem.options.start).all():  # there is no plan at all
            return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
        best = _ShortestStep(problem, observer)
        is_greedy = isinstance(self.inner, Greedy)
        starts = [_whole(problem)]
        if is_greedy or not self._is_large(problem):
            starts = self._greedily(best, stop, seed)
        if not is_greedy:
            self._search(starts, best, stop, seed)
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
        self, starts: list[_MenuPart], best: _ShortestStep, stop: Stop, seed: int
    ) -> None:
        """Go on from greedy's plans until the time is over or one is good enough.

        Tables move before the solver, which may take longer than it should, and after.
        """
        if stop.gap > 0 and best.assignment is not None:
            best.bound(stop, self._params.proof)
        search = StepSearch(best.problem, seed)
        shares = _FIRST_SHARE, _RUN_SHARE
        if _suits_guide(best.problem):
            shares = _GUIDED_FIRST, _GUIDED_RUN
        if not (best.is_enough or self._is_large(best.problem)):
            self._uniformly(best, stop, seed)
            with _share(stop, shares[0]):
                _move_tables(search, [start.best for start in starts], best, stop)
        if not best.is_enough:
            self._shelve(starts, best, stop)
            is_auto = isinstance(self.inner, PlanTaker)
            if is_auto and best.assignment is not None and pays(best.problem):
                greedy = min(starts, key=lambda start: start.step_s).best
                plans = best.assignment, greedy or best.assignment
                for plan in anew(best.problem, plans, search, stop, self._params):
                    best.take(plan)
                found: list[Assignment | None] = []
            else:
                is_slow = search.moves_per_table < _FEW
                guided = None if is_slow else self._guide(best, stop)
                with _share(stop, _LONG_SHARE if is_slow else shares[1]):
                    found = self._at_length(best, guided, stop, seed)
            _move_tables(search, found, best, stop)

    def _is_large(self, problem: Problem) -> bool:
        """Whether the solver comes first: greedy may take half of the time."""
        size = problem.num_bundles * problem.world_size
        return size > self._params.auto.greedy_size

    def _greedily(self, best: _ShortestStep, stop: Stop, seed: int) -> list[_MenuPart]:
        """Solve parts of the menu with greedy, and the best one with its weights.

        The first plan is that of objective `step`, which is found the soonest. A part
        without a reduction is solved where the plan of the whole menu has it; where
        that has not, it is the plan of the part as well.
        """
        greedy, problem = Greedy(self._params), best.problem
        first, whole = _whole(problem), _part(problem, [])
        assert whole is not None
        begin_s = stop.elapsed_s()
        fits = best.offer(first, self._run(greedy, first, stop, seed).assignment)
        took_s = stop.elapsed_s() - begin_s
        is_long = not stop.is_by_work and took_s > _GREEDY_SHARE * stop.remaining_s()
        if is_long and fits:
            return [first]
        starts = [whole]
        if not best.offer(whole, self._run(greedy, whole, stop, seed).assignment):
            return [first, whole]
        for kind in _reductions():
            if stop.now() and best.assignment is not None:
                return starts
            part = _part(problem, [kind]) if _uses(problem, whole, kind) else None
            if part is not None:
                best.offer(part, self._run(greedy, part, stop, seed).assignment)
                starts.append(part)
        chosen = min(starts, key=lambda start: start.step_s)
        unused = [k for k in _reductions() if not _uses(problem, chosen, k)]
        narrow = _part(problem, unused)
        if chosen.cost is None or narrow is None:
            return starts
        # New weights would bring back what did without a fixed time so far.
        chosen.view = narrow.view
        for _ in range(_GREEDY_ROUNDS):
            if stop.now():
                break
            chosen.renew()
            if not best.offer(chosen, self._run(greedy, chosen, stop, seed).assignment):
                break
        return starts

    def _uniformly(self, best: _ShortestStep, stop: Stop, seed: int) -> None:
        """Cut all tables alike; of these plans the one with the shortest step counts.

        Inside of the solver they would be judged by a sum.
        """
        problem, auto = best.problem, self._params.auto
        is_large = problem.num_bundles * problem.world_size > auto.ldm_size
        if is_large or not auto.uniform:
            return
        share = 1.0 if stop.is_by_work else _UNIFORM_SHARE
        with stop.sooner(share * stop.remaining_s()):
            uniform = Uniform(best.step_s, self._params)
            found = uniform.solve(problem, stop, seed, Silent()).assignment
        if found is not None:
            best.take(found)

    def _shelve(self, starts: list[_MenuPart], best: _ShortestStep, stop: Stop) -> None:
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
            share_s = _SHELF_SHARE * stop.remaining_s()
            with stop.sooner(min(share_s, self._params.auto.exact_endless_s)):
                found = shelves.solve(_SHELF_SLACK * best.step_s, stop)
            if found is None:
                break
            latest, before = found, latest.option
            best.take(found)

    def _guide(self, best: _ShortestStep, stop: Stop) -> _MenuPart | None:
        """Ask linear programs what had better run, and what loads then cost."""
        problem = best.problem
        if best.assignment is None or not _suits_guide(problem):
            return None
        share_s = np.inf if stop.is_by_work else _GUIDE_SHARE * stop.remaining_s()
        loads = problem.loads(best.assignment).cost
        with stop.beyond_work(), stop.sooner(share_s):
            guide = find_guide(problem, loads, stop)
        if guide is None:
            return None
        view = StepView(problem, guide.options)
        return _MenuPart(view, np.maximum(guide.weights, LEAST_WEIGHT), by_load())

    def _at_length(
        self, best: _ShortestStep, guided: _MenuPart | None, stop: Stop, seed: int
    ) -> list[Assignment | None]:
        """Run the solver by the guide, or on the plain sum; return its plan."""
        plain = _whole(best.problem)
        for chosen in (guided, plain) if guided else (plain,):
            solver = self.inner
            if chosen is plain and isinstance(solver, PlanTaker):
                # Greedy solved the plain sum at the very first.
                solver = solver.knowing(best.greedy_first()[:2])
            found = self._run(solver, chosen, stop, seed)
            for seen in (*found.seen, found.assignment):
                best.offer(chosen, seen)
            if chosen.best is not None:
                return [chosen.best]
        return []

    def _run(
        self, solver: Solver, start: _MenuPart, stop: Stop, seed: int
    ) -> SolverResult:
        problem = start.view.problem(start.weights, start.groups)
        return solver.solve(problem, stop, seed, Silent())


def _suits_guide(problem: Problem) -> bool:
    """Whether programs that cut tables at will say much: not if they are few."""
    return problem.num_bundles >= problem.world_size


@contextmanager
def _share(stop: Stop, share: float) -> Iterator[None]:
    """Within the block, stop after a share of the time and of the work left."""
    work = share * (stop.work_limit - stop.work)
    with stop.sooner(share * stop.remaining_s()), stop.with_work(work):
        yield


def _move_tables(
    search: StepSearch,
    plans: Sequence[Assignment | None],
    best: _ShortestStep,
    stop: Stop,
) -> None:
    """Move single tables: from each plan for a while, then from the best."""
    if best.assignment is None:
        return
    unique = {id(one): one for one in (best.assignment, *plans) if one is not None}
    for better in search.improve(list(unique.values()), stop, best.enough_s):
        best.take(better)


def _whole(problem: Problem) -> _MenuPart:
    """Return the whole menu by phases, with all operations alike: objective `step`."""
    every = StepView(problem, np.arange(len(problem.options)))
    return _MenuPart(every, np.ones(len(problem.pricer.phases)), by_phase())


def _reductions() -> list[tuple[str, ...]]:
    """Name the operations of reductions over all ranks, and of those in groups."""
    named = [*reduce_names("reduce_scatter"), *reduce_names("all_gather")]
    return [
        tuple(name for scope, name in named if scope == Scope.ALL),
        tuple(name for scope, name in named if scope != Scope.ALL),
    ]


def _part(problem: Problem, without: list[tuple[str, ...]]) -> _MenuPart | None:
    """Leave reductions out of the menu; None if a table has no other option."""
    view = StepView.of(problem, tuple(name for names in without for name in names))
    if view is None:
        return None
    return _MenuPart(view, np.ones(len(problem.pricer.phases)))


def _uses(problem: Problem, start: _MenuPart, names: tuple[str, ...]) -> bool:
    """Whether the plan of a part has an operation; it may, if there is none yet."""
    if start.cost is None:
        return True
    columns = [problem.pricer.phases.index(name) for name in names]
    return bool(start.cost[:, columns].any())
