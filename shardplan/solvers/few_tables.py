"""Plans of few tables: where single moves end depends on where they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.step.guide import choose_options
from shardplan.certify.step.menu import are_few
from shardplan.certify.step.splits import FEW_OPTIONS
from shardplan.problems.weighted import StepView
from shardplan.solvers.base import Silent
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import DEFAULTS, SolverParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.step_search import StepSearch
    from shardplan.solvers.turns import Turns

_CHOICE_S = 1.5
"""Most for the program that cuts no table: of 600 to 1,300 options it takes 0.3 to
0.8 [s]."""
_TURN = 0.25
"""Length of each turn, see `Turns`: tables move from a start, or from the best plan."""


def pays(problem: Problem) -> bool:
    """Whether tables are few beside ranks, and the menu is small."""
    return are_few(problem) and len(problem.options) <= FEW_OPTIONS


def anew(
    problem: Problem,
    plans: tuple[Assignment, Assignment],
    search: StepSearch,
    stop: Stop,
    turns: Turns,
    params: SolverParams,
) -> Iterator[Assignment]:
    """Yield plans, most found by single moves as if each were the first.

    They begin in turn with the plan of a program that cuts no table, a known one, and
    the best of all.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    plans : tuple of two Assignments
        What runs in the first one, the best so far, may run in the program's; the
        second one is a start.
    """
    best = plans[0]
    chosen = _chosen(problem, best, stop, params)
    starts = plans[1:] if chosen is None else (chosen, plans[1])
    while not stop.now():
        for start in starts:
            found = search.restart(start, stop, turns.length(_TURN))
            best = min(best, found, key=problem.value)
            yield found
        best = search.improve([best], stop, length=turns.length(_TURN))[-1]
        yield best
        if turns.is_free:
            return


def _chosen(
    problem: Problem, plan: Assignment, stop: Stop, params: SolverParams
) -> Assignment | None:
    """Choose options by the program of the step that cuts no table; place them.

    HiGHS stops by the clock, which a limit of work promises not to look at.
    """
    if stop.is_by_work:
        return None
    loads = problem.loads(plan).cost
    with stop.sooner(_CHOICE_S):
        options = choose_options(problem, loads, stop)
    if options is None:
        return None
    return placed(problem, options, stop, params)


def placed(
    problem: Problem, options: Ints, stop: Stop, params: SolverParams = DEFAULTS
) -> Assignment | None:
    """Place an option per table, sorted, by greedy; None if they do not fit like that.

    Parameters
    ----------
    problem : Problem
        Under `time`; loads of all operations count alike.
    """
    view = StepView(problem, options)
    sums = view.problem(np.ones(len(problem.pricer.phases)))
    found = Greedy(params).solve(sums, stop, 0, Silent()).assignment
    if found is None:
        return None
    assignment = view.whole_assignment(found)
    return assignment if problem.loads(assignment).fits(problem.capacity) else None
