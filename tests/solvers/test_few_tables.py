"""Plans of few tables, each found as if it were the first."""

from __future__ import annotations

import numpy as np

from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.few_tables import anew, pays
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.step_search import StepSearch
from shardplan.solvers.turns import Turns
from tests.certify.step.tiny import tiny
from tests.helpers import dlrm_like


def test_each_fits_and_the_best_is_no_worse_than_the_start() -> None:
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    assert start is not None
    search, stop = StepSearch(problem, 0), Stop(work_limit=2_000)
    found = list(
        anew(problem, (start, start), search, stop, Turns(stop, 1e3), DEFAULTS)
    )
    assert len(found) >= 3
    assert all(problem.loads(plan).fits(problem.capacity) for plan in found)
    assert max(map(problem.value, found)) <= problem.value(start)


def test_without_a_limit_each_has_one_turn() -> None:
    """From each start, and from the best: somebody waits for the end."""
    problem, _ = tiny(1)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    assert start is not None
    search, stop = StepSearch(problem, 0), Stop()
    found = list(
        anew(problem, (start, start), search, stop, Turns(stop, 1e3), DEFAULTS)
    )
    assert len(found) in (2, 3)


def test_one_begins_with_the_program_that_cuts_no_table() -> None:
    """On a problem of a few plans it finds the best one, wherever it starts."""
    problem, best_s = tiny(1)
    worst = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    assert worst is not None
    stop = Stop(time_limit_s=5.0)
    search, turns = StepSearch(problem, 0), Turns(stop, 1e3)
    found = anew(problem, (worst, worst), search, stop, turns, DEFAULTS)
    assert problem.value(next(found)) >= best_s * (1.0 - 1e-12)
    assert np.isfinite(problem.value(next(found)))


def test_few_are_two_per_rank() -> None:
    problem, _ = tiny(1)
    assert pays(problem) == (problem.num_bundles <= 2 * problem.world_size)
    assert not pays(tiny(4).problem) or tiny(4).problem.num_bundles <= 2
