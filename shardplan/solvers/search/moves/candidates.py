"""Which options of a bundle and which ranks are worth a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.params import SEARCH_DEFAULTS, RecutParams
from shardplan.solvers.tolerances import LEAST_EXCESS

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.state import State


class Candidates:
    """Draws options of small regret and ranks with room.

    A bundle may have hundreds of options and a cluster thousands of ranks; looking at
    all pairs of them for one bundle takes as long as a round for all.

    Parameters
    ----------
    regret : float array (O,)
        Seconds, summed over ranks, that an option costs a plan too much [s].
    excess : float array (O,)
        Options above 0 are tried only if a bundle has no others; see `Limits`.

    Attributes
    ----------
    price : float array (O,)
        What the regret of an option counts beside the penalty.
    only_places : bool
        Whether bundles that are placed keep their options.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        regret: Floats,
        excess: Floats,
        params: RecutParams = SEARCH_DEFAULTS.recutting,
    ) -> None:
        self._state, self._rng, self.params = state, rng, params
        self.regret, self.excess = regret, excess
        # The penalty sees regret only where it lifts a rank above the levels. Without
        # a price the total would creep up where no rank is high at the moment.
        self.price = params.regret_price * regret / state.vectors.unit_s
        self.only_places = False
        self._short: dict[int, Ints] = {}
        self._roomy: Ints = np.zeros(0, dtype=np.int64)

    def short_list(self, bundle: int) -> Ints:
        """Options within the limits, or the least excessive; least regret first."""
        found = self._short.get(bundle)
        if found is None:
            start, end = self._state.problem.options.start[bundle : bundle + 2]
            excess = np.maximum(self.excess[start:end], 0.0)
            excess = excess - excess.min()
            order = np.lexsort((self.regret[start:end], excess))
            order = order[: int((excess <= LEAST_EXCESS).sum())]
            found = self._short[bundle] = start + order[: self.params.short_list]
        return found

    def options(self, bundle: int, current: int) -> Ints:
        """Draw some of the short list, small regret first, with the current option."""
        if self.only_places and current >= 0:
            return np.array([current])
        short = self.short_list(bundle)
        tried, bias = self.params.tried, self.params.tried_bias
        if len(short) > tried:
            draw = self._rng.random(tried)
            short = short[np.unique((len(short) * draw**bias).astype(np.int64))]
        return np.union1d(short, [current]) if current >= 0 else short

    def options_of_many(self, bundles: Ints) -> Ints:
        """Draw options of each bundle, small regret first, and its own, (K, T)."""
        if self.only_places:
            return self._state.option[bundles][:, None]
        tried, bias = self.params.tried, self.params.tried_bias
        draw = self._rng.random((len(bundles), tried - 1)) ** bias
        found = np.empty((len(bundles), tried), dtype=np.int64)
        for k, bundle in enumerate(bundles.tolist()):
            short = self.short_list(bundle)
            found[k, :-1] = short[(draw[k] * len(short)).astype(np.int64)]
        found[:, -1] = self._state.option[bundles]
        return found

    def look_around(self) -> None:
        """Renew the ranks that have room: little time, or little memory."""
        world, quarter = len(self._state.load), self.params.ranks // 4
        if world <= self.params.ranks:
            return
        load = self._state.load
        time = load[:, :-1].sum(axis=1)
        low_time = np.argpartition(time, 2 * quarter)[: 2 * quarter]
        low_memory = np.argpartition(load[:, -1], quarter)[:quarter]
        self._roomy = np.concatenate([low_time, low_memory])

    def ranks(self, mask: Bools, own: Ints) -> Ints:
        """Ranks with room, random ones, and a bundle's own, among the allowed."""
        world, most = len(mask), self.params.ranks
        if world <= most:
            return np.flatnonzero(mask)
        random = self._rng.integers(world, size=most // 4)
        chosen = np.unique(np.concatenate([self._roomy, random, own[:most]]))
        found = chosen[mask[chosen]]
        # A bundle pinned to one of thousands of ranks would never be found a place.
        if len(found) < self.params.few_ranks:
            allowed = np.flatnonzero(mask)
            found = np.union1d(found, self._rng.permutation(allowed)[:most])
        return np.asarray(found)

    def ranks_for_all(self) -> Ints:
        """Ranks with room and random ones, for any bundle."""
        world, most = len(self._state.load), self.params.ranks
        if world <= most:
            return np.arange(world)
        return np.union1d(self._roomy, self._rng.integers(world, size=most // 2))
