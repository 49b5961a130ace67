"""Refute a threshold: prices that leave no option for a plan that is faster."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import ClassOracle, PoolOracle, legal_prices
from shardplan.certify.params import (
    PROOF_DEFAULTS,
    PlaneParams,
    ProofParams,
    RefuteParams,
)
from shardplan.certify.tolerances import LEAST_UNIT_S
from shardplan.certify.verify import (
    Box,
    open_menu,
    option_costs,
    price_key,
    price_sums,
    round_bound,
)
from shardplan.problems.totals import first_least
from shardplan.records.certificate import Prices

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from shardplan.certify.kelley import Clock
    from shardplan.certify.relaxed import Relaxed
    from shardplan.certify.verify import RoundBound
    from shardplan.records.arrays import Bools, Floats


_KEPT_BOUNDS = 32
"""Bounds of rounds that are kept: of two menus, at most prices."""
_NO_THRESHOLD_S = 1e100
"""As good as no threshold, yet options are excluded by it [s]."""


def best_prices(
    relaxed: Relaxed,
    start: Prices | None = None,
    *,
    enough: float = float("inf"),
    stop: Clock | None = None,
    params: PlaneParams = PROOF_DEFAULTS.cutting_planes,
) -> Prices:
    """Find the prices of the largest bound on a menu without empty bundles.

    Parameters
    ----------
    start : Prices, optional
        Where to begin.
    enough : float
        A bound of at least this will do [s].
    """
    if relaxed.num_classes > 1:
        return _class_prices(relaxed, enough, stop, params)
    function = PoolOracle.of(relaxed)
    size = len(function.tiers)
    first = np.zeros(size) if start is None else function.from_prices(relaxed, start)
    domain = Domain(np.full(size, np.inf))
    enough = enough / function.unit
    found = maximise(function, domain, first, params, enough=enough, stop=stop)
    return function.to_prices(relaxed, found.prices)


def _class_prices(
    relaxed: Relaxed, enough: float, stop: Clock | None, params: PlaneParams
) -> Prices:
    """Several classes: shares of each phase are open as well."""
    classes, phases = relaxed.num_classes, relaxed.num_dimensions
    simplices = [np.arange(classes) * phases + d for d in range(phases)]
    used = (relaxed.items.tier_bytes > 0).any(axis=0) & (relaxed.room > 0)
    upper = np.r_[np.ones(classes * phases), np.where(used, np.inf, 0.0).ravel()]
    shares = np.tile(relaxed.class_ranks[:, None], (1, phases))
    start = np.r_[(shares / relaxed.class_ranks.sum()).ravel(), np.zeros(classes * 3)]
    unit = max(ClassOracle(relaxed)(start).value, LEAST_UNIT_S)
    function = ClassOracle(relaxed, unit)
    domain = Domain(upper, simplices)
    enough = enough / unit
    found = maximise(function, domain, start, params, enough=enough, stop=stop)
    share, pools = function.split(found.prices)
    return legal_prices(relaxed, share, pools * unit)


def phase_peaks(relaxed: Relaxed) -> Floats:
    """Seconds per phase of each option's largest item (O, D)."""
    units = np.eye(relaxed.num_dimensions)
    return np.stack([relaxed.peak(unit) for unit in units], axis=1)


class RankLoad(NamedTuple):
    """What a rank bears if every bundle takes its cheapest option at some prices.

    Attributes
    ----------
    mean : float array (D,)
        Mean seconds per rank and phase.
    base : float array (D,)
        The part of it that is on every rank alike.
    """

    mean: Floats
    base: Floats

    @property
    def own(self) -> Floats:
        """Mean seconds per rank of items that are on some ranks only (D,)."""
        return self.mean - self.base

    @classmethod
    def of(cls, relaxed: Relaxed, prices: Prices, cost: Floats) -> Self:
        """Sum up the options that are cheapest by a cost (O,)."""
        choice = first_least(cost, relaxed.start)
        units = np.eye(relaxed.num_dimensions)
        base = np.array([relaxed.base(unit)[choice].sum() for unit in units])
        if relaxed.num_classes == 1:
            seconds = PoolOracle.of(relaxed)
            return cls(seconds.seconds[choice].sum(axis=0) * seconds.unit, base)
        function = ClassOracle(relaxed)
        shares = np.array(prices.ranks) * relaxed.class_ranks[:, None]
        per_byte = np.array([prices.hbm, prices.ddr, prices.ssd]).T
        where = np.r_[shares.ravel(), (per_byte * relaxed.room).ravel()]
        slope = function(where).slope[: shares.size].reshape(shares.shape)
        weights = relaxed.class_ranks / relaxed.class_ranks.sum()
        return cls(np.asarray(weights @ slope), base)


