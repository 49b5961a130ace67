"""Annealing of all ranks at once: exchanges, divisions and re-cuts in rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.moves.proposals import Proposer
from shardplan.solvers.search.moves.recut import Recutter
from shardplan.solvers.search.moves.repartition import Repartitioner, disjoint
from shardplan.solvers.search.moves.variants import VariantChanger
from shardplan.solvers.search.params import SEARCH_DEFAULTS, SearchParams
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.tolerances import LEAST_GAIN, NO_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Assignment
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.moves.repartition import Divisions
    from shardplan.solvers.search.state import State


class Annealer:
    """Improves a state in place.

    Every round deals out units anew in groups of ranks, at random or the worst with
    others, and re-cuts some bundles: some with large regret, some of the worst ranks,
    some at random. With few ranks, pairs of them are divided anew as well.

    Parameters
    ----------
    regret, excess : float arrays (O,)
        See `Recutter`.
    report : callable
        Is shown the state after every round.
    """

    def __init__(
        self,
        state: State,
        regret: Floats,
        excess: Floats,
        rng: np.random.Generator,
        stop: Stop,
        report: Callable[[State], None],
        params: SearchParams = SEARCH_DEFAULTS,
    ) -> None:
        self.state, self._params = state, params.anneal
        self._recutting = params.recutting
        self._rng, self._stop, self._report = rng, stop, report
        self._noise = Noise(rng)
        self._divider = Repartitioner(state, rng, self._noise)
        shares = params.anneal.exchange_shares
        self._exchanger = Exchanger(state, rng, self._noise, shares)
        self._at_scale = len(state.load) > params.scale_ranks
        self.limit(regret, excess)
        anneal = params.anneal
        self._group = anneal.group_at_scale if self._at_scale else anneal.group
        self._top = np.full(state.num_times, np.inf)
        self._num_changes = max(anneal.fewest_changes, len(state.load))

    def limit(self, regret: Floats, excess: Floats) -> None:
        """Say which options to try from now on; see `Recutter`."""
        self._regret = regret
        self._recutter = Recutter(
            self.state, regret, excess, self._rng, self._recutting
        )
        self._proposer = Proposer(self.state, self._recutter, self._rng, self._noise)
        self._changer = VariantChanger(
            self.state, self._recutter.price, excess, self._rng, self._noise
        )

    def insert(self, bundles: list[int], choice: Ints) -> bool:
        """Put bundles that are out where they hurt least; False if one cannot be.

        Parameters
        ----------
        choice : int array (B,)
            The option that each bundle should have.
        """
        for bundle in bundles:
            penalty = self._penalty(0.0)
            if not self._recutter.insert(bundle, int(choice[bundle]), penalty):
                return False
        return True

    def redirect(self, bundles: list[int], choice: Ints) -> None:
        """Give bundles other options, where these hurt least, if there is a place.

        Parameters
        ----------
        choice : int array (B,)
            The option that each bundle should have.
        """
        penalty = self._penalty(0.0)
        for bundle in bundles:
            option, places = self.state.take(bundle)
            if not self._recutter.insert(bundle, int(choice[bundle]), penalty):
                self.state.put(bundle, option, places)

    def return_to(self, assignment: Assignment) -> None:
        """Put everything where an assignment has it, what is out as well."""
        state = self.state
        for bundle, option in enumerate(assignment.option.tolist()):
            places = assignment.places[bundle]
            is_there = state.option[bundle] == option
            if not (is_there and np.array_equal(state.places_of(bundle), places)):
                if state.option[bundle] >= 0:
                    state.take(bundle)
                state.put(bundle, option, places)

    def cycle(self, rounds: int, hot: float, cold: float, settle: int = 0) -> None:
        """Anneal from one temperature to another, then quench.

        By default the first two fifths press on the total, the rest more and more on
        the highest ranks.

        Parameters
        ----------
        settle : int
            Rounds before the first re-cut.
        """
        for index in range(rounds):
            if self._stop.now():
                return
            progress = index / max(rounds - 1, 1)
            if index % self._params.level_rounds == 0:
                penalty = self._penalty(self._tail(progress))
            temperature = hot * (cold / hot) ** progress
            self._move_units(penalty, temperature)
            if self._params.variants:
                self._changer.change_some(self._num_changes, penalty, temperature)
            if self._params.recut and index >= settle:
                self._recut_some(penalty, temperature)
            self._told()
        if self._params.variants:
            self._fill()
        if self._params.quench:
            self._quench()

    def _tail(self, progress: float) -> float:
        """Where the levels are, between the first and the last ones."""
        tail = self._params.tail_slope * progress - self._params.tail_delay
        return min(1.0, max(0.0, tail))

    def _move_units(self, penalty: Penalty, temperature: float) -> None:
        """Exchange and divide the shards of ranks, with options as they are."""
        params = self._params
        if params.random_groups:
            self._exchange(self._random_groups(), penalty, temperature)
        if params.worst_groups:
            self._exchange(self._worst_groups(penalty), penalty, temperature)
        if params.pairs and len(self.state.load) <= params.pair_ranks:
            self._divide_pairs(penalty, temperature)

    def promise(self) -> tuple[bool, float]:
        """How promising the state is, for comparison: the less, the better.

        The highest few ranks do not count: they may still be relieved.
        """
        load = self.state.load[:, :-1]
        high = np.quantile(load, self._params.promise_quantile, axis=0)
        return not self.state.fits(), float(high.sum())

    def base_time(self) -> Floats:
        """Time that wider scopes put on each rank (W,)."""
        state = self.state
        units = np.concatenate([np.array(u, dtype=np.int64) for u in state.units])
        rank = state.unit_rank[units]
        time = state.unit_vector[units, state.rank_class[rank], :-3].sum(axis=1)
        own = np.bincount(rank, time, minlength=len(state.load))
        return np.asarray(state.load[:, :-1].sum(axis=1) - own)

    def worst_ranks(self) -> Ints:
        """List the rank with most time; in large clusters also those about as slow.

        Where shards of equal length meet, many ranks are.
        """
        time = self.state.load[:, :-1].sum(axis=1)
        if not self._at_scale:
            return np.array([np.argmax(time)])
        mean, top = float(time.mean()), float(time.max())
        return np.flatnonzero(time >= top - self._params.as_slow * (top - mean))

    def on_rank(self, rank: int) -> list[int]:
        """Bundles with units on a rank."""
        state = self.state
        units = state.slots[rank, : state.count[rank]]
        return [int(bundle) for bundle in np.unique(state.unit_bundle[units])]

    def _penalty(self, tail: float) -> Penalty:
        """Levels between somewhat below a balanced plan at the bound and the maxima.

        Low levels penalise all time, and so the total; high ones only the highest
        ranks. The maxima are the lowest seen, for a hot state has some odd ranks.
        """
        load = self.state.load[:, :-1]
        mean, top = load.mean(axis=0), load.max(axis=0)
        if top.sum() < self._top.sum():
            self._top = top
        params = self._params
        low = mean * ((1.0 - params.level_margin) / max(float(mean.sum()), NO_SHARE))
        above = np.maximum(np.minimum(top, self._top) - mean, 0.0)
        high = mean + params.level_tail * above
        return Penalty(low + tail * (high - low), params.memory_penalty)

    def _fill(self) -> None:
        """Put into free memory what saves time, on ranks of any load."""
        penalty = self._penalty(0.0)
        passes = self._params.fill_passes * len(self.state.option) // self._num_changes
        for _ in range(min(passes, self._params.most_fill_passes)):
            if self._stop.now():
                return
            self._changer.change_some(self._num_changes, penalty, 0.0)
        self._told()

    def _told(self) -> None:
        for part in (
            self._divider,
            self._exchanger,
            self._recutter,
            self._proposer,
            self._changer,
        ):
            self._stop.work += part.evaluated
            part.evaluated = 0
        self._report(self.state)

    def _exchange(self, groups: Ints, penalty: Penalty, temperature: float) -> None:
        if groups.size:
            self._exchanger.exchange(groups, penalty, temperature)

    def _random_groups(self) -> Ints:
        """Divide the ranks into groups at random; some are left out."""
        world = len(self.state.load)
        size = min(world, self._group)
        order = self._rng.permutation(world)
        return order[: world - world % size].reshape(-1, size)

    def _worst_groups(self, penalty: Penalty) -> Ints:
        """Put the worst of the ranks into groups with several times as many others."""
        parts = self._params.worst_per_group
        world, some = len(self.state.load), max(1, self._group // parts)
        num = world // max(self._params.worst_part, parts) // some
        order = np.argsort(-penalty.of_ranks(self.state.load), kind="stable")
        worst, others = order[: num * some], order[num * some :]
        others = self._rng.permutation(others)[: (parts - 1) * len(worst)]
        groups = [worst.reshape(num, some), others.reshape(num, (parts - 1) * some)]
        return np.concatenate(groups, axis=1)

    def _divide_pairs(self, penalty: Penalty, temperature: float) -> None:
        half = len(self.state.load) // 2
        order = self._rng.permutation(len(self.state.load))
        rank, other = order[:half], order[half : 2 * half]
        found = self._divider.best(
            rank, other, penalty, temperature, self._params.pair_units
        )
        self._apply(found)

    def _apply(self, found: Divisions) -> None:
        pair, column = np.nonzero(found.goes)
        units = found.units[pair, column]
        here = self.state.unit_rank[units] == found.rank[pair]
        self.state.move(units, np.where(here, found.other[pair], found.rank[pair]))

    def _recut_some(self, penalty: Penalty, temperature: float) -> None:
        state, rng = self.state, self._rng
        world = len(state.load)
        few = self._params.fewest_recuts + int(world * self._params.recut_share)
        bundles = rng.integers(len(state.option), size=2 * few)
        regret = self._regret[state.option[bundles]]
        costly = bundles[np.argsort(-regret, kind="stable")[: few // 2]]
        each = penalty.of_ranks(state.load)
        worst = np.argsort(-each, kind="stable")[: few // 2]
        ranks = np.r_[worst, rng.integers(world, size=few // 2)]
        ranks = ranks[state.count[ranks] > 0]
        slot = (rng.random(len(ranks)) * state.count[ranks]).astype(np.int64)
        loaded = state.unit_bundle[state.slots[ranks, slot]]
        some = rng.permutation(np.unique(np.r_[costly, bundles[:1], loaded]))
        self._proposer.recut(some, penalty, temperature)

    def _quench(self) -> None:
        """Relieve the worst ranks until nothing helps: parts, pairs, then re-cuts."""
        params = self._params
        for _ in range(params.quench_steps):
            if self._stop.now():
                return
            load = self.state.load[:, :-1]
            mean, top = load.mean(axis=0), load.max(axis=0)
            levels = mean + params.quench_tail * (top - mean)
            penalty = Penalty(levels, params.memory_penalty)
            each = penalty.of_ranks(self.state.load)
            worst = np.argsort(-each, kind="stable")[: params.quench_ranks]
            worst = worst[each[worst] > 0.0]
            if not (
                self._deal_from(worst, penalty)
                or self._relieve(worst, penalty)
                or (self._params.recut and self._recut_on(worst, penalty))
            ):
                return
            self._told()

    def _deal_from(self, worst: Ints, penalty: Penalty) -> bool:
        """Deal out parts of the worst ranks among many others, if that helps."""
        world, size = (
            len(self.state.load),
            min(len(self.state.load), self._params.group),
        )
        before = penalty.of_ranks(self.state.load).sum()
        others = np.setdiff1d(self._rng.permutation(world), worst, assume_unique=True)
        num = max(1, min(self._params.quench_deals, len(others) // size))
        for index in range(num):
            some = others[index * size : (index + 1) * size][: size - len(worst)]
            group = np.concatenate([worst, some])
            self._exchange(group[None], penalty, 0.0)
        return bool(penalty.of_ranks(self.state.load).sum() < before - LEAST_GAIN)

    def _relieve(self, worst: Ints, penalty: Penalty) -> bool:
        """Divide the worst ranks with some partners, if that helps."""
        state, world = self.state, len(self.state.load)
        order = np.argsort(state.load[:, :-1].sum(axis=1), kind="stable")
        half = self._params.quench_partners // 2
        random = self._rng.integers(world, size=half)
        others = np.union1d(order[:half], random)
        rank, other = np.repeat(worst, len(others)), np.tile(others, len(worst))
        apart = rank != other
        free = self._params.pair_units
        found = self._divider.best(rank[apart], other[apart], penalty, 0.0, free)
        found = found.take(found.change < -LEAST_GAIN)
        found = found.take(np.argsort(found.change, kind="stable"))
        found = found.take(disjoint(found, world))
        self._apply(found)
        return len(found.rank) > 0

    def _recut_on(self, worst: Ints, penalty: Penalty) -> bool:
        """Re-cut bundles of the worst ranks until one helps."""
        state = self.state
        self._recutter.look_around()
        units = state.slots[worst[: self._params.quench_recut_ranks]]
        bundles = np.unique(state.unit_bundle[units[units > 0]])
        some = self._rng.permutation(bundles)[
            : self._params.quench_recut_tries
        ].tolist()
        return any(self._recutter.recut(bundle, penalty, 0.0) for bundle in some)
