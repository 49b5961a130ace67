"""Prove that nothing fits: prices at which the cheapest bytes cost more than all pools.

The prices are a Farkas proof. If a plan existed, the bytes that it puts into every pool
would be at most the pool's capacity, at any non-negative prices; yet the sum over
tables of the cheapest option's priced bytes is above the priced capacities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import ClassOracle, Point
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import Box, round_bound
from shardplan.errors import Shortfall
from shardplan.problems.totals import memory_shortfalls
from shardplan.records.certificate import Prices
from shardplan.records.sharding import TIERS

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints


_NEGLIGIBLE = 0.02
"""Weights below this share of the largest one are tried without."""
_MOST_TABLES = 5
"""Tables that a message names."""


@dataclass(frozen=True, eq=False)
class MemoryProof:
    """Why no plan fits.

    Attributes
    ----------
    prices : Prices
        Of bytes alone; the dearest byte costs 1. `is_proof` verifies them.
    shortfall : Shortfall
        The pools with their weights, what is needed there at least, and what there
        is, in weighted bytes.
    """

    prices: Prices
    shortfall: Shortfall


def memory_proofs(problem: Problem, stop: Clock | None = None) -> list[Shortfall]:
    """Pools that are too small, with proof; empty if none is found.

    Whole tiers and their sums come first; weighted sums, and pools of single classes
    of ranks, are tried if these show nothing.
    """
    plain = memory_shortfalls(problem)
    proof = None if plain else memory_proof(problem, stop)
    return [proof.shortfall] if proof else plain


def memory_proof(problem: Problem, stop: Clock | None = None) -> MemoryProof | None:
    """Look for prices of memory that show that nothing fits.

    Notes
    -----
    Maximises sum_b min_o (bytes of o) . v - v . room over v >= 0 with v . room = 1
    by cutting planes; a value above 0 is a proof.

    References
    ----------
    Farkas, Theorie der einfachen Ungleichungen, J. reine angew. Math. 124 (1902).
    """
    relaxed = Relaxed.of(problem)
    if relaxed.has_empty_bundle:
        return None
    used = (relaxed.items.tier_bytes > 0).any(axis=0) & (relaxed.room > 0)
    some = np.flatnonzero(used.ravel())
    if not len(some):
        return None
    function = _Bytes(ClassOracle(relaxed), some)
    domain = Domain(np.ones(len(some)), [np.arange(len(some))])
    start = np.full(len(some), 1.0 / len(some))
    weights = maximise(function, domain, start, stop=stop).prices
    for least in (_NEGLIGIBLE, 0.0):
        pools = np.zeros(relaxed.room.size)
        pools[some] = weights
        per_byte = pools.reshape(relaxed.room.shape) / np.maximum(relaxed.room, 1.0)
        per_byte /= per_byte.max()
        per_byte[per_byte < least] = 0.0
        prices = _byte_prices(relaxed, per_byte)
        if is_proof(relaxed, prices):
            return MemoryProof(prices, _shortfall(problem, relaxed, per_byte))
    return None


def is_proof(relaxed: Relaxed, prices: Prices) -> bool:
    """Whether prices of bytes alone show that nothing fits, rounding included."""
    if prices.longest or any(price != 0.0 for row in prices.ranks for price in row):
        return False
    box = Box.whole(relaxed.num_dimensions, float("inf"))
    return round_bound(relaxed, prices, box).value_s > 0.0


@dataclass(frozen=True, eq=False)
class _Bytes:
    """Priced bytes above the priced capacities, as a function of some pools' prices."""

    oracle: ClassOracle
    some: Ints

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `Oracle`."""
        relaxed = self.oracle.relaxed
        seconds = relaxed.num_classes * relaxed.num_dimensions
        full = np.zeros(seconds + relaxed.room.size)
        full[seconds + self.some] = prices
        value, slope, choice = self.oracle(full)
        return Point(value, slope[seconds + self.some], choice)


def _byte_prices(relaxed: Relaxed, per_byte: Floats) -> Prices:
    hbm, ddr, ssd = (tuple(map(float, column)) for column in per_byte.T)
    nothing = ((0.0,) * relaxed.num_dimensions,) * relaxed.num_classes
    return Prices(ranks=nothing, hbm=hbm, ddr=ddr, ssd=ssd)


def _shortfall(problem: Problem, relaxed: Relaxed, per_byte: Floats) -> Shortfall:
    no_time = np.zeros((relaxed.num_classes, relaxed.num_dimensions))
    cost = relaxed.priced(no_time, per_byte)
    needed = relaxed.least_per_bundle(cost)
    names = problem.bundle_names()
    largest = np.argsort(-needed, kind="stable")[:_MOST_TABLES]
    return Shortfall(
        tier=_label(problem, per_byte),
        needed_bytes=float(needed.sum()),
        available_bytes=float((per_byte * relaxed.room).sum()),
        tables=tuple(names[i] for i in largest),
    )


def _label(problem: Problem, per_byte: Floats) -> str:
    """Name the priced pools: ``hbm+0.25 ddr``, with host groups if they differ."""
    same = (per_byte == per_byte[0]).all()
    groups = problem.cluster.host_groups
    parts = []
    for index, row in enumerate(per_byte[:1] if same else per_byte):
        where = "" if same else f" of {groups[index].name}"
        for tier, weight in zip(TIERS, row, strict=True):
            if weight > 0:
                share = "" if weight > 1.0 - _NEGLIGIBLE else f"{weight:.2g} "
                parts.append(f"{share}{tier.value}{where}")
    return "+".join(parts)
