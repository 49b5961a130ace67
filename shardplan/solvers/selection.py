"""Choose one option per bundle so that the sums fit, before anything is placed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import first_least, least_per_table
from shardplan.solvers.linear_choice import choose_by_linear_program
from shardplan.solvers.params import DEFAULTS, ChoiceParams
from shardplan.solvers.pool_prices import pool_prices

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints


_REPAIRS = 20
_MISSES = 1000
"""Stop using room after this many switches that do not fit."""
_GOOD = 0.005
"""A choice this close to the relaxed one, relatively, is good enough."""
_AIR = 0.1
"""Share of the room above the least bytes that a choice may always use."""


def select(
    problem: Problem,
    totals: OptionTotals,
    item_limit_s: float,
    fill: float,
    item_fill: float = 1.0,
    params: ChoiceParams = DEFAULTS.choice,
) -> Ints | None:
    """Choose options without long items that fit into `fill` of each tier.

    Parameters
    ----------
    item_limit_s : float
        Avoid options with a single-rank item above this [s], where a bundle can.
    fill : float
        Share of each tier that should be used at most.
    item_fill : float
        Avoid items that fill more than this share of a rank or host.

    Returns
    -------
    int array (B,) or None
        See `select_from`; None if the least bytes of all bundles do not fit.
    """
    start = problem.options.start
    legal = _below(totals.largest, start, item_limit_s)
    large = np.where(legal, totals.largest_bytes, np.inf)
    legal &= _below(large, start, item_fill)
    needed = np.where(legal, totals.tier_bytes.sum(axis=1), np.inf)
    least = float(least_per_table(needed, problem.options).sum())
    least /= max(int(totals.tier_bytes.any(axis=0).sum()), 1)
    if least > 1.0:
        return None
    fill = max(fill, least + _AIR * (1.0 - least))
    return select_from(problem, totals, legal, fill, params)


def select_from(
    problem: Problem,
    totals: OptionTotals,
    legal: Bools,
    fill: float,
    params: ChoiceParams = DEFAULTS.choice,
) -> Ints:
    """Choose the cheapest legal options whose bytes fit into `fill` of each tier.

    Parameters
    ----------
    legal : bool array (O,)
        Options to choose from, at least one per bundle.

    Returns
    -------
    int array (B,)
        One option per bundle; it may still exceed `fill` if nothing fits.

    Notes
    -----
    Minimises seconds + prices . bytes with one price per tier, raised by bisection
    until the tier fits (a Lagrangian relaxation of the multiple-choice knapsack);
    then single bundles are switched, best ratio first, until the sums fit and the
    room that is left is used. Where several tight tiers defeat that, a linear program
    over a few candidates takes its place.
    """
    found = pool_prices(problem, totals, legal, fill)
    choice = _cheapest(problem, totals, legal, found.prices)
    choice = _fitted(problem, totals, legal, found.prices, choice, fill)
    is_good = _is_good(totals, choice, found.least_s, fill)
    if is_good or not params.linear_program:
        return choice
    split = choose_by_linear_program(problem, totals, found.candidates, fill)
    if split is None:
        return choice
    split = _fitted(problem, totals, legal, found.prices, split, fill)
    return min(choice, split, key=lambda c: _merit(totals, c, fill))


def _fitted(
    problem: Problem,
    totals: OptionTotals,
    legal: Bools,
    prices: Floats,
    choice: Ints,
    fill: float,
) -> Ints:
    """Make a choice fit, if possible, and use the room that is left."""
    choice = _repair(problem, totals, legal, prices, choice, fill)
    return _use_room(problem, totals, legal, choice, fill)


def _merit(totals: OptionTotals, choice: Ints, fill: float) -> tuple[float, float]:
    """Bytes that do not fit, then seconds; the less the better."""
    over = np.maximum(totals.tier_bytes[choice].sum(axis=0) - fill, 0.0)
    return float(over.sum()), float(totals.seconds[choice].sum())


def _is_good(totals: OptionTotals, choice: Ints, least_s: float, fill: float) -> bool:
    over, seconds = _merit(totals, choice, fill)
    return over == 0.0 and seconds <= least_s * (1.0 + _GOOD)


def _below(values: Floats, start: Ints, limit: float) -> Bools:
    """Options with values below a limit, or a bundle's least ones (O,)."""
    least = np.minimum.reduceat(values, start[:-1])
    limits = np.maximum(limit, least * (1.0 + 1e-12))
    return np.asarray(values <= np.repeat(limits, np.diff(start)))


