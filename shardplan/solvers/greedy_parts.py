"""Parts of the menu that greedy solves first, by what each adds to the step.

Each reduction that a plan uses at all takes a fixed time. Sums do not see it: parts of
the menu without reductions over all ranks, inside groups, or both are solved apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.weighted import StepView
from shardplan.solvers.base import Silent, SolverResult
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.shortest_step import MenuPart
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Stop
    from shardplan.solvers.params import SolverParams
    from shardplan.solvers.shortest_step import ShortestStep

_GREEDY_ROUNDS = 2
"""Solves with greedy by new weights: they settle, or alternate, after that."""
_GREEDY_SHARE = 0.1
"""Share of what is left that greedy's first plan may take, for more to be solved."""


def solve_parts(
    best: ShortestStep,
    stop: Stop,
    seed: int,
    params: SolverParams,
    *,
    is_brief: bool = False,
) -> list[MenuPart]:
    """Solve parts of the menu with greedy, and the best one with its weights.

    The first plan is that of objective `step`, which is found the soonest. A part
    without a reduction is solved where the plan of the whole menu has it; where
    that has not, it is the plan of the part as well.
    """
    greedy, problem = Greedy(params), best.problem
    first, whole = MenuPart.whole(problem), _part(problem, [])
    assert whole is not None
    begin_s = stop.elapsed_s()
    fits = best.offer(first, _run(greedy, first, stop, seed).assignment)
    took_s = stop.elapsed_s() - begin_s
    is_long = not stop.is_by_work and took_s > _GREEDY_SHARE * stop.remaining_s()
    if (is_long or is_brief) and fits:
        return [first]
    starts = [whole]
    if not best.offer(whole, _run(greedy, whole, stop, seed).assignment):
        return [first, whole]
    for kind in _reductions():
        if stop.now() and best.assignment is not None:
            return starts
        part = _part(problem, [kind]) if _uses(problem, whole, kind) else None
        if part is not None:
            best.offer(part, _run(greedy, part, stop, seed).assignment)
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
        if not best.offer(chosen, _run(greedy, chosen, stop, seed).assignment):
            break
    return starts


def _run(greedy: Greedy, part: MenuPart, stop: Stop, seed: int) -> SolverResult:
    return greedy.solve(part.problem(), stop, seed, Silent())


def _reductions() -> list[tuple[str, ...]]:
    """Name the operations of reductions over all ranks, and of those in groups."""
    named = [*reduce_names("reduce_scatter"), *reduce_names("all_gather")]
    return [
        tuple(name for scope, name in named if scope == Scope.ALL),
        tuple(name for scope, name in named if scope != Scope.ALL),
    ]


def _part(problem: Problem, without: list[tuple[str, ...]]) -> MenuPart | None:
    """Leave reductions out of the menu; None if a table has no other option."""
    view = StepView.of(problem, tuple(name for names in without for name in names))
    if view is None:
        return None
    return MenuPart(view, np.ones(len(problem.pricer.phases)))


def _uses(problem: Problem, start: MenuPart, names: tuple[str, ...]) -> bool:
    """Whether the plan of a part has an operation; it may, if there is none yet."""
    if start.cost is None:
        return True
    columns = [problem.pricer.phases.index(name) for name in names]
    return bool(start.cost[:, columns].any())
