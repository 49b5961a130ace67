"""Relief: exchanges where ranks are overloaded, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.params import AnnealParams
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.relief import Relief
from tests.solvers.helpers import Hosts
from tests.solvers.search_helpers import hbm_problem, scrambled

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints


class Watched(Exchanger):
    """Keeps the groups that it is given."""

    seen: tuple[Ints, ...] = ()

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Note where, and exchange there."""
        self.seen = (*self.seen, where)
        return super().make(where, penalty, temperature)


@pytest.mark.parametrize("objective", SUMS)
def test_only_overloaded_ranks_are_relieved(objective: Objective) -> None:
    """Groups are disjoint, the penalty falls, and what is in order is left alone."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 150, [Hosts(5, 8)], objective)
    state = scrambled(problem, rng).state
    watched = Watched(state, rng, Noise(rng))
    relief = Relief(state, rng, watched, 8, AnnealParams())
    first = relief.penalty(0.0)
    assert first.level == pytest.approx(state.load[:, :-1].mean(axis=0))
    assert (relief.penalty(1.0).level >= first.level).all()
    before = first.of_ranks(state.load).sum()
    assert before > 0.0
    for _ in range(8):
        relief.make(first, 0.0)
    assert first.of_ranks(state.load).sum() < 0.5 * before
    for groups in watched.seen:
        assert len(np.unique(groups)) == groups.size
    assert sum(len(groups) for groups in watched.seen) <= 8 * 40 // 8
    high = Penalty(state.load[:, :-1].max(axis=0), memory=0.0)
    watched.seen = ()
    relief.make(high, 0.0)
    assert not watched.seen