def _cheapest(
    problem: Problem, totals: OptionTotals, legal: Bools, prices: Floats
) -> Ints:
    """Option of least priced cost per bundle; the first of equals."""
    priced = np.where(legal, totals.seconds + totals.tier_bytes @ prices, np.inf)
    return first_least(priced, problem.options.start)


def _repair(
    problem: Problem,
    totals: OptionTotals,
    legal: Bools,
    prices: Floats,
    choice: Ints,
    fill: float,
) -> Ints:
    """Switch bundles out of full tiers, least extra cost per byte first."""
    priced = totals.seconds + totals.tier_bytes @ prices
    for _ in range(_REPAIRS):
        used = totals.tier_bytes[choice].sum(axis=0)
        over = used - fill
        tier = int(np.argmax(over))
        if over[tier] <= 0:
            break
        own = np.repeat(choice, np.diff(problem.options.start))
        relief = totals.tier_bytes[own, tier] - totals.tier_bytes[:, tier]
        change = totals.tier_bytes - totals.tier_bytes[own]
        room = np.maximum(fill - used, 0.0)
        harmless = (change <= np.where(over > 0, 0.0, room)).all(axis=1)
        useful = legal & harmless & (relief > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(useful, (priced - priced[own]) / relief, np.inf)
        better = _apply(problem, totals, choice, ratio, tier, float(over[tier]), fill)
        if better is None:
            break
        choice = better
    return choice


def _apply(
    problem: Problem,
    totals: OptionTotals,
    choice: Ints,
    ratio: Floats,
    tier: int,
    needed: float,
    fill: float,
) -> Ints | None:
    """Make the switches of best ratio until `needed` is relieved."""
    start = problem.options.start
    best = first_least(ratio, start)
    order = np.argsort(ratio[best], kind="stable")
    used = totals.tier_bytes[choice].sum(axis=0)
    result, relieved = choice.copy(), 0.0
    for bundle in order:
        option = best[bundle]
        if not np.isfinite(ratio[option]) or relieved >= needed:
            break
        change = totals.tier_bytes[option] - totals.tier_bytes[choice[bundle]]
        if ((used + change > fill) & (change > 0)).any():
            continue
        used += change
        relieved -= change[tier]
        result[bundle] = option
    return result if relieved > 0 else None


def _use_room(
    problem: Problem,
    totals: OptionTotals,
    legal: Bools,
    choice: Ints,
    fill: float,
) -> Ints:
    """Switch bundles to cheaper options as long as the tiers have room for them."""
    start = problem.options.start
    for _ in range(2):
        own = np.repeat(choice, np.diff(start))
        gain = totals.seconds[own] - totals.seconds
        grown = np.maximum(totals.tier_bytes - totals.tier_bytes[own], 0.0).max(axis=1)
        ratio = np.where(legal & (gain > 0), -gain / (grown + 1e-12), np.inf)
        best = first_least(ratio, start)
        used = totals.tier_bytes[choice].sum(axis=0)
        result, misses = choice.copy(), 0
        for bundle in np.argsort(ratio[best], kind="stable"):
            option = best[bundle]
            if not np.isfinite(ratio[option]) or misses > _MISSES:
                break
            change = totals.tier_bytes[option] - totals.tier_bytes[choice[bundle]]
            if (used + change <= fill).all():
                used += change
                result[bundle] = option
            else:
                misses += 1
        if np.array_equal(result, choice):
            break
        choice = result
    return choice
