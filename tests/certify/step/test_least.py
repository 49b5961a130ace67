"""Staircases and lines are below the curve that they are made for."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from shardplan.certify.step.least import EVERY, Span, Staircase
from shardplan.costs.communication.message_time import p_norm_time
from shardplan.steps.pressure import Pressure

ONE = np.ones((1, 1))


def drawn(seed: int) -> Pressure:
    """A latency and a rate, or a floor."""
    rng = np.random.default_rng(seed)
    latency = 10.0 ** rng.uniform(-6, -3)
    curve = partial(np.maximum, latency)
    if seed % 3:
        p = rng.uniform(0.4, 2.0)

        def curve(seconds):
            return p_norm_time(seconds, latency, 1.0, p)

    idle_s = float(rng.choice([0.0, 0.5 * latency]))
    return Pressure("x", True, np.array([0]), ONE, ONE, curve, idle_s)


@pytest.mark.parametrize("seed", range(12))
def test_lines_are_below(seed: int) -> None:
    """Of any slope, over any span, at its ends as well, and without pressure."""
    pressure, rng = drawn(seed), np.random.default_rng(seed)
    for _ in range(20):
        low, high = np.sort(10.0 ** rng.uniform(-8, 0, 2))
        span = Span(low, high, runs=True) if rng.random() < 0.7 else EVERY
        limit_s = float(10.0 ** rng.uniform(-5, 0))
        stairs = Staircase.below(pressure, limit_s, span)
        some = 10.0 ** rng.uniform(-9, 1, 200)
        some = np.r_[some, low, high, stairs.low, stairs.high]
        some = some[(some > 0) & (some >= span.low) & (some <= span.high)]
        takes = pressure.curve(some)
        some, takes = some[takes < limit_s], takes[takes < limit_s]
        assert (some <= stairs.high * (1.0 + 1e-15)).all()
        assert all(
            stairs.least(x) <= t for x, t in zip(some.tolist(), takes, strict=True)
        )
        for slope in [*stairs.slopes(8, runs=span.runs), 0.0, 1.0, 1e3]:
            line = stairs.intercept(slope, runs=span.runs)
            assert (line + slope * some <= takes * (1.0 + 1e-15)).all()
            assert span.runs or line <= pressure.idle_s


def test_a_line_touches_the_curve() -> None:
    """Staircases are half a percent wide, and lines not far below them."""
    pressure = drawn(1)
    stairs = Staircase.below(pressure, 1.0)
    some = np.geomspace(1e-5, 1e-1, 30)
    slopes = stairs.slopes(50, runs=True)
    for x in some:
        highest = max(stairs.intercept(s, runs=True) + s * x for s in slopes)
        assert highest > 0.7 * float(pressure.curve(np.array([x]))[0])
        assert stairs.least(float(x)) > 0.99 * float(pressure.curve(np.array([x]))[0])


def test_what_takes_too_long_is_cut_off() -> None:
    """At least one step is left, even if all take too long."""
    stairs = Staircase.below(drawn(0), 1.0)
    assert len(stairs.up_to(0.0).heights) == 1
    assert stairs.up_to(0.5).high == pytest.approx(0.5, rel=1e-2)
    assert stairs.flattest <= 1.0
    assert stairs.within(Span(2e-3, 1e-3, runs=True)).high >= 2e-3
