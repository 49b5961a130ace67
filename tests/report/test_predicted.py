"""The predicted step, taken apart, is the predicted step, and hangs on what it says."""

from __future__ import annotations

import numpy as np
import pytest

import shardplan
from shardplan.plans.evaluation import Evaluation, evaluate
from shardplan.report.predicted import predicted_step, step_without
from shardplan.report.predicted_view import (
    longest,
    part_rows,
    path_sentences,
    prediction_data,
)
from shardplan.simulation import SimulationSettings, simulate

PAIRS = [
    ("dlrm-dcnv2", "dgx-h100:2"),
    ("criteo-kaggle", "dgx-a100-40:2"),
    ("merlin-tiny", "h100-pcie"),
    ("merlin-small", "dgx-a100-80:2"),
    ("torcheasyrec-dlrm", "gb200-nvl72"),
]
PATH = SimulationSettings.path()
"""Neither slow-down nor sharing of links."""


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    """A plan of greedy, which is out of balance somewhere."""
    workload, topology = request.param
    return evaluate(
        shardplan.solve(workload, topology, solver="greedy", objective="step").plan
    )


def test_parts_add_up(evaluation: Evaluation) -> None:
    """So do fixed, balanced and imbalance; the operations; and what tables add."""
    step = predicted_step(evaluation)
    assert step is not None
    exact = pytest.approx(evaluation.value("time"), rel=1e-9)
    assert step.step_s == exact
    fixed_s = sum(step.fixed_s.values())
    assert fixed_s + step.balanced_s + step.imbalance_s == exact
    assert sum(part.path_s for part in step.path) == exact
    on_path_s = sum(part.fixed_s for part in step.path)
    assert on_path_s + step.tables_s.sum() == exact
    assert on_path_s <= fixed_s * (1.0 + 1e-9)
    for part in step.path:
        lengthened = part.path_s - part.fixed_s
        assert part.tables_s.sum() == pytest.approx(lengthened, abs=1e-9 * step.step_s)


def test_fixed_is_what_no_table_can_change(evaluation: Evaluation) -> None:
    """No step of these options is shorter than what is fixed, nor is a balanced one."""
    step = predicted_step(evaluation)
    assert step is not None
    assert 0 < sum(step.fixed_s.values()) < step.step_s
    assert step.balanced_s > 0
    assert step.imbalance_s >= -1e-9 * step.step_s


def test_without_a_table(evaluation: Evaluation) -> None:
    """The step without a table is that of the plan that lacks it, at most as long."""
    step, plan = predicted_step(evaluation), evaluation.plan
    assert step is not None
    tables = plan.inputs.workload.tables
    for index in np.argsort(-step.tables_s)[:2]:
        rest = tuple(p for p in plan.tables if p.name != tables[index].name)
        other = evaluate(plan.replace(tables=rest)).value("time")
        assert step_without(evaluation, int(index)) == pytest.approx(other, rel=1e-9)
        assert other <= step.step_s * (1.0 + 1e-9)


def test_the_simulator_names_the_same(evaluation: Evaluation) -> None:
    """Without slow-down and sharing its critical path has the same operations."""
    data = prediction_data(evaluation, simulate(evaluation.plan, PATH))
    assert data is not None
    share = sum(part["share"] for part in data["path"] if part["on_simulated_path"])
    assert share > 0.97
    assert longest(data)[0]["on_simulated_path"]
    assert data["critical_rank"] == data["simulated"]["critical_rank"]
    (about,) = [s for s in path_sentences(data) if "simulated step" in s]
    assert about.endswith("hangs on the same operations as the predicted one.")


def test_a_difference_to_the_simulator_is_said(evaluation: Evaluation) -> None:
    """With all effects either both hang on the same, or what differs is named."""
    data = prediction_data(evaluation, simulate(evaluation.plan))
    assert data is not None
    text = " ".join(path_sentences(data))
    here = {part["operation"] for part in data["path"] if part["share"] > 0.01}
    there = data["simulated"]["path_s"]
    missing = [name for name in here if name not in there]
    assert all(name in text for name in missing)
    assert ("same operations" in text) <= (not missing)
    ranks = {data["critical_rank"], data["simulated"]["critical_rank"]} - {None}
    assert all(f"rank {rank}" in text for rank in ranks)


def test_ranks_take_what_they_take_in_the_simulator(evaluation: Evaluation) -> None:
    """Without slow-down, those of the path do; it passes most of them once."""
    rows = {row.name: row for row in simulate(evaluation.plan, PATH).phases}
    step = predicted_step(evaluation)
    assert step is not None
    whole = [part for part in step.path if part.operation in rows]
    assert whole
    for part in whole:
        row = rows[part.operation]
        assert part.max_s == pytest.approx(row.max_s, rel=1e-9)
        if part.rank is not None:
            assert part.path_s <= row.busy_s[part.rank] * (1.0 + 1e-9)


def test_rows_make_up_the_step(evaluation: Evaluation) -> None:
    """What reports list under the step adds up to it."""
    data = prediction_data(evaluation, None)
    assert data is not None
    assert sum(s for _, s in part_rows(data)) == pytest.approx(data["step_s"])
    assert data["simulated"] is None
    assert {part["on_simulated_path"] for part in data["path"]} == {None}


def test_what_cannot_be_timed_has_no_parts() -> None:
    """TorchRec's cost model prices sums only: there is no step to take apart."""
    result = shardplan.solve(
        "movielens-ncf",
        "dgx-a100-40",
        "torchrec",
        solver="greedy",
        target="torchrec",
        objective="step",
    )
    assert predicted_step(evaluate(result.plan)) is None
    assert prediction_data(evaluate(result.plan), None) is None
