"""Exact plans of neighbourhoods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.search.neighbourhood import Neighbourhood
from tests.solvers.helpers import toy_problem
from tests.solvers.search_helpers import (
    CLUSTERS,
    assert_legal,
    is_same,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problems.problem import Assignment


class Watched(Neighbourhood):
    """Remembers which bundles were free."""

    free: NDArray[np.bool_]

    def _free(self, assignment: Assignment) -> NDArray[np.bool_]:
        self.free = super()._free(assignment)
        return self.free


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_neighbourhoods(cluster: str, objective: Objective) -> None:
    """The plan stays legal and gets no worse; bundles that are fixed do not move."""
    rng = np.random.default_rng(14)
    problem = toy_problem(rng, 14, CLUSTERS[cluster], fill=0.4, objective=objective)
    found = Greedy().solve(problem, Stop(), 0, Silent()).assignment
    assert found is not None
    first, neighbourhood = found, Watched(problem, rng)
    for _ in range(3):
        better = neighbourhood.improve(found, Stop(time_limit_s=20.0))
        assert_legal(problem, better)
        assert problem.value(better) <= problem.value(found)
        assert 0 < neighbourhood.free.sum() < problem.num_bundles
        for bundle in np.flatnonzero(~neighbourhood.free).tolist():
            assert better.option[bundle] == found.option[bundle]
            assert set(better.places[bundle]) <= set(found.places[bundle])
        found = better
    assert not is_same(found, first)
    assert problem.value(found) < problem.value(first)
