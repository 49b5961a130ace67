"""Menus priced by operations lead to the step that their plans lead to."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.plans.evaluation import evaluate
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective
from shardplan.simulation import SimulationSettings, simulate
from shardplan.solvers.base import SolverResult, SolveStatus
from tests.helpers import CLUSTERS, Instance, one_host, random_assignment, varied


def assert_same_value(instance, seed):
    """The value from the menu's columns is that of the plan, and the simulated one."""
    from shardplan.planning.claims import make_plan
    from shardplan.records.inputs import Inputs

    problem = build_problem(*instance, objective=Objective.TIME)
    assignment = random_assignment(problem, np.random.default_rng(seed))
    result = SolverResult(assignment, 0.0, SolveStatus.FEASIBLE)
    names = ("workload", "topology", "cost_model")
    inputs = Inputs(**dict(zip(names, instance, strict=True)))
    plan = make_plan(problem, result, inputs, solver="by_hand", seed=0)
    value = evaluate(plan).value(Objective.TIME)
    assert problem.value(assignment) == pytest.approx(value, rel=1e-9)
    simulated = simulate(plan, SimulationSettings.path()).step_time_s
    assert value == pytest.approx(simulated, rel=1e-12)
    assert value <= simulate(plan).step_time_s * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
def test_tables_of_every_kind(cluster, seed):
    """Compressed exchanges, sequences, caches and groups on small clusters."""
    assert_same_value(varied(CLUSTERS[cluster]), seed)


@pytest.mark.parametrize("name", catalog.names("topologies"))
def test_shipped_topologies(name):
    """The same on two hosts of each."""
    topology = catalog.load_topology(name, 2)
    cost_model = catalog.load_cost_model(topology.cost_model)
    assert_same_value(Instance(one_host().workload, topology, cost_model), 0)
