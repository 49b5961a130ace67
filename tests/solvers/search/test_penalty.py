"""What is too much."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.solvers.search.penalty import Penalty


def test_penalty_in_single_precision() -> None:
    """The penalty of excesses is that of loads, but for rounding."""
    rng = np.random.default_rng(0)
    penalty = Penalty(rng.random(3))
    load = 2.0 * rng.random((50, 4))
    over = (load - np.r_[penalty.level, 1.0]).astype(np.float32)
    assert np.allclose(penalty.of_excess(over), penalty.of_ranks(load), rtol=1e-5)
    time = penalty.level + np.array([0.2, -0.1, 0.1])
    one = penalty.of_ranks(np.r_[time, 1.5])
    assert one == pytest.approx(0.04 + 0.01 + 50 * 0.5)
    assert penalty.of_pools(np.array([1.1, 1.2])) == pytest.approx(50 * 0.3)


def test_a_pool_counts_as_the_ranks_that_share_it() -> None:
    """A host that is too full weighs as much as all of its ranks together."""
    penalty = Penalty(np.zeros(1), 50.0, ranks_per_pool=8.0)
    ranks = penalty.of_ranks(np.tile([0.0, 1.1], (8, 1))).sum()
    assert penalty.of_pools(np.array([1.1, 0.0])) == pytest.approx(ranks)
