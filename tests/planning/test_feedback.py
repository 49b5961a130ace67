"""Feeding the simulated step back into the prices."""

from __future__ import annotations

import numpy as np
import pytest

import shardplan
from shardplan.checking import check
from shardplan.planning.feedback import phase_weights
from shardplan.records.sharding import PHASES, Phase
from shardplan.simulation import SimulationSettings, simulate


@pytest.mark.parametrize(
    ("workload", "topology"),
    [
        ("dlrm-dcnv2", "dgx-h100:2"),
        ("dlrm-dcnv2", "dgx-a100-80"),
        ("merlin-tiny", "hgx-h100-mesh4"),
        ("dlrm-v1", "h100-pcie"),
    ],
)
def test_never_a_longer_step(workload: str, topology: str) -> None:
    """The plan of several rounds simulates at most as long, and is proven."""
    steps = []
    for rounds in (0, 3):
        result = shardplan.solve(workload, topology, solver="greedy", rounds=rounds)
        assert check(result.plan) == ()
        steps.append(simulate(result.plan).step_time_s)
    assert steps[1] <= steps[0]


def test_rounds_help_where_overlap_hides_a_phase() -> None:
    """On two hosts, a plan with a higher objective has a shorter step."""
    plain, fed = (
        shardplan.solve("dlrm-dcnv2", "dgx-h200:2", solver="greedy", rounds=rounds)
        for rounds in (0, 4)
    )
    assert simulate(fed.plan).step_time_s < simulate(plain.plan).step_time_s
    assert fed.objective_s >= plain.objective_s
    assert fed.lower_bound_s <= plain.objective_s


def test_weights_of_a_step_without_overlap() -> None:
    """Where the step is the objective, a phase weighs mean over slowest rank."""
    plan = shardplan.solve("merlin-tiny", "dgx-a100-80", solver="greedy").plan
    simulation = simulate(plan, SimulationSettings.bare())
    cost = simulation.evaluation.loads.cost
    used = cost.max(axis=0) > 0
    expected = cost.mean(axis=0)[used] / cost.max(axis=0)[used]
    np.testing.assert_allclose(phase_weights(simulation)[used], expected, rtol=1e-9)


def test_hidden_phases_are_cheap() -> None:
    """The id exchange runs under the batch before: its weight is the least one."""
    plan = shardplan.solve("dlrm-dcnv2", "dgx-h100", solver="greedy").plan
    weights = phase_weights(simulate(plan))
    assert weights[PHASES.index(Phase.INPUT_DIST)] == weights.min() == 0.05
