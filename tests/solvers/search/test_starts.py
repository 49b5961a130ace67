"""Where annealing begins: how much of the memory starts may use."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.problems.totals import OptionTotals
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.params import SearchParams, StartParams
from shardplan.solvers.search.starts import Starts
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import TW, Hosts, make_problem


def test_what_one_table_needs_of_hbm_is_no_other_tables_ddr() -> None:
    """0.6 of all HBM and 0.6 of all DDR are 0.6 of the memory, not 1.2."""
    cost = np.zeros((2, 1, 6))
    cost[:, 0, 2] = 1.0
    tier_bytes = np.array([(0.6, 0.0, 0.0), (0.0, 0.6, 0.0)])
    room = (np.ones(1), np.ones(1), np.ones(1))
    problem = make_problem([Hosts(1, 1)], [[TW]] * 2, cost, tier_bytes, room)
    bound, params = lower_bound(problem), SearchParams()
    vectors = Vectors.of(problem, bound.value_s)
    regrets = Regrets.of(problem, bound)
    starts = Starts(
        vectors,
        OptionTotals.of(problem),
        regrets,
        Limits(vectors.by_phase(), regrets, params),
        np.random.default_rng(0),
        Stop(),
        Incumbent(problem, bound, Stop(), Silent()),
    )
    found = starts._fill(
        StartParams(scale=1.0, density=0.0, fill=0.5, filling=0.0),
        np.ones(2, dtype=bool),
    )
    assert found == pytest.approx(0.6 + params.room_share * 0.4)
