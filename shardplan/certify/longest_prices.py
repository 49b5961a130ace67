"""The best prices of longest items, seconds and bytes: one linear program.

Its columns are shares of options, the slowest rank of each phase, and what is on all
ranks; its duals are the prices. Of large menus it has some options to begin with, and
others where its prices make them cheaper. One class of ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.certify.oracle import PoolOracle, legal_prices
from shardplan.certify.rounds import best_prices, phase_peaks
from shardplan.certify.rows import ProgramRows
from shardplan.certify.tolerances import LEAST_SHARE, PRICE_DIGITS
from shardplan.certify.verify import Box, open_menu, option_costs, round_bound
from shardplan.problems.totals import first_least

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.certify.kelley import Clock
    from shardplan.certify.relaxed import Relaxed
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.certificate import Prices

_MOST_OPTIONS, _MOST_COLUMNS = 100_000, 5_000
"""Options above which the program is not worth its time, and those that it looks at at
once."""
_WAYS = (0.0, 0.01, 0.1, 1.0)
"""Prices of longest items at which options are cheap that it begins with."""
_PRICINGS = 8
"""Programs of one menu, each with the options that are cheaper by those before."""
_CHEAPER = 1e-3
"""Share of all tables' costs that other options must save to become columns."""
_MOST_ROUNDS = 3
"""Programs, each without the options that those before exclude."""
_STALLED = 0.95
"""A program that leaves more than this share of the options is the last one."""
_BELOW_ONE = 1e-8
"""How far below 1 prices of a phase add up: more than rounding their digits adds."""


def longest_rounds(
    relaxed: Relaxed, limit: float, stop: Clock | None
) -> tuple[Prices, ...]:
    """Return rounds with prices of longest items; none where they do not apply.

    Parameters
    ----------
    limit : float
        Plans that are not faster do not matter [s].
    """
    if relaxed.num_classes > 1 or len(relaxed) > _MOST_OPTIONS or not limit < np.inf:
        return ()
    box = Box.whole(relaxed.num_dimensions, limit)
    menu = open_menu(relaxed, box, None)
    rounds: list[Prices] = []
    while len(rounds) < _MOST_ROUNDS and not menu.has_empty_bundle:
        prices = _best_prices(menu, limit, stop)
        if prices is None:
            break
        rounds.append(prices)
        left = ~(round_bound(menu, prices, box).given >= limit)
        menu = menu.select(left)
        if left.mean() > _STALLED:
            break
    return tuple(rounds)


def _best_prices(menu: Relaxed, limit: float, stop: Clock | None) -> Prices | None:
    """Solve the program of a menu, or of its options that its prices make cheapest."""
    if len(menu) <= _MOST_COLUMNS:
        return LongestProgram(menu, limit).solve(stop)
    columns, best = _first_columns(menu), None
    for _ in range(_PRICINGS):
        prices = LongestProgram(menu.select(columns), limit).solve(stop)
        if prices is None:
            break
        best, cost = prices, option_costs(menu, prices)
        least = first_least(cost, menu.start)
        known = first_least(np.where(columns, cost, np.inf), menu.start)
        saved = cost[known] - cost[least]
        if saved.sum() <= _CHEAPER * cost[known].sum():
            break
        columns[least] = True
    return best


def _first_columns(menu: Relaxed) -> Bools:
    """Options that are cheap at some prices of longest items, or small (O,)."""
    cost, longest = option_costs(menu, best_prices(menu)), phase_peaks(menu)
    ways = [cost + way * longest.sum(axis=1) for way in _WAYS]
    columns = np.zeros(len(menu), dtype=bool)
    for values in (*ways, PoolOracle.of(menu).shares.sum(axis=1)):
        columns[first_least(values, menu.start)] = True
    return columns