class Lean(NamedTuple):
    """How to turn prices into those that leave something over.

    Attributes
    ----------
    subset : float array (D,)
        1 for phases of which a share has no price, 0 for others.
    share : float
    scale : float
        What becomes of prices of bytes.
    """

    subset: Floats
    share: float
    scale: float

    def of(self, prices: Prices) -> Prices:
        """Return the lean prices."""
        ranks = np.array(prices.ranks) * (1.0 - self.share * self.subset)
        pools = np.array([prices.hbm, prices.ddr, prices.ssd]) * self.scale
        hbm, ddr, ssd = (tuple(row) for row in pools.tolist())
        return Prices.model_construct(
            ranks=tuple(map(tuple, ranks.tolist())), hbm=hbm, ddr=ddr, ssd=ssd
        )


def lean_ways(
    relaxed: Relaxed, loads: RankLoad, params: RefuteParams, *, hard: bool
) -> list[Lean]:
    """List subsets of phases to leave over: those in which items raise the mean load.

    The rank of a long item then counts with all that it must hold. The subsets are
    those of most options, the first ones first; then all phases.
    """
    if relaxed.has_empty_bundle:
        return []
    dimensions = np.arange(relaxed.num_dimensions)
    long = phase_peaks(relaxed) > loads.own
    everything = int(long.any(axis=0) @ (1 << dimensions))
    codes, count = np.unique(long @ (1 << dimensions), return_counts=True)
    useful = (codes > 0) & (codes != everything)
    subsets = codes[useful][np.argsort(-count[useful], kind="stable")]
    most = None if hard else params.quick_subsets
    shares = params.subset_shares if hard else (1.0,)
    ways: list[tuple[int, Sequence[float]]]
    ways = [(int(code), shares) for code in subsets[:most]]
    if everything:
        ways.append((everything, params.shares if hard else params.quick_shares))
    found = []
    for code, some in ways:
        subset = ((code >> dimensions) & 1).astype(float)
        for share in some:
            left = float(loads.mean @ (1.0 - share * subset) / loads.mean.sum())
            found.append(Lean(subset, share, left))
    return found


def undominated(
    relaxed: Relaxed, loads: RankLoad, cost: Floats, *, hard: bool
) -> Bools:
    """Leave out options that hardly any prices prefer to another of their bundle.

    An option is compared with two others, the cheapest and the cheapest of short
    items, by its cost, its bytes, and by how much its items exceed what is left of
    the mean load of a rank after what every rank bears. One class of ranks.

    Parameters
    ----------
    loads : RankLoad
    cost : float array (O,)
        Value that no plan with an option goes below at the prices [s].
    hard : bool
        Compare the total seconds of every phase as well.
    """
    used = (relaxed.items.tier_bytes > 0).any(axis=0)
    totals = relaxed.items.tier_bytes[:, used]
    if hard:
        totals = np.c_[totals, relaxed.items.cost[:, 0]]
    peaks = np.maximum(phase_peaks(relaxed), loads.own)
    longest = relaxed.peak(np.ones(relaxed.num_dimensions))
    short = cost.min() - loads.base.sum()
    figures = np.c_[
        np.add.reduceat(totals * relaxed.rank_times[:, None], relaxed.items.start[:-1]),
        peaks,
        np.maximum(longest, short),
    ]
    keep = np.ones(len(relaxed), dtype=bool)
    for some in (keep, longest <= short):
        best = first_least(np.where(keep & some, cost, np.inf), relaxed.start)
        rival = best[relaxed.bundle]
        worse = keep[rival] & (rival != np.arange(len(relaxed))) & (cost >= cost[rival])
        for figure in figures.T:
            worse &= figure >= figure[rival]
        keep = keep & ~worse
    return keep


