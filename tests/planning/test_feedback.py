"""Feeding the simulated step back into the prices."""

from __future__ import annotations

import pytest

import shardplan
from shardplan.checking import check
from shardplan.planning.feedback import phase_weights
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import PHASES, Phase
from shardplan.simulation import simulate


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
        result = shardplan.solve(
            workload, topology, solver="greedy", rounds=rounds, objective="step"
        )
        assert check(result.plan) == ()
        steps.append(simulate(result.plan).step_time_s)
    assert steps[1] <= steps[0]


def test_rounds_help_where_overlap_hides_a_phase() -> None:
    """On two hosts, a plan with a higher objective has a shorter step."""
    plain, fed = (
        shardplan.solve(
            "dlrm-dcnv2", "dgx-h200:2", solver="greedy", rounds=rounds, objective="step"
        )
        for rounds in (0, 4)
    )
    assert simulate(fed.plan).step_time_s < simulate(plain.plan).step_time_s
    assert fed.objective_s >= plain.objective_s
    assert fed.lower_bound_s <= plain.objective_s


def test_weights_are_criticality_times_slope() -> None:
    """What a kernel takes beyond its least time counts, if it is on the path."""
    plan = shardplan.solve(
        "merlin-tiny", "dgx-a100-80", solver="greedy", objective="step"
    ).plan
    evaluation = evaluate(plan)
    prediction = evaluation.prediction
    floor = evaluation.rates.cost_model.lookup.forward_floor_s.value
    rise = sum(
        prediction.criticality[name] * max(prediction.seconds_of(name) - floor, 0.0)
        for name in ("embedding_forward", "replicated_forward")
    )
    which = PHASES.index(Phase.FWD_COMPUTE)
    priced = evaluation.loads.cost[:, which].max()
    assert rise > 0
    assert phase_weights(evaluation)[which] == pytest.approx(rise / priced)


def test_hidden_phases_are_cheap() -> None:
    """The id exchange runs under the batch before: its weight is the least one."""
    plan = shardplan.solve(
        "dlrm-dcnv2", "dgx-h100", solver="greedy", objective="step"
    ).plan
    weights = phase_weights(evaluate(plan))
    assert weights[PHASES.index(Phase.INPUT_DIST)] == weights.min() == 0.05
