"""Find where conditions begin to hold, from few values."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from shardplan.studies.monotone import Sign, Trial, best, next_trials, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def walk(
    outcome: Callable[[float], Trial], positions: Sequence[float]
) -> dict[int, Trial]:
    """Try until nothing more is asked for."""
    tried: dict[int, Trial] = {}
    while asked := next_trials(tried, positions):
        assert not tried.keys() & set(asked)
        tried |= {i: outcome(positions[i]) for i in asked}
    return tried


def rate_of(goal: float, rate: Callable[[float], float]) -> Callable[[float], Trial]:
    """Ask for a rate that depends on the position."""
    return lambda at: Trial(rate(at) >= goal, (rate(at) / goal - 1.0,))


HOSTS = range(1, 65)


@pytest.mark.parametrize("goal", [0.5, 1.0, 1.5, 11.0, 20.2, 38.5, 60.0])
def test_finds_the_fewest(goal: float) -> None:
    """Of 64 host counts few are tried, and the answer is the fewest that reach it."""
    tried = walk(rate_of(goal, lambda hosts: hosts**0.9), HOSTS)
    found = best(tried)
    expected = next((i for i in range(64) if (i + 1) ** 0.9 >= goal), None)
    assert found == expected
    assert len(tried) <= 10
    if found is not None:
        neighbours = {found - 1, found + 1} & set(range(64))
        assert neighbours <= tried.keys()


def test_finds_the_most() -> None:
    """Values that fall are searched from the greatest one down."""
    positions = [2.0**k for k in range(20, -1, -1)]

    def fits(batch: float) -> Trial:
        return Trial(batch <= 3000, (1.0 - batch / 3000,))

    tried = walk(fits, positions)
    found = best(tried)
    assert found is not None
    assert positions[found] == 2048
    assert len(tried) < 12


def test_tries_what_was_not_tried() -> None:
    """A search that was interrupted goes on: nothing but the trials is remembered."""
    outcome = rate_of(11.0, float)
    whole = walk(outcome, HOSTS)
    for kept in range(len(whole)):
        tried = dict(list(whole.items())[:kept])
        while asked := next_trials(tried, HOSTS):
            tried |= {i: outcome(HOSTS[i]) for i in asked}
        assert best(tried) == best(whole)


@pytest.mark.parametrize("seed", range(300))
def test_any_monotone_axis(seed: int) -> None:
    """Memory that lacks for few hosts, any growth, host counts that do not exist."""
    draw = random.Random(seed)
    count = draw.randint(1, 80)
    shape = draw.choice([0.2, 1.0, 5.0])
    rates = sorted(draw.random() ** shape for _ in range(count))
    fits_from, goal = draw.randint(0, count), draw.random()
    gaps = draw.choice([0.0, 0.3])
    missing = {i for i in range(count) if draw.random() < gaps}

    def outcome(at: float) -> Trial:
        i = int(at) - 1
        if i in missing:
            return Trial(None)
        if i < fits_from:
            return Trial(False)
        return Trial(rates[i] >= goal, (rates[i] / goal - 1.0,))

    tried = walk(outcome, range(1, count + 1))
    holding = [i for i in range(count) if outcome(i + 1.0).holds]
    assert best(tried) == min(holding, default=None)
    assert sign(tried) is None
    if not missing:
        assert len(tried) <= 14 + math.log2(count)


def test_a_dip_that_is_seen_has_all_fewer_tried() -> None:
    """Where a host more is slower, all fewer hosts are tried."""
    rates = dict(zip(HOSTS, (float(h) for h in HOSTS), strict=True))
    rates[4] = 11.5  # better than the 5 ... 11 hosts after it
    rates[13] = 10.0  # beside the answer at first, which is 12 hosts
    tried = walk(rate_of(11.5, lambda hosts: rates[int(hosts)]), HOSTS)
    assert sign(tried) is not None
    assert best(tried) == 3
    assert set(range(3)) <= tried.keys()


def test_a_bump_between_trials_is_not_seen() -> None:
    """What no trial shows cannot be known: the documentation says so."""
    outcome = rate_of(11.5, lambda hosts: 100.0 if hosts == 4 else hosts)
    tried = walk(outcome, HOSTS)
    assert sign(tried) is None
    assert best(tried) == 11


def test_uneven_plans_just_below_are_tried() -> None:
    """A flat stretch just below the answer is walked down until it is clear."""
    rates = {hosts: float(hosts) for hosts in HOSTS}
    rates |= {17: 19.6, 18: 20.1, 19: 19.7, 20: 19.9}
    tried = walk(rate_of(20.0, lambda hosts: rates[int(hosts)]), HOSTS)
    assert best(tried) == 17
    assert sign(tried) is not None


def test_falls_at_the_end() -> None:
    """Where more hosts are slower at the end, the middle is looked through."""
    tried = walk(rate_of(30.0, lambda hosts: min(hosts, 70.0 - hosts)), HOSTS)
    assert best(tried) == 29
    nowhere = walk(rate_of(40.0, lambda hosts: min(hosts, 70.0 - hosts)), HOSTS)
    assert best(nowhere) is None
    assert len(nowhere) == 64


def test_signs() -> None:
    """A plan where more hosts have none, and slack that falls, are signs."""
    assert sign({0: Trial(False, (-0.5,)), 3: Trial(False)}) == Sign(0, 3, None)
    slacks = {1: Trial(False, (-0.5, 0.1)), 2: Trial(False, (-0.6, 0.2))}
    assert sign(slacks) == Sign(1, 2, 0)


def test_a_condition_that_always_holds_is_no_sign() -> None:
    """Memory that gets fuller where it never is full changes no conclusion."""
    trials = {1: Trial(False, (-0.5, 0.4)), 2: Trial(True, (0.1, 0.3))}
    assert sign(trials) is None


def test_nothing_can_be_tried() -> None:
    """Values that are all errors end the search."""
    tried = walk(lambda _: Trial(None), range(1, 6))
    assert len(tried) == 5
    assert best(tried) is None
