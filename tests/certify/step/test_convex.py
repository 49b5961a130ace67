"""The linear program is below every plan, and its circuits are legal."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.step import convex
from shardplan.certify.step.convex import ConvexStep
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.verify import mix
from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import Objective
from tests.benchmarks.families import Family, family_problem
from tests.certify.step.test_menu import drawn_loads
from tests.certify.step.tiny import tiny
from tests.steps.draws import draw_problem, pressed

NEAR = 1.0 + 1e-6
"""HiGHS's tolerances."""


@pytest.mark.parametrize("seed", range(6))
def test_is_below_every_plan(seed: int) -> None:
    """Its step and, under a limit, its ranges of pressures."""
    (_, problem), rng = draw_problem(seed, 4, most_ranks=8), np.random.default_rng(seed)
    found = drawn_loads(problem, rng, 6)
    pricer, menu = step_pricer(problem), StepMenu.of(problem)
    fits = [cost for cost in found if np.isfinite(pricer.predict(cost).step_s)]
    values = [pricer.predict(cost).step_s for cost in fits]
    limit_s = 1.01 * max(values, default=1e-3)
    program = ConvexStep(menu, menu.staircases(limit_s), limit_s)
    mixed = program.solve(None)
    assert mixed is not None
    assert mixed.step_s <= min(values, default=np.inf) * NEAR
    # What it returns is a proof as it is.
    mixture = mix(menu, mixed.circuits, mixed.slopes, limit_s)
    assert sum(circuit.share for circuit in mixed.circuits) <= 1.0
    assert mixture.constant_s <= mixed.step_s * NEAR


def test_ranges_hold_the_pressures_of_short_steps() -> None:
    """Of every plan that is within the limit."""
    problem, best_s = tiny(1)
    menu, pricer = StepMenu.of(problem), step_pricer(problem)
    limit_s = 2.0 * best_s
    every = range(len(menu.pressures))
    step = ConvexStep(menu, menu.staircases(limit_s), limit_s)
    ranges = step.ranges(every, None)
    assert ranges is not None
    assert list(ranges) == list(every)
    rng, seen = np.random.default_rng(0), 0
    for cost in drawn_loads(problem, rng, 20):
        if pricer.predict(cost).step_s < limit_s:
            seen += 1
            found = pressed(pricer, cost)
            for k, (low, high) in ranges.items():
                pressure = menu.pressures[k]
                most = found[pressure.operation]
                assert low <= most * NEAR + 1e-12
                # From above only where a curve ties the pressure to the step.
                assert pressure.curve is None or most <= high * NEAR + 1e-12
    assert seen > 3


def test_longest_items_make_it_longer() -> None:
    """A table that is whole on one of many ranks is not spread over them."""
    gains = []
    for seed in range(6):
        _, problem = draw_problem(seed, 4, most_ranks=8)
        menu = StepMenu.of(problem)
        stairs = menu.staircases(1.0)
        plain = ConvexStep(menu, stairs, 1.0, is_plain=True).solve(None)
        found = ConvexStep(menu, stairs, 1.0).solve(None)
        assert plain is not None
        assert found is not None
        gains.append(found.step_s / plain.step_s)
    assert min(gains) > 1.0 / NEAR
    assert max(gains) > 1.01


def test_columns_by_price_find_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin with options that do not fit together, though others do."""
    problem = family_problem(Family.SSD, 1, 24, 8, Objective.TIME)
    menu = StepMenu.of(problem)
    every = ConvexStep(menu, menu.staircases(1.0), 1.0).solve(None)
    monkeypatch.setattr(convex, "_FEW_COLUMNS", 0)
    monkeypatch.setattr(convex, "_MOST_COLUMNS", 0)
    monkeypatch.setattr(convex, "_PRICINGS", 30)
    some = ConvexStep(menu, menu.staircases(1.0), 1.0).solve(None)
    assert every is not None
    assert some is not None
    assert every.fits
    assert some.fits
    assert some.step_s == pytest.approx(every.step_s, rel=1e-5)


def test_it_begins_with_what_a_program_like_it_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which is a part of the menu, and as good: prices bring in what it lacks."""
    problem = family_problem(Family.HBM, 1, 24, 8, Objective.TIME)
    menu = StepMenu.of(problem)
    every = ConvexStep(menu, menu.staircases(1.0), 1.0).solve(None)
    monkeypatch.setattr(convex, "_FEW_COLUMNS", 0)
    monkeypatch.setattr(convex, "_PRICINGS", 30)
    whole = ConvexStep(menu, menu.staircases(1.0), 1.0).solve(None)
    assert every is not None
    assert whole is not None
    assert len(whole.start.options) < len(problem.options)
    k = int(whole.pressure.argmax())
    half = menu.at_most(k, 0.9 * whole.pressure.item(k))
    assert half is not None
    stairs = half.staircases(1.0)
    known = ConvexStep(half, stairs, 1.0, start=whole.start).solve(None)
    few = ConvexStep(
        half, stairs, 1.0, start=whole.start._replace(options=whole.start.options[:1])
    ).solve(None)
    afresh = ConvexStep(half, stairs, 1.0).solve(None)
    assert known is not None
    assert few is not None
    assert afresh is not None
    assert known.step_s == pytest.approx(afresh.step_s, rel=1e-5)
    assert few.step_s == pytest.approx(afresh.step_s, rel=1e-5)
    assert set(known.start.options) <= set(np.flatnonzero(half.keep))


def test_whole_options_are_one_per_table_and_no_shorter() -> None:
    """One option of each table in its order, and not less than if tables were cut."""
    for seed in range(4):
        _, problem = draw_problem(seed, 4, most_ranks=8)
        step = ConvexStep(StepMenu.of(problem), StepMenu.of(problem).staircases(1.0), 1)
        chosen, mixed = step.choose(None), step.solve(None)
        assert chosen is not None
        assert mixed is not None
        assert problem.options.table[chosen].tolist() == list(
            range(problem.num_bundles)
        )
        start = problem.options.start
        sums = np.add.reduceat(mixed.shares, start[:-1])
        assert sums == pytest.approx(np.ones(problem.num_bundles))
