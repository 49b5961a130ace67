"""Time to a target by hand."""

from __future__ import annotations

import pytest

from shardplan.records.training_run import TrainingRun
from shardplan.simulation import simulate
from shardplan.simulation.run_time import run_time

RUN = TrainingRun(
    samples=1050, start_s=30, eval_every_samples=500, eval_samples=250, eval_fixed_s=4
)


def test_steps_and_evaluations():
    """Eleven steps, and two evaluations of two batches each."""
    found = run_time(RUN, 100, step_s=2.0, forward_s=0.5)
    assert (found.steps, found.evaluations) == (11, 2)
    assert found.steps_s == 22.0
    assert found.evaluations_s == 2 * (4 + 2 * 0.5)
    assert found.total_s == 30 + 22 + 10
    assert found.to_dict()["total_s"] == 62.0


def test_without_evaluations():
    """Steps alone."""
    assert run_time(TrainingRun(samples=10), 10, 3.0, 1.0).total_s == 3.0
    with pytest.raises(ValueError, match="need eval_every_samples above 0"):
        TrainingRun(samples=10, eval_samples=5)


def test_a_simulation_tells_it_where_the_workload_does(tiny):
    """The forward pass is the step up to its dense layers."""
    dense = {"num_dense": 4, "bottom_mlp": (32, 8), "top_mlp": (64, 1)}
    workload = tiny.workload([1], dense=dense)
    cluster = (tiny.topology(tiny.host_group()), tiny.cost_model())
    placed = [tiny.placement(0, [0])]
    silent = simulate(tiny.plan(workload, *cluster, placed))
    assert silent.run is None
    assert "run" not in silent.to_dict()
    told = simulate(tiny.plan(workload.replace(run=RUN), *cluster, placed))
    (top,) = (phase for phase in told.phases if phase.name == "top_forward")
    expected = run_time(RUN, told.batch_size, told.step_time_s, top.end_s)
    assert told.run == expected
    assert told.to_dict()["run"]["total_s"] == expected.total_s
