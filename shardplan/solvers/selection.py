"""Choose one option per bundle so that the sums fit, before anything is placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import first_least, least_per_table
from shardplan.records.sharding import TIERS
from shardplan.solvers.linear_choice import choose_by_linear_program
from shardplan.solvers.params import DEFAULTS, ChoiceParams
from shardplan.solvers.pool_prices import pool_prices
from shardplan.solvers.tolerances import NO_SHARE, ROUNDOFF

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints


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
    # Limits are wishes: a bundle without an option below them keeps its least ones, or
    # one huge table would leave no choice for all others.
    start = problem.options.start
    legal = below(totals.largest, start, item_limit_s)
    large = np.where(legal, totals.largest_bytes, np.inf)
    legal &= below(large, start, item_fill)
    needed = np.where(legal, totals.all_bytes, np.inf)
    least = float(least_per_table(needed, problem.options).sum())
    least /= max(totals.num_tiers, 1)
    if least > 1.0:
        return None
    # Where even the least bytes nearly fill the memory, less of it would allow nothing
    # but the slowest options.
    fill = max(fill, least + params.spare * (1.0 - least))
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
    Minimises seconds + prices . bytes with one price per tier, for which the
    Lagrangian is largest (a relaxation of the multiple-choice knapsack: Sinha and
    Zoltners 1979); then single bundles are switched, best ratio first, until the sums
    fit and the room that is left is used. Where several tight tiers defeat that, a
    linear program over a few candidates takes its place.
    """
    sums = _Sums(problem, totals, legal, fill, params)
    # Where the cheapest options fit, memory has no price.
    choice = sums.cheapest(np.zeros(len(TIERS)))
    if (totals.tier_bytes[choice].sum(axis=0) <= fill).all():
        return choice
    found = pool_prices(problem, totals, legal, fill, params.cutting_planes)
    choice = sums.fitted(sums.cheapest(found.prices), found.prices)
    if not params.linear_program or sums.is_good(choice, found.least_s):
        return choice
    split = choose_by_linear_program(problem, totals, found.candidates, fill)
    if split is None:
        return choice
    return min(choice, sums.fitted(split, found.prices), key=sums.merit)


def below(values: Floats, start: Ints, limit: float) -> Bools:
    """Options with values below a limit, or a bundle's least ones (O,)."""
    least = np.minimum.reduceat(values, start[:-1])
    limits = np.maximum(limit, least * (1.0 + ROUNDOFF))
    return np.asarray(values <= np.repeat(limits, np.diff(start)))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Choices of one option per bundle whose sums should fit into the tiers."""

    problem: Problem
    totals: OptionTotals
    legal: Bools
    fill: float
    params: ChoiceParams

    def cheapest(self, prices: Floats) -> Ints:
        """Option of least priced cost per bundle; the first of equals."""
        priced = np.where(self.legal, self._priced(prices), np.inf)
        return first_least(priced, self.problem.options.start)

    def fitted(self, choice: Ints, prices: Floats) -> Ints:
        """Make a choice fit, if possible, and use the room that is left."""
        return self._use_room(self._repair(choice, prices))

    def merit(self, choice: Ints) -> tuple[float, float]:
        """Bytes that do not fit, then seconds; the less the better."""
        over = np.maximum(self._used(choice) - self.fill, 0.0)
        return float(over.sum()), float(self.totals.seconds[choice].sum())

    def is_good(self, choice: Ints, least_s: float) -> bool:
        """Whether a choice fits and is close to the relaxed one."""
        over, seconds = self.merit(choice)
        return over == 0.0 and seconds <= least_s * (1.0 + self.params.good_enough)

    def _priced(self, prices: Floats) -> Floats:
        return np.asarray(self.totals.seconds + self.totals.tier_bytes @ prices)

    def _used(self, choice: Ints) -> Floats:
        """Share of each tier that a choice needs (3,)."""
        return np.asarray(self.totals.tier_bytes[choice].sum(axis=0))

    def _repair(self, choice: Ints, prices: Floats) -> Ints:
        """Switch bundles out of full tiers, least extra cost per byte first."""
        priced, tier_bytes = self._priced(prices), self.totals.tier_bytes
        table, counts = self.problem.options.table, np.diff(self.problem.options.start)
        for _ in range(self.params.repairs):
            used = self._used(choice)
            over = used - self.fill
            tier = int(np.argmax(over))
            if over[tier] <= 0:
                break
            relief = np.repeat(tier_bytes[choice, tier], counts) - tier_bytes[:, tier]
            useful = np.flatnonzero(self.legal & (relief > 0))
            own = choice[table[useful]]
            change = tier_bytes[useful] - tier_bytes[own]
            room = np.where(over > 0, 0.0, np.maximum(self.fill - used, 0.0))
            harmless = (change <= room).all(axis=1)
            useful, own = useful[harmless], own[harmless]
            ratio = np.full(len(priced), np.inf)
            ratio[useful] = (priced[useful] - priced[own]) / relief[useful]
            better = self._relieved(choice, ratio, tier, float(over[tier]))
            if better is None:
                break
            choice = better
        return choice

    def _relieved(
        self, choice: Ints, ratio: Floats, tier: int, needed: float
    ) -> Ints | None:
        """Make the switches of best ratio until `needed` is relieved."""
        best = first_least(ratio, self.problem.options.start)
        order = np.argsort(ratio[best], kind="stable")
        tier_bytes, used = self.totals.tier_bytes, self._used(choice)
        result, relieved = choice.copy(), 0.0
        for bundle in order:
            option = best[bundle]
            if not np.isfinite(ratio[option]) or relieved >= needed:
                break
            change = tier_bytes[option] - tier_bytes[choice[bundle]]
            # No tier may be relieved by overfilling another, or by filling one that is
            # too full already: repairs would go in circles.
            if ((used + change > self.fill) & (change > 0)).any():
                continue
            used += change
            relieved -= change[tier]
            result[bundle] = option
        return result if relieved > 0 else None

    def _use_room(self, choice: Ints) -> Ints:
        """Switch bundles to cheaper options as long as the tiers have room for them."""
        for _ in range(self.params.room_passes):
            better = self._cheaper(choice)
            if np.array_equal(better, choice):
                break
            choice = better
        return choice

    def _cheaper(self, choice: Ints) -> Ints:
        """Make the switches of most seconds saved per byte that fit."""
        menu, tier_bytes = self.problem.options, self.totals.tier_bytes
        seconds = self.totals.seconds
        gain = np.repeat(seconds[choice], np.diff(menu.start)) - seconds
        useful = np.flatnonzero(self.legal & (gain > 0))
        # By the tier that grows most: bytes are shares of each tier, and the scarcest
        # one ends the switches.
        change = tier_bytes[useful] - tier_bytes[choice[menu.table[useful]]]
        grown = np.maximum(change, 0.0).max(axis=1)
        ratio = np.full(len(seconds), np.inf)
        ratio[useful] = -gain[useful] / (grown + NO_SHARE)
        best = first_least(ratio, menu.start)
        used = self._used(choice)
        result, misses = choice.copy(), 0
        for bundle in np.argsort(ratio[best], kind="stable"):
            option = best[bundle]
            if not np.isfinite(ratio[option]) or misses > self.params.misses:
                break
            change = tier_bytes[option] - tier_bytes[choice[bundle]]
            if (used + change <= self.fill).all():
                used += change
                result[bundle] = option
            else:
                misses += 1
        return result
