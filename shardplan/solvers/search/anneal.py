"""Simulated annealing of all ranks at once, in rounds of moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.weighted import GroupedPricer
from shardplan.solvers.search.descent import Descent
from shardplan.solvers.search.levelling import Levelling
from shardplan.solvers.search.moves.candidates import Candidates
from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.insertion import Inserter
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.moves.recut import Recutter
from shardplan.solvers.search.moves.repartition import Repartitioner
from shardplan.solvers.search.moves.swap import Swapper
from shardplan.solvers.search.moves.variants import VariantChanger
from shardplan.solvers.search.params import SEARCH_DEFAULTS, SearchParams
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.relief import Relief
from shardplan.solvers.tolerances import NO_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.state import State


class Annealer:
    """Improves a state in place.

    A round makes each move once: it exchanges parts in groups of ranks, at random and
    the worst with others, changes variants of some bundles and re-cuts a few. With few
    ranks, pairs of them are divided anew as well.

    Parameters
    ----------
    regret, excess : float arrays (O,)
        See `Candidates`.
    report : callable
        Is shown the state after every round.

    References
    ----------
    Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", 1983.
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
        anneal = params.anneal
        if not _may_recut(state):
            anneal = anneal.model_copy(update={"recut": False})
        self.state, self._params = state, anneal
        self._recutting = params.recutting
        self._rng, self._stop, self._report = rng, stop, report
        self._noise = Noise(rng)
        self._exchanger = Exchanger(state, rng, self._noise, anneal.exchange_shares)
        self._divider = Repartitioner(state, rng, self._noise, anneal.pair_units)
        self._swapper = Swapper(state, rng, self._noise)
        self._descent = Descent(state, rng, self._exchanger, self._divider, anneal)
        self.limit(regret, excess)
        at_scale = len(state.load) > params.scale_ranks
        self._group = anneal.group_at_scale if at_scale else anneal.group
        relief = Relief(state, rng, self._exchanger, self._group, anneal)
        self._relief = relief if at_scale and anneal.relief else None
        levelling = Levelling(state, self._swapper, anneal)
        self._levelling = levelling if at_scale and anneal.levelling else None
        self._top = np.full(state.num_times, np.inf)
        self._num_changes = max(anneal.fewest_changes, len(state.load))

    def limit(self, regret: Floats, excess: Floats) -> None:
        """Say which options to try from now on; see `Candidates`."""
        state, rng, noise = self.state, self._rng, self._noise
        options = Candidates(state, rng, regret, excess, self._recutting)
        self._regret, self._options = regret, options
        self._inserter = Inserter(state, rng, options)
        self._recutter = Recutter(state, rng, noise, options, self._inserter)
        self._changer = VariantChanger(state, rng, noise, options.price, excess)

    def keep_options(self) -> None:
        """Re-cut to other places only, until `limit` is called again."""
        self._options.only_places = True

    def insert(self, bundles: list[int], choice: Ints) -> bool:
        """Put bundles that are out where they hurt least; False if one cannot be.

        Parameters
        ----------
        choice : int array (B,)
            The option that each bundle should have.
        """
        for bundle in bundles:
            penalty = self._penalty(0.0)
            if not self._inserter.insert(bundle, int(choice[bundle]), penalty):
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
            if not self._inserter.insert(bundle, int(choice[bundle]), penalty):
                self.state.put(bundle, option, places)

    def cycle(self, rounds: int, hot: float, cold: float, settle: int = 0) -> None:
        """Anneal from one temperature to another, then descend.

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
                levels = self._relief.penalty(progress) if self._relief else penalty
            # Geometric, for gains range from whole shards to the last thousandth of a
            # rank's time: each order of magnitude has the same number of rounds.
            temperature = hot * (cold / hot) ** progress
            self._move_units(levels, temperature)
            if self._params.variants:
                self._change_variants(penalty, temperature)
            if self._params.recut and index >= settle:
                self._recutter.make(self._to_recut(penalty), penalty, temperature)
            self._told()
        if self._params.variants:
            self._fill()
        if self._params.descent:
            self._descend()

    def _tail(self, progress: float) -> float:
        """Where the levels are, between the first and the last ones."""
        tail = self._params.tail_slope * progress - self._params.tail_delay
        return min(1.0, max(0.0, tail))

    def _move_units(self, penalty: Penalty, temperature: float) -> None:
        """Exchange and divide the shards of ranks, with options as they are."""
        params = self._params
        if self._relief:
            self._relief.make(penalty, temperature)
            return
        # Random groups keep all ranks in balance with each other. The worst alone
        # decide the objective, so they are exchanged once more.
        if params.random_groups:
            self._exchanger.make(self._random_groups(), penalty, temperature)
        if params.worst_groups:
            self._exchanger.make(self._worst_groups(penalty), penalty, temperature)
        # An exchange gives each rank one part in return for one. Few ranks need finer
        # divisions than that; many find them among their many partners.
        if params.pairs and len(self.state.load) <= params.pair_ranks:
            self._divider.make(self._random_pairs(), penalty, temperature)

    def _change_variants(self, penalty: Penalty, temperature: float) -> None:
        """Choose variants of some bundles at random."""
        bundles = self._changer.bundles
        if len(bundles):
            order = self._rng.permutation(len(bundles))[: self._num_changes]
            self._changer.make(bundles[order], penalty, temperature)

    def promise(self) -> tuple[bool, float]:
        """How promising the state is, for comparison: the less, the better.

        The highest few ranks do not count: they may still be relieved.
        """
        load = self.state.load[:, :-1]
        high = np.quantile(load, self._params.promise_quantile, axis=0)
        return not self.state.fits(), float(high.sum())

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
        return Penalty(
            low + tail * (high - low), params.memory_penalty, self.state.ranks_per_pool
        )

    def _fill(self) -> None:
        """Put into free memory what saves time, on ranks of any load."""
        # At low levels all ranks are penalised, so time saved anywhere counts; without
        # noise, for the last temperature still leaves many caches a bit off.
        penalty = self._penalty(0.0)
        passes = self._params.fill_passes * len(self.state.option) // self._num_changes
        for _ in range(min(passes, self._params.most_fill_passes)):
            if self._stop.now():
                return
            self._change_variants(penalty, 0.0)
        self._told()

    def _descend(self) -> None:
        if self._levelling:
            for _ in self._levelling.steps(self._recutter):
                self._told()
                if self._stop.now():
                    return
        for _ in range(self._params.descent_steps):
            if self._stop.now() or not self._descent.step(self._recutter):
                return
            self._told()

    def _told(self) -> None:
        for part in (
            self._exchanger,
            self._divider,
            self._swapper,
            self._changer,
            self._recutter,
            self._inserter,
        ):
            self._stop.work += part.evaluated
            part.evaluated = 0
        # Every round, for a state is at times best before it has cooled down.
        self._report(self.state)

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

    def _random_pairs(self) -> Ints:
        """Divide the ranks into pairs at random, (K, 2)."""
        half = len(self.state.load) // 2
        order = self._rng.permutation(len(self.state.load))
        return np.stack([order[:half], order[half : 2 * half]], axis=1)

    def _to_recut(self, penalty: Penalty) -> Ints:
        """Draw bundles: of large regret, on the worst ranks, and at random."""
        state, rng = self.state, self._rng
        world = len(state.load)
        few = self._params.fewest_recuts + int(world * self._params.recut_share)
        # Large regret costs the total, worst ranks the maximum. Of a sample, for those
        # of largest regret of all would be the same in every round, and the most
        # likely ones to have been tried in vain; and one is random, for others that
        # are neither may yet stand in the way.
        bundles = rng.integers(len(state.option), size=2 * few)
        regret = self._regret[state.option[bundles]]
        costly = bundles[np.argsort(-regret, kind="stable")[: few // 2]]
        each = penalty.of_ranks(state.load)
        worst = np.argsort(-each, kind="stable")[: few // 2]
        ranks = np.r_[worst, rng.integers(world, size=few // 2)]
        ranks = ranks[state.count[ranks] > 0]
        slot = (rng.random(len(ranks)) * state.count[ranks]).astype(np.int64)
        loaded = state.unit_bundle[state.slots[ranks, slot]]
        return rng.permutation(np.unique(np.r_[costly, bundles[:1], loaded]))


def _may_recut(state: State) -> bool:
    """Whether re-cuts pay: not under `time`, where tables may go to SSD.

    They relieve the slowest rank of one operation by seconds over SSD that all ranks
    pay for, and the search does not win them back.
    """
    problem = state.problem
    return not (problem.options.uses_ssd and isinstance(problem.pricer, GroupedPricer))
