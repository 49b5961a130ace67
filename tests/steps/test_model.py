"""The predicted step is the simulated one without what only ranks and links know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.plans.evaluation import evaluate
from shardplan.plans.sparse_work import sparse_work
from shardplan.problems.problem import build_problem
from shardplan.records.workload import Pipeline
from shardplan.simulation import SimulationSettings, simulate
from shardplan.steps.model import StepModel
from tests.helpers import Instance, one_host, plan_of, random_assignment
from tests.simulation.conftest import random_plan

PATH = SimulationSettings.path()


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_simulation_without_sharing(seed):
    """The longest path is the step in which nothing slows what runs beside it."""
    plan = random_plan(seed)
    prediction = evaluate(plan).prediction
    expected = simulate(plan, PATH).step_time_s
    assert prediction.step_s == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_criticality_is_the_derivative(seed):
    """Seconds times criticality add up to the step; longer operations lengthen it."""
    prediction = evaluate(random_plan(seed)).prediction
    counts = np.array(list(prediction.criticality.values()))
    assert counts @ prediction.seconds == pytest.approx(prediction.step_s, rel=1e-9)
    longer = prediction.seconds * (1.0 + 1e-3 * np.arange(len(counts)))
    least = counts @ longer
    assert prediction.graph.step(longer) >= least * (1.0 - 1e-12)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", catalog.names("topologies"))
def test_on_shipped_topologies(name, seed):
    """The same there, with all pipelines, for every program of the cost model."""
    rng = np.random.default_rng(seed)
    topology = catalog.load_topology(name, 2)
    cost_model = catalog.load_cost_model(topology.cost_model)
    pipeline = list(Pipeline)[(len(name) + seed) % len(Pipeline)]
    workload = one_host().workload.replace(pipeline=pipeline)
    instance = Instance(workload, topology, cost_model)
    problem = build_problem(*instance)
    plan = plan_of(instance, problem, random_assignment(problem, rng))
    evaluation = evaluate(plan)
    for runtime in (None, *cost_model.runtimes):
        settings = replace(PATH, runtime=runtime)
        model = StepModel(evaluation.measured_pricer, settings)
        found = model.predict(sparse_work(evaluation))
        expected = simulate(plan, settings).step_time_s
        assert found.step_s == pytest.approx(expected, rel=1e-12)
