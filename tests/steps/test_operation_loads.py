"""Amounts and curves give what every operation takes, whatever ranks have to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective
from shardplan.steps.operation_loads import operation_loads
from tests.helpers import CLUSTERS, COST_MODEL, one_host, random_assignment

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

SHIPPED = ("dgx-h100", "h100-pcie", "zionex", "gb200-nvl72", "dgx-a100-80")


def draw(name: str) -> Problem:
    workload = one_host().workload
    if name in CLUSTERS:
        topology, cost_model = CLUSTERS[name], COST_MODEL
    else:
        topology = catalog.load_topology(name, 2)
        cost_model = catalog.load_cost_model(topology.cost_model)
    return build_problem(workload, topology, cost_model, objective=Objective.TIME)


@pytest.mark.parametrize("name", [*CLUSTERS, *SHIPPED])
def test_equals_the_prediction(name: str) -> None:
    """Every operation of random plans takes its curve at its amount."""
    problem, rng = draw(name), np.random.default_rng(0)
    used = problem.options.item_cost.any(axis=(0, 1))
    loads = operation_loads(problem.pricer, used)
    seen = set()
    for _ in range(40):
        cost = problem.loads(random_assignment(problem, rng)).cost
        prediction = problem.pricer.predict(cost)
        for load in loads:
            amount = load.amount(cost)
            taken = float(load.curve(np.array([amount]))[0]) if amount else load.idle_s
            expected = prediction.seconds_of(load.name)
            assert taken == pytest.approx(expected, rel=1e-9, abs=1e-15)
            seen |= {load.name} if expected > 0 else set()
    has_groups = len(problem.cluster.rank_class) > 1
    assert {"embedding_forward", "embedding_backward"} <= seen
    assert not has_groups or {"output_all_to_all", "reduce_scatter"} <= seen


def test_columns_without_loads_are_left_out() -> None:
    """An operation that no option needs has no place in the list."""
    problem = draw("one_host")
    names = {load.name for load in operation_loads(problem.pricer, np.zeros(18, bool))}
    assert not names
