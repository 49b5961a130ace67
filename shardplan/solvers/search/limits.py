"""What single shards may be: limits that a balanced plan keeps, and what they idle."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import first_least, ranks_per_place
from shardplan.solvers.search.params import SEARCH_DEFAULTS, SearchParams
from shardplan.solvers.tolerances import LEAST_GAIN, LEAST_TIME, NO_SHARE

if TYPE_CHECKING:
    from shardplan.certify.regrets import Regrets
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.params import StartParams
    from shardplan.solvers.search.vectors import Vectors


_TOO_LONG = 1e30
"""Cost of an option beyond the limits: above all others, and still in order."""


class Limits:
    """Chooses limits by what they cost: fewer long shards need more seconds in total.

    Attributes
    ----------
    longest : float array (O, D)
        Times of each option's longest shard; zero for scope ALL, whose load no
        placement can change.
    memory : float array (O,)
        HBM of each option's largest shard, likewise.
    mean_density : float
        HBM per unit of time of a rank's own shards, in a plan of least regret.
    """

    def __init__(
        self, vectors: Vectors, regrets: Regrets, params: SearchParams = SEARCH_DEFAULTS
    ) -> None:
        problem, self._params = vectors.problem, params
        menu = problem.options
        times = vectors.of_items(np.arange(len(menu.item_count)))
        # On the fastest class, for a long shard would go there: limits must not forbid
        # what may be good.
        item = times[:, :, : vectors.num_times + 1].min(axis=1)
        ranks = ranks_per_place(menu, problem.world_size)[menu.item_option]
        weight = (menu.item_count * ranks / problem.world_size)[:, None]
        first = menu.item_start[:-1]
        self._unit, self._world = vectors.unit_s, problem.world_size
        self._regrets = regrets
        self._ranks = np.add.reduceat(menu.item_count * ranks, first)
        self._everywhere = menu.scope == Scope.ALL
        largest = np.maximum.reduceat(item, first)
        largest[self._everywhere] = 0.0
        self.longest, self.memory = largest[:, :-1], largest[:, -1]
        mean = np.add.reduceat(item * weight, first)
        regret = regrets.of_option
        # Each trial of a limit chooses for all bundles; options of large regret are in
        # none of these choices, but would be most of the work.
        some = _most_useful(regret, menu.start, params)
        start = np.searchsorted(menu.table[some], np.arange(len(menu.start)))
        choice = some[first_least(regret[some], start)]
        base = mean[choice[self._everywhere[choice]]].sum(axis=0)
        self._base_time, self._base_memory = float(base[:-1].sum()), float(base[-1])
        own = mean[choice].sum(axis=0) - base
        self.mean_density = float(own[-1] / max(own[:-1].sum(), NO_SHARE))
        self._some, self._start, self._first = (
            some,
            start,
            mean[choice, :-1].sum(axis=0),
        )
        self._regret, self._mean = regret[some], mean[some, :-1]
        self._wide = (menu.scope != Scope.RANK)[some]
        self._found: dict[tuple[float, float], Floats] = {}

    def of(self, start: StartParams, share: float = 1.0) -> Floats:
        """Limits on the shards of a start (D,); infinite without the switch.

        Parameters
        ----------
        share : float
            Of the start's density.
        """
        if not self._params.limits:
            return np.full(self.longest.shape[1], np.inf)
        return start.scale * self.best(self._density(start, share), start.filling)

    def regret(self, start: StartParams, share: float = 1.0) -> Floats:
        """Regret of each option, and what its shards leave idle, (O,) [s]."""
        return np.asarray(self._regrets.of_option + self.idle_s(start, share))

    def idle_s(self, start: StartParams, share: float = 1.0) -> Floats:
        """See `idle`, at a share of a start's density, (O,) [s]."""
        return np.asarray(self.idle(self._density(start, share)) * self._unit)

    def _density(self, start: StartParams, share: float) -> float:
        own = start.density * share
        return own * self.mean_density * self._params.idle_time

    def excess(self, limit: Floats, value_s: float = np.inf) -> Floats:
        """How far options exceed limits on shards, or what a better plan can pay (O,).

        The second is reduced cost fixing: no plan with such an option is better than
        the best one. Without, the annealing gives large tables slow options for a
        moment's relief of memory, and seldom finds the way back.

        Parameters
        ----------
        limit : float array (D,)
        value_s : float
            Value of the best plan; infinite for none [s].
        """
        time = (self.longest / limit).max(axis=1) - 1.0
        memory = self.memory + self._base_memory - 1.0
        excess = np.where(self._everywhere, -1.0, np.maximum(time, memory))
        left_s = value_s - self._regrets.priced_s
        if not (self._params.reduced_costs and 0.0 < left_s < np.inf):
            return excess
        return np.maximum(
            excess, self._regrets.of_option / (self._world * left_s) - 1.0
        )

    def idle(self, density: float) -> Floats:
        """Time that options leave idle for want of memory, summed over ranks (O,).

        Parameters
        ----------
        density : float
            HBM that the other shards of a rank need for each unit of time.

        Notes
        -----
        A rank with a shard of time t and memory m has 1 - t for others, who can use
        at most (1 - m) / density of it.
        """
        if density <= 0.0:
            return np.zeros(len(self.memory))
        time = 1.0 - self._base_time - self.longest.sum(axis=1)
        room = 1.0 - self._base_memory - self.memory
        idle = np.maximum(time - np.maximum(room, 0.0) / density, 0.0)
        return np.asarray(np.where(self._everywhere, 0.0, idle * self._ranks))

    def best(self, density: float, filling: float) -> Floats:
        """Search, one dimension at a time, for the limits of least value, (D,).

        Parameters
        ----------
        density : float
            See `idle`.
        filling : float
            Load that others add to a rank with a long shard to fill up the rest of its
            time, as a share of the mean load: they are chosen among shards that are
            short in the dimension.
        """
        key = density, filling
        if key not in self._found:
            idle = self.idle(density)[self._some]
            self._found[key] = self._search(idle, filling)
        return self._found[key]

    def _search(self, idle: Floats, filling: float) -> Floats:
        taken = self.longest[self._some].sum(axis=1)
        trial = _TrialMenu(
            regret=self._regret + idle * self._unit,
            longest=np.ascontiguousarray(self.longest[self._some].T),
            mean=np.concatenate([self._mean, idle[:, None] / self._world], axis=1),
            priced=self._regret / (self._unit * self._world),
            bytes_price=self._regrets.memory_of_option[self._some],
            memory=self._regrets.dear_memory,
            steps=self._params.limit_prices,
            unit=self._unit * self._world,
            start=self._start,
            wide=self._wide,
            filled=filling
            * np.maximum(1.0 - self._base_time - taken, 0.0)
            * ~self._wide,
            fits=self.memory[self._some] + self._base_memory <= 1.0,
        )
        # Coordinate descent, from the mean loads: the value has steps and many minima,
        # but dimensions are few, and a trial is one pass over the menu.
        limit = np.maximum(self._first, LEAST_TIME)
        below = trial.longest <= limit[:, None]
        value = trial.value(below)
        coarse, fine = self._params.limit_coarse, self._params.limit_fine
        for factors in (coarse, coarse, fine):
            for d in range(len(limit)):
                for factor in factors:
                    other = below.copy()
                    other[d] = trial.longest[d] <= factor * limit[d]
                    found = trial.value(other)
                    if found < value - LEAST_GAIN:
                        limit[d] *= factor
                        below, value = other, found
        return np.asarray(limit)


