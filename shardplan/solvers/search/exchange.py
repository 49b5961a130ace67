"""Moves and swaps between pairs of ranks, evaluated for many pairs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.solvers.search.penalty import MEMORY_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]
    Ints = NDArray[np.int64]

_MOST_UNITS = 32
_CHUNK = 250_000
_NOISE_SIZE = 1 << 20


class Exchanges(NamedTuple):
    """The best exchange of each pair of ranks; unit 0 stands for nothing."""

    first: Ints
    second: Ints
    rank: Ints
    other: Ints
    change: Floats

    def take(self, keep: NDArray[np.bool_] | Ints) -> Exchanges:
        """Return some of them."""
        return Exchanges(*(column[keep] for column in self))


class Exchanger:
    """Finds the exchange of two ranks that lowers the penalty most.

    With a temperature, an exchange is drawn with probability proportional to
    exp(-change / temperature), by adding Gumbel noise before taking the least: many
    disjoint pairs of ranks anneal at once.
    """

    def __init__(self, state: State, rng: np.random.Generator) -> None:
        self._state = state
        self._rng = rng
        self._noise: Singles | None = None
        self.evaluated = 0

    def best(
        self, rank: Ints, other: Ints, penalty: Penalty, temperature: float = 0.0
    ) -> Exchanges:
        """Find one exchange for each pair (rank[i], other[i]), doing nothing included."""
        widest = int(self._state.count[np.r_[rank, other]].max(initial=0)) + 1
        width = min(widest, _MOST_UNITS)
        step = max(1, _CHUNK // width**2)
        parts = [
            self._best_of(
                rank[i : i + step], other[i : i + step], penalty, temperature, widest
            )
            for i in range(0, len(rank), step)
        ]
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Exchanges(none, none, none, none, np.zeros(0))
        return Exchanges(*(np.concatenate(columns) for columns in zip(*parts)))

    def _best_of(
        self,
        rank: Ints,
        other: Ints,
        penalty: Penalty,
        temperature: float,
        widest: int,
    ) -> Exchanges:
        first, second = self._columns(rank, widest), self._columns(other, widest)
        change = self._changes(rank, other, first, second, penalty)
        self._forbid(change, rank, other, first, second)
        self.evaluated += change.size
        noisy = change
        if temperature > 0.0:
            noisy = change - np.float32(temperature) * self._gumbel(change.shape)
        size = change.shape[1] * change.shape[2]
        index = np.argmin(noisy.reshape(len(rank), size), axis=1)
        a, b = np.divmod(index, change.shape[2])
        pair = np.arange(len(rank))
        return Exchanges(
            first[pair, a],
            second[pair, b],
            rank,
            other,
            change[pair, a, b].astype(np.float64),
        )

    def _columns(self, rank: Ints, widest: int) -> Ints:
        """Units of each rank, one free slot included; a sample if there are many."""
        slots = self._state.slots
        if widest <= _MOST_UNITS:
            return slots[rank, :widest]
        counts = self._state.count[rank][:, None]
        random = self._rng.random((len(rank), _MOST_UNITS))
        chosen = (random * (counts + 1)).astype(np.int64)
        chosen[:, 0] = counts[:, 0]
        return slots[rank[:, None], chosen]

    def _changes(
        self, rank: Ints, other: Ints, first: Ints, second: Ints, penalty: Penalty
    ) -> Singles:
        """Change of the penalty for every combination, (pairs, K, K)."""
        state = self._state
        here, there = state.rank_class[rank], state.rank_class[other]
        mixed = state.unit_vector.shape[1] > 1
        give, take = (
            state.unit_vector[first, here[:, None]],
            state.unit_vector[second, there[:, None]],
        )
        arrive, replace = give, take
        if mixed:
            arrive = state.unit_vector[first, there[:, None]]
            replace = state.unit_vector[second, here[:, None]]
        load, load_other = state.load[rank], state.load[other]
        change = np.zeros((len(rank), first.shape[1], second.shape[1]), np.float32)
        for d in range(state.num_times + 1):
            is_time = d < state.num_times
            top = penalty.level[d] if is_time else 1.0
            net = _differences(replace[..., d], give[..., d])
            back = _differences(take[..., d], arrive[..., d]) if mixed else net
            _add_excess(change, net, load[:, d] - top, 1.0, is_time)
            _add_excess(change, back, load_other[:, d] - top, -1.0, is_time)
        self._add_hosts(change, rank, other, first, second)
        before = penalty.of_ranks(load) + penalty.of_ranks(load_other)
        change -= before.astype(np.float32)[:, None, None]
        return change

    def _add_hosts(
        self, change: Singles, rank: Ints, other: Ints, first: Ints, second: Ints
    ) -> None:
        """Add what changes in the pools of two different hosts."""
        state = self._state
        if not state.host_load.any():
            return
        host, host_other = state.rank_host[rank], state.rank_host[other]
        here, there = state.rank_class[rank], state.rank_class[other]
        apart = (host != host_other)[:, None]
        for d in (0, 1):
            if not state.host_load[:, d].any():
                continue
            column = state.num_times + 1 + d
            sides = (
                (first, second, here, state.host_load[host, d] - 1.0),
                (first, second, there, state.host_load[host_other, d] - 1.0),
            )
            for sign, (a, b, side, over) in zip((1.0, -1.0), sides, strict=True):
                give = state.unit_vector[a, side[:, None], column] * apart
                take = state.unit_vector[b, side[:, None], column] * apart
                _add_excess(change, _differences(take, give), over, sign, False)
                was = MEMORY_WEIGHT * np.maximum(over, 0.0)
                change -= was.astype(np.float32)[:, None, None]

    def _forbid(
        self, change: Singles, rank: Ints, other: Ints, first: Ints, second: Ints
    ) -> None:
        """Make moves of limited bundles to illegal ranks infinitely bad."""
        state = self._state
        if len(state.legal) == 1:
            return
        row = state.legal_row[state.unit_bundle[first]] * (first > 0)
        bad = ~state.legal[row, other[:, None]]
        change[bad] = np.inf
        row = state.legal_row[state.unit_bundle[second]] * (second > 0)
        bad = ~state.legal[row, rank[:, None]]
        change.transpose(0, 2, 1)[bad] = np.inf

    def _gumbel(self, shape: tuple[int, ...]) -> Singles:
        """Noise from a long table, entered at random."""
        if self._noise is None:
            noise = self._rng.gumbel(size=_NOISE_SIZE + _CHUNK * 2)
            self._noise = noise.astype(np.float32)
        size = int(np.prod(shape))
        start = int(self._rng.integers(len(self._noise) - size))
        return self._noise[start : start + size].reshape(shape)


def _differences(plus: Floats, minus: Floats) -> Singles:
    """All plus[b] - minus[a] per pair: (pairs, B), (pairs, A) -> (pairs, A, B)."""
    a = minus.astype(np.float32)[:, :, None]
    return np.asarray(plus.astype(np.float32)[:, None, :] - a)


def _add_excess(
    total: Singles, net: Singles, over: Floats, sign: float, is_time: bool
) -> None:
    """Add the penalty of one dimension with over + sign * net above its level."""
    level = over.astype(np.float32)[:, None, None]
    excess = level + net if sign > 0 else level - net
    np.maximum(excess, np.float32(0.0), out=excess)
    if is_time:
        excess *= excess
    else:
        excess *= np.float32(MEMORY_WEIGHT)
    total += excess


def disjoint(found: Exchanges, num_ranks: int) -> NDArray[np.bool_]:
    """Choose exchanges greedily in their order so that no rank occurs twice."""
    used = np.zeros(num_ranks, dtype=bool)
    keep = np.zeros(len(found.rank), dtype=bool)
    for index, (a, b) in enumerate(
        zip(found.rank.tolist(), found.other.tolist(), strict=True)
    ):
        if not (used[a] or used[b]):
            used[a] = used[b] = keep[index] = True
    return keep
