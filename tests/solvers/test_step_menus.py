"""What a move of the search draws from."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.step_curves import StepCurves
from shardplan.records.sharding import Objective
from shardplan.solvers import step_menus
from shardplan.solvers.step_menus import MoveMenus, ways_to_cut
from shardplan.solvers.step_state import StepState
from tests.helpers import CLUSTERS, random_assignment, varied


def _menus(cluster="two_hosts"):
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(0))
    state = StepState(problem, StepCurves(problem, problem.loads(start).cost))
    return problem, MoveMenus(state, np.random.default_rng(0))


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
def test_each_option_is_in_one_place_of_a_menu(cluster):
    """By scope, in one host or everywhere; there are as many items as places."""
    problem, menus = _menus(cluster)
    for bundle in range(problem.num_bundles):
        menu = menus.of(bundle)
        rows = [row for part in menu.parts for row in part.rows.tolist()]
        rows += [*menu.in_one_host, *menu.everywhere.tolist()]
        assert sorted(rows) == list(range(len(menu.options)))
        for part in menu.parts:
            assert (menu.options[part.rows] == part.options).all()
            assert len(part.items) == part.number.sum()


def test_all_options_of_a_larger_bundle_are_drawn(monkeypatch):
    """Samples of few options each leave none out."""
    monkeypatch.setattr(step_menus, "_MOST", 4)
    problem, menus = _menus()
    start = problem.options.start
    bundle = int(np.diff(start).argmax())
    seen = set()
    for _ in range(300):
        options = menus.of(bundle).options
        assert len(options) <= 4
        seen |= set(options.tolist())
    assert seen == set(range(start[bundle], start[bundle + 1]))


def test_banned_options_are_left_out_until_all_are_allowed(monkeypatch):
    """A bundle without any other option has no menu."""
    monkeypatch.setattr(step_menus, "_MOST", 10_000)
    problem, menus = _menus()
    start = problem.options.start
    whole = menus.of(1).options
    banned = np.zeros(len(problem.options), dtype=bool)
    banned[start[0] : start[1]] = banned[start[1]] = True
    menus.ban(banned, ("test", 0))
    assert menus.of(0) is None
    assert not menus.is_whole
    np.testing.assert_array_equal(menus.of(1).options, whole[1:])
    menus.allow_all()
    assert menus.is_whole
    np.testing.assert_array_equal(menus.of(1).options, whole)


def test_places_that_constraints_forbid_are_marked():
    """What is free to choose is what the problem allows."""
    problem, menus = _menus()
    for bundle in range(problem.num_bundles):
        for part in menus.of(bundle).parts:
            for row, option in enumerate(part.options.tolist()):
                number = len(problem.cluster.groups(part.scope).first_rank)
                free = np.ones(number, dtype=bool)
                if part.forbidden is not None:
                    free = ~part.forbidden[row]
                legal = problem.group_places(bundle, option)
                np.testing.assert_array_equal(np.flatnonzero(free), legal)


def test_ways_tell_how_tables_are_cut():
    """Options of one way have one sharding type and as many shards."""
    problem, _ = _menus()
    menu, way = problem.options, ways_to_cut(problem.options)
    for number in range(way.max() + 1):
        same = way == number
        assert len(np.unique(menu.sharding_type[same])) == 1
        assert len(np.unique(menu.num_copies[same])) == 1
