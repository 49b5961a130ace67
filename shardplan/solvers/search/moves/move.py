"""What all moves of the search have in common, and what each must keep to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from shardplan.records.arrays import Floats, Ints, Singles
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Move(ABC):
    """A way to change a state: the annealer says where and how hot, a move what.

    A move looks at many alternatives at once, in arrays, and makes some of them. It

    - changes only what it is given: the ranks' units (a swap also those of one other
      rank for each), or the bundles;
    - changes the state by `State.move`, `put`, `take` and `change_variants` alone;
    - puts nothing where pins, conflicts, distinct places or shared hosts forbid it;
      memory may overflow, at the price that the penalty puts on it;
    - makes nothing worse at temperature 0: penalty and price of regret fall, or all
      stays, but for pools that several changes share (each is judged alone, and the
      penalty of what they overfill leads back);
    - above 0 draws an alternative with probability ~ exp(-penalty / temperature)
      (heat bath), or keeps a rise with probability exp(-rise / temperature)
      (Metropolis);
    - adds to `evaluated` how many penalties it worked out, for limits on work must
      not depend on the clock.

    Parameters
    ----------
    state : State
        What it changes.
    rng, noise
        Where its random numbers come from; the order of draws is part of what a seed
        promises.

    Attributes
    ----------
    evaluated : int
        Alternatives looked at since the annealer last set this to 0.
    """

    def __init__(self, state: State, rng: np.random.Generator, noise: Noise) -> None:
        self._state, self._rng, self._noise = state, rng, noise
        self.evaluated = 0

    @abstractmethod
    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Change what it pays to change, or what chance picks.

        Parameters
        ----------
        where : int array
            Groups of ranks (g, G), pairs of ranks (K, 2), ranks (K,) or bundles (K,);
            each move says which. What is independent of each other is changed together.
        penalty : Penalty
            What should become small.
        temperature : float
            In units of the penalty; 0 for descent.

        Returns
        -------
        int
            How many units or bundles were changed.
        """

    def _heated(self, cost: Floats | Singles, temperature: float) -> Floats | Singles:
        """Costs of which the least is a draw with probability ~ exp(-cost / T)."""
        if temperature <= 0.0:
            return cost
        return cost - temperature * self._noise.draw(cost.shape)
