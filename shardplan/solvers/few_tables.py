"""Plans of few tables: where single moves end depends on where they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.step.guide import choose_options
from shardplan.certify.step.splits import FEW_OPTIONS, are_few
from shardplan.problems.weighted import StepView
from shardplan.solvers.base import Silent
from shardplan.solvers.greedy import Greedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import Stop
    from shardplan.solvers.params import SolverParams
    from shardplan.solvers.step_search import StepSearch

_CHOICE_SHARE = 0.15
"""Share of what is left, at most, for the program that cuts no table: of 600 to 1,300
options it takes 0.3 to 0.8 s."""
_RESTARTS = 3
"""How often tables move from the start again; then they move from the best plan."""


def pays(problem: Problem) -> bool:
    """Whether tables are few beside ranks, and the menu is small."""
    return are_few(problem) and len(problem.options) <= FEW_OPTIONS


def anew(
    problem: Problem,
    plans: tuple[Assignment, Assignment],
    search: StepSearch,
    stop: Stop,
    params: SolverParams,
) -> Iterator[Assignment]:
    """Yield plans, each found by single moves as if it were the first.

    They begin in turn with the plan of a program that cuts no table, and a known one.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    plans : tuple of two Assignments
        What runs in the first one may run in the program's; the second one is a start.
    """
    chosen = _chosen(problem, plans[0], stop, params)
    starts = plans[1:] if chosen is None else (chosen, plans[1])
    for number in range(_RESTARTS):
        share = 1.0 / (_RESTARTS + 1 - number)
        work = share * (stop.work_limit - stop.work)
        with stop.sooner(share * stop.remaining_s()), stop.with_work(work):
            found = search.restart(starts[number % len(starts)], stop)
        yield found


def _chosen(
    problem: Problem, plan: Assignment, stop: Stop, params: SolverParams
) -> Assignment | None:
    """Choose options by the program of the step that cuts no table; place them.

    HiGHS stops by the clock, which a limit of work promises not to look at.
    """
    if stop.is_by_work:
        return None
    loads = problem.loads(plan).cost
    with stop.sooner(_CHOICE_SHARE * stop.remaining_s()):
        options = choose_options(problem, loads, stop)
    if options is None:
        return None
    view = StepView(problem, options)
    sums = view.problem(np.ones(len(problem.pricer.phases)))
    found = Greedy(params).solve(sums, stop, 0, Silent()).assignment
    if found is None:
        return None
    assignment = view.whole_assignment(found)
    return assignment if problem.loads(assignment).fits(problem.capacity) else None
