"""Splits are tried by the convex program, and the best one raises both halves."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.step.convex import ConvexStep
from shardplan.certify.step.menu import StepMenu, are_few
from shardplan.certify.step.mixture import Mixture
from shardplan.certify.step.nodes import StepCaseNode
from shardplan.certify.step.search import StepProof
from shardplan.certify.step.splits import (
    Trials,
    below_giants,
    below_longest,
    below_sums,
    best_options,
    best_split,
    long_meetings,
    to_narrow,
    ways_to_split,
)
from shardplan.records.sharding import Objective
from tests.benchmarks.families import Family, family_problem
from tests.steps.draws import draw_assignment, draw_problem


def root(seed: int) -> tuple[StepCaseNode, float]:
    """The case of all plans of a random system, mixed once, and a known step."""
    _, problem = draw_problem(seed, most_tables=6, most_ranks=8)
    rng = np.random.default_rng(seed)
    known_s = min(problem.value(draw_assignment(problem, rng)) for _ in range(6))
    node = StepCaseNode(StepMenu.of(problem), 0.0)
    assert node.menu is not None
    mix = ConvexStep(node.menu, node.menu.staircases(known_s), known_s).solve(None)
    assert mix is not None
    node.mixture = Mixture(node.menu, mix.circuits, mix.slopes, known_s)
    node.least_s, node.pressure, node.shares = mix.step_s, mix.pressure, mix.shares
    return node, known_s


@pytest.mark.parametrize("seed", [5, 24, 31, 37])
def test_both_halves_are_longer(seed: int) -> None:
    """The convex step of either half is above that of the case."""
    node, known_s = root(seed)
    found = best_split(node, known_s, None)
    assert found is not None
    k, at_s = found
    assert node.menu is not None
    for half in (node.menu.at_most(k, at_s), node.menu.above(k, at_s)):
        if half is not None:
            mix = ConvexStep(half, half.staircases(known_s), known_s).solve(None)
            assert mix is None or mix.step_s > node.least_s


@pytest.mark.parametrize("seed", [5, 24, 31, 37])
def test_a_part_is_solved_from_the_whole_as_if_afresh(seed: int) -> None:
    """Whatever was solved before, the program of the whole is what it was."""
    node, known_s = root(seed)
    menu, mixture = node.menu, node.mixture
    assert menu is not None
    assert mixture is not None
    again = Trials(node, known_s, None)
    highs = [np.inf if s is None else s.high for s in mixture.staircases]
    tried = 0
    for k, stairs in enumerate(mixture.staircases):
        at_s = 0.9 * float(node.pressure[k])
        if stairs is None or not stairs.low < at_s < stairs.high:
            continue
        for half in (menu.at_most(k, at_s), menu.above(k, at_s)):
            if half is None:
                continue
            known = half.staircases(known_s, highs)
            afresh = ConvexStep(half, known, known_s, most=mixture.most_s).solve(None)
            expected = known_s if afresh is None else afresh.step_s
            assert again.step_s(half, k) == pytest.approx(expected, rel=1e-5)
            tried += 1
    assert tried > 1


def test_pressures_of_one_more_piece() -> None:
    """They are whole numbers of an item above the program's pressure."""
    found = 0
    for seed in (5, 24, 31, 37):
        node, _ = root(seed)
        menu, mixture = node.menu, node.mixture
        assert menu is not None
        assert mixture is not None
        for k, at_s in below_sums(node, menu, mixture):
            found += 1
            assert at_s > node.pressure[k]
            times = at_s / menu.alone[node.shares > 0.01, k].clip(1e-30)
            assert np.abs(times - times.round())[times < 20].min() < 1e-6
    assert found > 0


def test_nothing_to_split() -> None:
    """What is refuted has no menu, and needs no split."""
    node, known_s = root(5)
    node.forget()
    assert best_split(node, known_s, None) is None


def test_collectives_that_take_long() -> None:
    """All that are listed may run and need not; with a long limit none is long."""
    for seed in (5, 24, 31, 37):
        node, known_s = root(seed)
        assert node.menu is not None
        found = long_meetings(node.menu, 0.1 * known_s)
        assert not node.menu.runs[found].any()
        assert node.menu.may_run[found].all()
        assert set(long_meetings(node.menu, known_s)) <= set(found)
        assert not long_meetings(node.menu, 1e6 * known_s)


def test_a_table_that_is_cut_is_split_by_options() -> None:
    """The program took options of both halves, which are parts of one table."""
    found = 0
    for seed in (5, 24, 31, 37):
        node, known_s = root(seed)
        options = best_options(node, known_s, None)
        if options is None:
            continue
        found += 1
        assert node.menu is not None
        table = node.menu.problem.options.table
        (bundle,) = set(table[options].tolist())
        others = np.setdiff1d(np.flatnonzero(table == bundle), options)
        assert node.shares[options].sum() > 0
        assert node.shares[others].sum() > 0
    assert found


def test_longest_items_that_the_program_does_not_see() -> None:
    """Splits that it does not promise anything of leave out an option that it took.

    The mean of what presses is less than one item of it alone.
    """
    found = 0
    for seed in range(40):
        node, known_s = root(seed)
        menu, mixture = node.menu, node.mixture
        assert menu is not None
        assert mixture is not None
        for k, at_s in below_longest(node, menu, mixture):
            found += 1
            assert at_s > node.pressure[k]
            half = menu.at_most(k, at_s)
            gone = ~half.keep[menu.keep] if half else np.ones(len(menu.alone), bool)
            assert node.shares[gone & (menu.alone[:, k] > at_s)].max() > 0.01
            above = menu.above(k, at_s)
            mix = ConvexStep(above, above.staircases(known_s), known_s).solve(None)
            assert mix is None or mix.step_s >= node.least_s * (1.0 - 1e-6)
    assert found


def test_giants_over_ssd() -> None:
    """A kernel is split above the mean of its phase, below an item that is longer."""
    problem = family_problem(Family.SSD, 1, 24, 8, Objective.TIME)
    proof = StepProof(problem, 1.0)
    node = proof._root
    menu, mixture = node.menu, node.mixture
    assert menu is not None
    assert mixture is not None
    mean = node.pressure + mixture.beside(node.pressure)
    found = list(below_giants(node, menu, mixture))
    assert found
    for k, at_s in found:
        assert menu.pressures[k].curve is None
        assert mean[k] < at_s < menu.alone[node.shares > 0.01, k].max()


def test_what_to_narrow() -> None:
    """Operations with a curve: all, or those that count."""
    node, _ = root(5)
    assert node.mixture is not None
    mixture = node.mixture
    every = to_narrow(mixture, every=True)
    assert all(mixture.staircases[k] is stairs for k, stairs in every.items())
    some = to_narrow(mixture, every=False)
    assert set(some) == {k for k in every if mixture.weights[k] > 0}


def test_only_few_tables_are_split_by_options() -> None:
    node, known_s = root(5)
    ways = [list(ways_to_split(node, known_s, None, is_few=few)) for few in (0, 1)]
    assert not any(split.options for split, _ in ways[False])
    assert [split for split, _ in ways[True]][:1] == [split for split, _ in ways[False]]
    _, problem = draw_problem(5, most_tables=6, most_ranks=8)
    assert are_few(problem) == (problem.num_bundles <= 2 * problem.world_size)
