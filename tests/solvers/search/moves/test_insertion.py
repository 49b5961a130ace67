"""Bundles that are out are put back whole."""

from __future__ import annotations

import numpy as np

from shardplan.solvers.search.moves.candidates import Candidates
from shardplan.solvers.search.moves.insertion import Inserter
from tests.helpers import COST_MODEL, Instance, topology, workload
from tests.solvers.search_helpers import assert_allowed, low_levels, start


def test_items_of_three_widths_are_all_placed() -> None:
    """128 and 64 columns in six parts: 22 + 11, 21 + 11 and 21 + 10 together."""
    tables = [{"embedding_dim": 128}, {"embedding_dim": 64}]
    together = workload(*tables, colocate=[["t0", "t1"]])
    problem = Instance(together, topology(local_world_size=6), COST_MODEL).problem()
    menu = problem.options
    state, regrets, limits = start(problem)
    rng = np.random.default_rng(0)
    excess = limits.excess(limits.best(0.0, 0.0))
    candidates = Candidates(state, rng, regrets.of_option, excess)
    inserter = Inserter(state, rng, candidates)
    cut = np.flatnonzero(menu.num_items == 3)
    assert len(cut)
    for option in cut.tolist():
        state.take(0)
        assert inserter.insert(0, option, low_levels(state))
        found = state.assignment()
        assert found.option[0] == option
        assert len(set(found.places[0].tolist())) == menu.num_copies[option]
        assert_allowed(problem, found)
