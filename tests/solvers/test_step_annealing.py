"""Moves of many tables at once, and what is learned on the way."""

from __future__ import annotations

import numpy as np

from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.step_annealing import StepAnnealing
from shardplan.solvers.step_menus import ways_to_cut
from shardplan.steps.pricing import REPLICAS
from tests.helpers import (
    dlrm_like,
    two_hosts,
)


def test_all_tables_leave_a_collective_at_once():
    """Its fixed time goes with the last table: one by one they would not leave."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    menu, column = problem.options, problem.pricer.phases.index(REPLICAS)
    copies = menu.item_cost[:, :, column].any(axis=1)
    copied = np.bincount(menu.item_option, copies, len(menu)) > 0
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    small = np.flatnonzero(copied)[menu.largest_hbm_bytes[copied].argsort()[:3]]
    option, places = start.option.copy(), list(start.places)
    for one in small.tolist():
        option[menu.table[one]], places[menu.table[one]] = one, np.zeros(0, dtype=int)
    start = Assignment(option, tuple(places))
    everyone, rng = np.arange(problem.num_bundles), np.random.default_rng(0)
    search = StepAnnealing(problem, everyone, rng, start, Stop())
    columns = search._curves.columns
    kind = int(columns._column[0, columns.names.index(REPLICAS)])
    assert kind in search.kinds_in_use()
    assert search.leave(kind)
    left = search.present()
    assert copied[start.option].any()
    assert problem.loads(left).fits(problem.capacity)
    assert not copied[left.option].any()


def test_tables_are_cut_in_another_way_together():
    """All go to the other way at once; what does not offer it stays as it is."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    everyone, rng = np.arange(problem.num_bundles), np.random.default_rng(0)
    search = StepAnnealing(problem, everyone, rng, start, Stop())
    way, menu = ways_to_cut(problem.options), problem.options
    wanted = way == way[menu.is_single.argmax()]
    offers = np.logical_or.reduceat(wanted, menu.start[:-1])
    assert search._put_anew(everyone, int(way[menu.is_single.argmax()]))
    found = search.present()
    np.testing.assert_array_equal(wanted[found.option], offers)
    np.testing.assert_array_equal(found.option[~offers], start.option[~offers])
    assert problem.loads(found).fits(problem.capacity)


def test_what_does_not_get_better_by_another_cut_is_left_as_it_was():
    """A move of tables that are cut alike is undone when it is not taken."""
    problem = two_hosts().problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    everyone, rng = np.arange(problem.num_bundles), np.random.default_rng(0)
    search = StepAnnealing(problem, everyone, rng, start, Stop())
    undone = 0
    for _ in range(20):
        before, load = search.present(), search._state.fullest()
        search._cut_alike(0.0)
        after = search.present()
        if np.array_equal(after.option, before.option):
            undone += 1
            np.testing.assert_allclose(search._state.fullest(), load, atol=1e-12)
            for one, other in zip(after.places, before.places, strict=True):
                np.testing.assert_array_equal(one, other)
    assert undone


def test_the_path_of_where_it_is_is_learned():
    """After a few moves the present plan is no longer than it looks."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    everyone, rng = np.arange(problem.num_bundles), np.random.default_rng(0)
    search = StepAnnealing(problem, everyone, rng, start, Stop())
    for _ in range(40):
        search._move(1e-3)  # so hot that all moves are taken
    search._sees_better()
    search._judge()
    assert search._now_s >= problem.value(search.present()) * (1.0 - 1e-3)


def test_a_plan_far_from_the_best_is_not_near():
    """Searches begin from plans whose step is not much longer than the best one's."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    everyone, rng = np.arange(problem.num_bundles), np.random.default_rng(0)
    search = StepAnnealing(problem, everyone, rng, start, Stop())
    assert search.is_near()
    menu = problem.options
    single = [
        int(np.flatnonzero((menu.table == b) & menu.is_single)[0])
        for b in range(problem.num_bundles)
    ]
    places = tuple(np.zeros(1, dtype=np.int64) for _ in single)
    search.take_up(Assignment(np.array(single), places))
    assert not search.is_near()