class _TrialMenu(NamedTuple):
    """The menu that limits are tried on, N options of B bundles.

    Attributes
    ----------
    regret : float array (N,)
    longest : float array (D, N)
    mean : float array (N, D + 1)
        Mean load per dimension, and idle time, over all ranks.
    priced : float array (N,)
        Regret without idle time, as a share of the bound over all ranks.
    bytes_price : float array (N,)
        What the bytes cost at the prices of the bound [s].
    memory : float
        What all memory costs there, as a share of the bound.
    steps : tuple of float
        Multiples of the prices to go up to.
    unit : float
        The bound over all ranks [s].
    start : int array (B + 1,)
    filled : float array (N,)
        What others add to the rank of the longest shard, as a share of the mean load.
    wide, fits : bool arrays (N,)
        Whether an option is for groups of ranks; whether a rank has its memory.
    """

    regret: Floats
    longest: Floats
    mean: Floats
    priced: Floats
    bytes_price: Floats
    memory: float
    steps: tuple[float, ...]
    unit: float
    start: Ints
    wide: Bools
    filled: Floats
    fits: Bools

    def value(self, below: Bools) -> float:
        """Objective of a perfectly balanced plan within the limits, plus idle time.

        Parameters
        ----------
        below : bool array (D, N)
            Whether an option's longest shard is within the limit.

        Notes
        -----
        sum_d max(mean load, longest shard + load that is on groups of ranks anyway
        + load of those that fill up the rest of its rank). Mean loads are scaled so
        that their sum is the bound and the regrets: what a choice saves by more memory
        than there is does not count.
        """
        legal = below.all(axis=0) & self.fits
        cost = np.where(
            legal, self.regret, _TOO_LONG * (1.0 + self.longest.sum(axis=0))
        )
        choice, priced = self._cheapest(cost)
        mean = self.mean[choice]
        base = mean[self.wide[choice], :-1].sum(axis=0)
        total = mean.sum(axis=0)
        total[:-1] *= priced / max(total[:-1].sum(), NO_SHARE)
        own = np.maximum(total[:-1] - base, 0.0)
        shard = self.longest[:, choice] + own[:, None] * self.filled[choice]
        top = shard.max(axis=1) + base
        return float(np.maximum(total[:-1], top).sum() + total[-1])

    def _cheapest(self, cost: Floats) -> tuple[Ints, float]:
        """Choose at prices at which the bytes fit; and what that takes at least.

        Limits leave out what needs little memory: at the prices of the whole menu the
        rest would seem to fit, and the lowest limits to cost nothing.
        """
        best, priced = np.zeros(0, dtype=np.int64), -np.inf
        for step in self.steps:
            choice = first_least(cost + (step - 1.0) * self.bytes_price, self.start)
            over = self.bytes_price[choice].sum() / self.unit - self.memory
            found = 1.0 + self.priced[choice].sum() + (step - 1.0) * over
            # The least cost at given prices is concave in their multiple.
            if found <= priced:
                break
            best, priced = choice, float(found)
            if over <= 0.0:
                break
        return best, priced


def _most_useful(regret: Floats, start: Ints, params: SearchParams) -> Ints:
    """Options of least regret, some of each bundle, in their order."""
    table = np.repeat(np.arange(len(start) - 1), np.diff(start))
    order = np.lexsort((regret, table))
    position = np.arange(len(order)) - start[table]
    most = max(params.limit_options // (len(start) - 1), params.limit_fewest)
    most = min(most, params.limit_most)
    return np.sort(order[position < most])
