"""The predicted step is the simulated one without what runs beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.plans.evaluation import evaluate
from shardplan.plans.sparse_work import sparse_work
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Target
from shardplan.records.workload import Pipeline
from shardplan.simulation import SimulationSettings, simulate
from shardplan.simulation.engine import run_overlapped
from shardplan.steps.model import StepModel
from shardplan.steps.path import StepGraph
from shardplan.steps.program import build_program
from tests.helpers import plan_of, random_assignment, runnable
from tests.simulation.conftest import random_plan

PATH = SimulationSettings.path()


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_simulation_without_sharing(seed):
    """The longest path is the step in which nothing slows what runs beside it."""
    plan = random_plan(seed)
    prediction = evaluate(plan).prediction
    expected = simulate(plan, PATH).step_time_s
    assert prediction.step_s == pytest.approx(expected, rel=1e-12)
    # Slow-down and sharing only lengthen.
    assert prediction.step_s <= simulate(plan).step_time_s * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_criticality_is_the_derivative(seed):
    """Longer operations lengthen the step by as much at least, shorter ones at most."""
    prediction = evaluate(random_plan(seed)).prediction
    counts = np.array(list(prediction.criticality.values()))
    added = (prediction.passes * prediction.rank_seconds).sum()
    assert added == pytest.approx(prediction.step_s, rel=1e-9)
    # What takes no time must not take any: the graph is another one then.
    change = 1e-3 * prediction.rank_seconds.min(axis=1)
    change *= np.random.default_rng(seed).random(len(counts))
    for by in (change, -change):
        seconds = prediction.rank_seconds + by[:, None]
        step = prediction.graph.step(seconds, prediction.meetings).max()
        assert step >= (prediction.step_s + counts @ by) * (1.0 - 1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_path_over_slowest_ranks_is_no_shorter(seed):
    """Where all ranks are as slow as the slowest, its operations add up to the step."""
    prediction = evaluate(random_plan(seed)).prediction
    step = prediction.graph.step(prediction.seconds)
    counts = prediction.graph.circuit(prediction.seconds)
    assert counts @ prediction.seconds == pytest.approx(float(step), rel=1e-9)
    assert step >= prediction.step_s * (1.0 - 1e-12)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", catalog.names("topologies"))
def test_on_shipped_topologies(name, seed):
    """The same there, with all pipelines, for every target and program."""
    rng = np.random.default_rng(seed)
    topology = catalog.load_topology(name, 2)
    cost_model = catalog.load_cost_model(topology.cost_model)
    pipeline = list(Pipeline)[(len(name) + seed) % len(Pipeline)]
    target = list(Target)[int(rng.integers(len(Target)))]
    instance = runnable(topology, target, pipeline=pipeline)
    instance = instance._replace(cost_model=cost_model)
    problem = build_problem(*instance, target=target)
    plan = plan_of(instance, problem, random_assignment(problem, rng))
    evaluation = evaluate(plan)
    for runtime in (None, *cost_model.runtimes):
        settings = replace(PATH, runtime=runtime)
        model = StepModel(evaluation.measured_pricer, settings)
        found = model.predict(sparse_work(evaluation)).step_s
        path = simulate(plan, settings).step_time_s
        whole = simulate(plan, SimulationSettings(runtime=runtime)).step_time_s
        assert found == pytest.approx(path, rel=1e-12)
        assert found <= whole * (1.0 + 1e-9)


@pytest.mark.parametrize("who", ["all", "halves", "nobody", "some"])
@pytest.mark.parametrize("seed", range(6))
def test_the_pace_is_that_of_many_steps(seed, who):
    """Five steps of the engine show it, whoever meets and however long things take."""
    evaluation = evaluate(random_plan(seed))
    program = build_program(evaluation.measured_pricer, sparse_work(evaluation), PATH)
    program = shuffled(program, who, np.random.default_rng(seed))
    ends = run_overlapped(program, 40).step_end
    expected = (ends[-1] - ends[20]).max() / 19
    begin, end = run_overlapped(program, 5).window
    assert end - begin == pytest.approx(expected, rel=1e-12)
    graph = StepGraph.of(program)
    seconds = np.array([operation.seconds for operation in program])
    meetings = [operation.meeting for operation in program]
    assert graph.step(seconds, meetings).max() == pytest.approx(expected, rel=1e-12)
    added = (graph.circuit(seconds, meetings) * seconds).sum()
    assert added == pytest.approx(expected, rel=1e-9)


def shuffled(program, who, rng):
    """Let operations take any time on any rank, and other ranks meet."""
    world = len(program[0].seconds)
    half = np.arange(world) // max(1, world // 2)
    changed = []
    for operation in program:
        meets = operation.meets
        if meets is not None and who != "all":
            some = np.arange(world) // int(rng.integers(1, world + 1))
            meets = {"halves": half, "nobody": None, "some": some}[who]
        factor = np.exp(rng.normal(0.0, 2.0) + rng.normal(0.0, 0.7, world))
        seconds = operation.seconds * factor
        changed.append(replace(operation, seconds=seconds, meets=meets))
    return changed
