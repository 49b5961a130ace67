"""Columns of single ranks and of ranks that share links."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.problem import build_problem
from shardplan.problems.step_columns import StepColumns
from shardplan.records.sharding import Objective
from tests.helpers import (
    COST_MODEL,
    dlrm_like,
    one_host,
    random_assignment,
    topology,
)


def _shared():
    """Two hosts of four ranks, two on each NIC."""
    cluster = topology(num_hosts=2, scale_out={"nics_per_host": 2, "nic_bw": 1e10})
    workload = one_host().workload
    return build_problem(workload, cluster, COST_MODEL, objective=Objective.TIME)


def test_two_ranks_on_a_nic_are_as_full_as_their_mean():
    """The same load on one rank of a NIC and on both: both take twice as long."""
    problem = _shared()
    columns, names = StepColumns(problem), problem.pricer.phases
    sent = columns.names.index("output_all_to_all")
    cost = np.zeros((8, len(names)))
    cost[[0, 2], names.index("output_all_to_all")] = 1.0
    apart = columns.amounts(columns.fullest(cost))[sent]
    cost[[1, 2], names.index("output_all_to_all")] = 1.0, 0.0
    together = columns.amounts(columns.fullest(cost))[sent]
    assert together == pytest.approx(2.0 * apart)


def test_slopes_lead_to_the_fullest_group():
    """An amount grows by its slope with the column that it is the largest of."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    columns = StepColumns(problem)
    cost = problem.loads(random_assignment(problem, np.random.default_rng(2))).cost
    fullest = columns.fullest(cost)
    every = np.ones(len(columns.names))
    slopes = columns.slopes(fullest, every)
    for column, slope in enumerate(slopes.tolist()):
        more = fullest.copy()
        more[column] *= 1.0 + 1e-6
        grown = (columns.amounts(more) - columns.amounts(fullest)).sum()
        assert grown == pytest.approx(slope * fullest[column] * 1e-6, rel=1e-4)
