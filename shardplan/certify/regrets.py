"""What the prices of a bound say about options: what each costs a plan too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.certify.relaxed import Relaxed
from shardplan.certify.tolerances import NO_SECONDS

if TYPE_CHECKING:
    from shardplan.certify.dual import Bound
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats


LEAST_HBM_PRICE = 0.1
"""Price of all HBM over the bound, at least, where bytes may be short."""


@dataclass(frozen=True, eq=False)
class Regrets:
    """Priced costs above the least of each bundle: its options' reduced costs.

    Attributes
    ----------
    bound_s : float
        No plan is faster than this [s].
    priced_s : float
        What the prices prove by themselves, at most the bound: a plan takes as much
        and the regrets of its options over the number of ranks [s].
    memory : float
        Price of all memory over the bound.
    of_option : float array (O,)
        Priced seconds, summed over ranks, above the cheapest option of the bundle [s].
        Where no place is legal as much as all bundles take together: more than it is
        worth, yet a number to reckon with.
    memory_of_option : float array (O,)
        What the bytes of each option cost, summed over ranks [s], at these prices, but
        at `LEAST_HBM_PRICE` where HBM is cheaper: in a menu without the options that
        need little it may be short all the same.
    dear_memory : float
        What all memory costs at the prices of `memory_of_option`, over the bound.
    """

    bound_s: float
    priced_s: float
    memory: float
    of_option: Floats
    memory_of_option: Floats
    dear_memory: float

    @classmethod
    def of(cls, problem: Problem, bound: Bound) -> Self:
        """Price all options as a bound of the problem does; it must be finite."""
        relaxed = Relaxed.of(problem)
        cost = relaxed.priced(bound.rank_prices, bound.byte_prices)
        least = np.repeat(relaxed.least_per_bundle(cost), np.diff(relaxed.start))
        world = problem.world_size
        regret = np.full(len(problem.options), bound.value_s * world)
        regret[relaxed.option] = (cost - least) * world
        dear = bound.byte_prices.copy()
        least_hbm = (
            LEAST_HBM_PRICE * bound.value_s / np.maximum(relaxed.room[:, 0], 1.0)
        )
        dear[:, 0] = np.maximum(dear[:, 0], least_hbm)
        of_bytes = relaxed.priced(np.zeros_like(bound.rank_prices), dear)
        memory_of_option = np.zeros(len(problem.options))
        memory_of_option[relaxed.option] = of_bytes * world
        memory_s = float((bound.byte_prices * relaxed.room).sum())
        priced_s = float(relaxed.least_per_bundle(cost).sum()) - memory_s
        unit_s = max(bound.value_s, NO_SECONDS)
        return cls(
            bound_s=bound.value_s,
            priced_s=priced_s,
            memory=memory_s / unit_s,
            of_option=regret,
            memory_of_option=memory_of_option,
            dear_memory=float((dear * relaxed.room).sum()) / unit_s,
        )