class LongestProgram:
    """The program of a menu: O options, B bundles, D phases.

    Parameters
    ----------
    relaxed : Relaxed
        One class of ranks, no empty bundle.
    unit : float
        What times are counted in [s].
    """

    def __init__(self, relaxed: Relaxed, unit: float) -> None:
        self._relaxed, self._unit = relaxed, unit
        self._oracle = PoolOracle.of(relaxed)
        self._rows = ProgramRows()
        size, phases = len(relaxed), relaxed.num_dimensions
        self._slowest = size + np.arange(phases)
        self._alike = self._slowest + phases
        self._bundles()
        self._seconds = self._mean_loads()
        self._labels, self._longest = self._longest_items()
        self._pools = self._room()

    def solve(self, stop: Clock | None) -> Prices | None:
        """Return the best prices; None if HiGHS does not find them, or not in time."""
        columns = int(self._alike[-1]) + 1
        cost = np.zeros(columns)
        cost[self._slowest] = 1.0
        model = Highs("the longest items of a bound", cost, 0.0, np.full(columns, 1e6))
        self._rows.give(model, columns)
        left_s = stop.remaining_s() if stop else np.inf
        if model.run(time_limit_s=left_s) is not End.OPTIMAL:
            return None
        return self._prices(np.maximum(model.row_duals, 0.0))

    def _add(
        self, row: ArrayLike, column: ArrayLike, value: ArrayLike, least: Floats
    ) -> slice:
        """Add rows that must be at least something; return which they are."""
        first = self._rows.add(least, row, column, value)
        return slice(first, first + len(least))

    def _bundles(self) -> None:
        """Let every bundle have shares of options that sum to 1, or more."""
        relaxed = self._relaxed
        options = np.arange(len(relaxed))
        ones = np.ones(relaxed.num_bundles)
        self._add(relaxed.bundle, options, np.ones(len(relaxed)), ones)

    def _mean_loads(self) -> slice:
        """Let no phase be below its mean load, nor below what is on all ranks."""
        phases = len(self._slowest)
        base = self._base()
        own = []
        for columns, load in (
            (self._slowest, self._oracle.seconds * (self._oracle.unit / self._unit)),
            (self._alike, base),
        ):
            option, phase = np.nonzero(load)
            own.append(
                self._add(
                    np.r_[np.arange(phases), phase],
                    np.r_[columns, option],
                    np.r_[np.ones(phases), -load[option, phase]],
                    np.zeros(phases),
                )
            )
        return own[0]

    def _base(self) -> Floats:
        """Seconds that options put on every rank (O, D) [unit]."""
        units = np.eye(len(self._slowest))
        some = [self._relaxed.base(unit) for unit in units]
        return np.stack(some, axis=1) / self._unit

    def _longest_items(self) -> tuple[Ints, slice]:
        """Let no phase be below a longest item and what others put on all ranks.

        Returns
        -------
        int array
            Bundle times D and phase of each row.
        slice
            Their rows.
        """
        phases, base = len(self._slowest), self._base()
        more = np.maximum(phase_peaks(self._relaxed) / self._unit, base) - base
        option, phase = np.nonzero(more)
        label = self._relaxed.bundle[option] * phases + phase
        labels, row = np.unique(label, return_inverse=True)
        every, ones = np.arange(len(labels)), np.ones(len(labels))
        own = self._add(
            np.r_[every, every, row],
            np.r_[self._slowest[labels % phases], self._alike[labels % phases], option],
            np.r_[ones, -ones, -more[option, phase]],
            np.zeros(len(labels)),
        )
        return labels, own

    def _room(self) -> slice:
        """Let no tier hold more than it can."""
        shares = self._oracle.shares
        option, tier = np.nonzero(shares)
        full = np.full(shares.shape[1], -1.0)
        return self._add(tier, option, -shares[option, tier], full)

    def _prices(self, duals: Floats) -> Prices:
        """Turn duals into prices; those of a phase end up just below 1."""
        phases, labels = len(self._slowest), self._labels
        shares, longest = duals[self._seconds], duals[self._longest]
        spent = shares + np.bincount(labels % phases, longest, phases)
        scale = (1.0 - _BELOW_ONE) / np.maximum(spent, 1.0)
        pools = np.zeros((1, 3))
        pools[0, self._oracle.tiers] = duals[self._pools] * self._unit
        plain = legal_prices(self._relaxed, (shares * scale)[None], pools)
        longest = np.round(longest * scale[labels % phases], PRICE_DIGITS)
        some = np.flatnonzero(longest > LEAST_SHARE)
        prices = tuple(
            (int(labels[i] // phases), int(labels[i] % phases), float(longest[i]))
            for i in some
        )
        return plain.model_copy(update={"longest": prices})