class Refuter:
    """Tries to show that no plan is faster than a threshold.

    Parameters
    ----------
    prices : Prices
        Those of the bound without a threshold; the first round.
    hard : bool
        Take more rounds and kinds of prices.

    Attributes
    ----------
    work : int
        Options looked at, summed over all rounds.
    menu : Relaxed
        Options that matter to thresholds up to the highest one tried so far.
    """

    def __init__(
        self,
        relaxed: Relaxed,
        prices: Prices,
        stop: Clock | None,
        params: ProofParams = PROOF_DEFAULTS,
        *,
        hard: bool,
    ) -> None:
        self._whole = relaxed
        self._stop = stop
        self._planes, self._params = params.cutting_planes, params.refuting
        own = self._params
        self._hard = hard or len(relaxed) <= own.thorough_options
        self._worth = 1.0 if self._hard else own.worth
        self._most_rounds = own.most_rounds if hard else own.quick_rounds
        self._box = Box.whole(relaxed.num_dimensions, _NO_THRESHOLD_S)
        self._first = prices
        given = round_bound(relaxed, prices, self._box).given
        longest = relaxed.peak(np.ones(relaxed.num_dimensions))
        self._needs = given, longest
        self._loads = RankLoad.of(relaxed, prices, given)
        self._horizon = 0.0
        self._bounds: OrderedDict[Hashable, RoundBound] = OrderedDict()
        self._lean: tuple[Hashable, list[Prices]] = None, []
        self.work = 0
        self.menu = relaxed

    def left_of_all(self, threshold: float) -> tuple[Relaxed, tuple[Prices, ...]]:
        """Return what the first prices leave of the whole menu, and those."""
        _, rounds = self.remainder(threshold)
        box = Box.whole(self._whole.num_dimensions, threshold)
        menu = open_menu(self._whole, box, None)
        for prices in rounds:
            if menu.has_empty_bundle:
                break
            menu = menu.select(~(round_bound(menu, prices, box).given >= threshold))
        return menu, rounds

    def remainder(self, threshold: float) -> tuple[Relaxed, tuple[Prices, ...]]:
        """Return what the first prices leave of `menu`, and those that matter."""
        if threshold > self._horizon:
            self._look_up_to(self._params.foresight * threshold)
        keep = np.ones(len(self.menu), dtype=bool)
        rounds: list[Prices] = []
        for prices, given in zip(self._prices, self._given, strict=True):
            left = keep & ~(given >= threshold)
            if not rounds or np.count_nonzero(left) < self._worth * np.count_nonzero(
                keep
            ):
                rounds.append(prices)
                keep = left
        box = Box.whole(self._whole.num_dimensions, threshold)
        return open_menu(self.menu.select(keep), box, None), tuple(rounds)

    def refute(self, threshold: float) -> tuple[float, tuple[Prices, ...]]:
        """Return a value that no plan below the threshold beats, and the rounds."""
        menu, first = self.remainder(threshold)
        rounds = list(first)
        box = Box.whole(self._whole.num_dimensions, threshold)
        best = 0.0
        for _ in range(self._most_rounds):
            if menu.has_empty_bundle or self._is_over():
                break
            size = len(menu)
            prices = self._best_prices(menu, rounds[0], threshold)
            for some in (prices, *self._lean_prices(prices)):
                bound = self._bound(menu, some, box)
                self.work += len(menu)
                best = max(best, bound.value_s)
                left = ~(bound.given >= threshold)
                if some is prices or np.count_nonzero(left) / len(left) < self._worth:
                    rounds.append(some)
                    menu = menu.select(left)
                if best >= threshold or menu.has_empty_bundle or self._is_over():
                    break
            if best >= threshold or len(menu) > self._params.stalled * size:
                break
        if menu.has_empty_bundle:
            return threshold, tuple(rounds)
        return min(best, threshold), tuple(rounds)

    def _bound(self, menu: Relaxed, prices: Prices, box: Box) -> RoundBound:
        """Return `round_bound`, or what it was for the same options and prices.

        The box has no lower edges; upper ones matter to prices above 1 a phase alone.
        """
        sums = price_sums(prices.ranks, tuple(menu.class_ranks.tolist()))
        limit = box.limit if any(spent > whole for spent, whole in sums) else None
        key = menu.content, price_key(prices), limit
        found = self._bounds.pop(key, None)
        if found is None:
            found = round_bound(menu, prices, box)
        self._bounds[key] = found
        while len(self._bounds) > _KEPT_BOUNDS:
            self._bounds.popitem(last=False)
        return found

    def _lean_prices(self, prices: Prices) -> list[Prices]:
        """Return what all leans make of prices; most rounds have the first ones."""
        key = price_key(prices)
        if self._lean[0] != key:
            self._lean = key, [lean.of(prices) for lean in self._leans]
        return self._lean[1]

    def _best_prices(self, menu: Relaxed, start: Prices, enough: float) -> Prices:
        return best_prices(
            menu, start, enough=enough, stop=self._stop, params=self._planes
        )

    def _is_over(self) -> bool:
        return self._stop is not None and self._stop.now()

    def _look_up_to(self, horizon: float) -> None:
        """Forget options that matter to no threshold up to this."""
        self._horizon = horizon
        given, longest = self._needs
        keep = (given < horizon) & (longest < horizon)
        menu, given = self._whole.select(keep), given[keep]
        most = self._params.keep_options if self._hard else 0
        if menu.num_classes == 1 and not menu.has_empty_bundle and len(menu) > most:
            few = undominated(menu, self._loads, given, hard=self._hard)
            menu, given = menu.select(few), given[few]
        menu = menu.alone()
        if not menu.has_empty_bundle:
            self._prepare(menu)
        self.menu, self._prices, self._given = menu, [self._first], [given]
        self._leans = lean_ways(menu, self._loads, self._params, hard=self._hard)
        self._lean = (
            price_key(self._first),
            [lean.of(self._first) for lean in self._leans],
        )
        for prices in self._lean[1]:
            if self._is_over():
                break
            self._prices.append(prices)
            self._given.append(self._bound(menu, prices, self._box).given)

    def _prepare(self, menu: Relaxed) -> None:
        """Work out for a menu what most rounds of all thresholds ask for again."""
        option_costs(menu, self._first)
        menu.peak(np.ones(menu.num_dimensions))
        if menu.num_classes == 1:
            PoolOracle.of(menu)
