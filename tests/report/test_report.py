"""Reports say what the evaluation says, and their renderings are readable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.checking import examine
from shardplan.errors import InfeasibleError, InputError, LimitError, Shortfall
from shardplan.planning import planner
from shardplan.plans.evaluation import evaluate
from shardplan.plans.frames import shard_frame
from shardplan.records.sharding import Objective
from shardplan.report import diff, explain, layout, plan_view, quality, solution
from shardplan.report.evaluation import evaluation_data, render_evaluation
from shardplan.report.step import render_step, step_data
from shardplan.simulation import simulate

if TYPE_CHECKING:
    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan


@pytest.fixture(scope="module", params=["step", "max-rank"])
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    """A plan of DLRM-DCNv2 for two hosts."""
    found = planner.solve(
        "dlrm-dcnv2", "dgx-h100:2", objective=request.param, solver="greedy"
    )
    return evaluate(found.plan)


@pytest.fixture(scope="module")
def verdict(evaluation: Evaluation) -> Verdict:
    """What is proven about that plan."""
    return examine(evaluation.plan)


def moved(plan: Plan, shift: int) -> Plan:
    """Put every shard `shift` ranks further."""
    world = plan.world_size
    tables = [
        placement.replace(
            blocks=tuple(
                block.replace(ranks=tuple((r + shift) % world for r in block.ranks))
                for block in placement.blocks
            )
        )
        for placement in plan.tables
    ]
    return plan.replace(tables=tuple(tables))


def test_reports_are_json(evaluation: Evaluation, verdict: Verdict) -> None:
    """Every report is data that JSON has."""
    step = simulate(evaluation.plan)
    for data in (
        evaluation_data(evaluation, verdict),
        plan_view.plan_data(evaluation, verdict),
        explain.explain_data(evaluation, verdict),
        diff.diff_data(evaluation, verdict, evaluation, verdict),
        step_data(step, verdict),
    ):
        assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_renderings_need_only_the_data(
    evaluation: Evaluation, verdict: Verdict
) -> None:
    """A report can be rendered from its JSON, in lines that fit."""
    for data, render in (
        (evaluation_data(evaluation, verdict), render_evaluation),
        (plan_view.plan_data(evaluation, verdict), plan_view.render_plan),
        (explain.explain_data(evaluation, verdict), explain.render_explain),
        (diff.diff_data(evaluation, verdict, evaluation, verdict), diff.render_diff),
        (step_data(simulate(evaluation.plan), verdict), render_step),
    ):
        text = layout.to_text(render(json.loads(json.dumps(data))))
        assert text.endswith("\n")
        assert max(map(len, text.splitlines())) <= layout.WIDTH
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("gap", "shown"),
    [
        (0.0, "0.0 %"),
        (1e-12, "0.0 %"),
        (1e-8, "0.001 %"),
        (4e-4, "0.04 %"),
        (0.098, "9.8 %"),
    ],
)
def test_small_gaps_are_not_called_none(gap: float, shown: str) -> None:
    """A plan that is nearly optimal is told from one that is."""
    assert quality.gap_text(gap) == shown


def test_binding_costs_add_up(evaluation: Evaluation) -> None:
    """The costs of the tables that bind are the objective."""
    costs = explain.binding_costs(evaluation)
    value = evaluation.value(evaluation.plan.objective)
    assert costs.sum() == pytest.approx(value, rel=1e-12)
    assert (costs >= 0).all()


def test_what_if_is_true(evaluation: Evaluation, verdict: Verdict) -> None:
    """Conditions are sorted by gain, and better hardware never costs time."""
    data = explain.explain_data(evaluation, verdict)
    values = [entry["objective_s"] for entry in data["what_if"]]
    assert values == sorted(values)
    assert all(entry["objective_s"] < entry["before_s"] for entry in data["what_if"])
    assert any("twice as fast" in entry["change"] for entry in data["what_if"])


def test_what_if_without_a_table(evaluation: Evaluation, verdict: Verdict) -> None:
    """A table that is left out changes the objective as its absence does."""
    plan = evaluation.plan
    entry = next(
        e
        for e in explain.explain_data(evaluation, verdict)["what_if"]
        if e["change"].startswith("without table ")
    )
    name = entry["change"].removeprefix("without table ")
    rest = tuple(p for p in plan.tables if p.name != name)
    without = evaluate(plan.replace(tables=rest)).value(plan.objective)
    assert entry["objective_s"] == pytest.approx(without)


def test_moved_bytes_of_a_shift(evaluation: Evaluation) -> None:
    """Bytes that move are those of cells on ranks that did not hold them."""
    before, after = evaluation.plan, moved(evaluation.plan, 8)
    found = diff.moved_bytes(before, after)
    tables = {t.name: t for t in before.inputs.workload.tables}
    a, b = shard_frame(before), shard_frame(after)
    for placement in before.tables:
        name, columns = placement.name, tables[placement.name].embedding_dim
        cells = 0
        for rank in range(before.world_size):
            cells += _new_cells(
                a[(a["table"] == name) & (a["rank"] == rank)],
                b[(b["table"] == name) & (b["rank"] == rank)],
            )
        row = 4 * columns + _state(before, columns)
        assert found[name] == pytest.approx(cells * row / columns)


def _state(plan: Plan, columns: int) -> float:
    """Optimizer state of a row [bytes]."""
    from shardplan.costs.memory.storage import state_bytes

    return float(state_bytes(plan.inputs.workload.optimizer, columns))


def _new_cells(held: Any, wanted: Any) -> int:
    """Count cells of `wanted` outside of `held`, rectangle by rectangle."""
    cells = 0
    for new in wanted.itertuples():
        cells += new.num_rows * new.num_columns
        for old in held.itertuples():
            rows = min(
                new.row_offset + new.num_rows, old.row_offset + old.num_rows
            ) - max(new.row_offset, old.row_offset)
            columns = min(
                new.column_offset + new.num_columns,
                old.column_offset + old.num_columns,
            ) - max(new.column_offset, old.column_offset)
            cells -= max(0, rows) * max(0, columns)
    return int(cells)


def test_diff_names_the_kind_of_change(
    evaluation: Evaluation, verdict: Verdict
) -> None:
    """Tables are added, removed, decided otherwise, or on other ranks."""
    plan = evaluation.plan
    shifted = evaluate(moved(plan, 8))
    kinds = {
        t["change"]
        for t in diff.diff_data(evaluation, verdict, shifted, verdict)["tables"]
    }
    assert kinds == {"ranks"}
    fewer = evaluate(plan.replace(tables=plan.tables[1:]))
    assert (
        diff.diff_data(evaluation, verdict, fewer, verdict)["tables"][0]["change"]
        == "removed"
    )
    assert (
        diff.diff_data(fewer, verdict, evaluation, verdict)["tables"][0]["change"]
        == "added"
    )
    other = plan.tables[0].replace(dtype="fp16")
    changed = evaluate(plan.replace(tables=(other, *plan.tables[1:])))
    assert (
        diff.diff_data(evaluation, verdict, changed, verdict)["tables"][0]["change"]
        == "decision"
    )


def test_limits_cut_lists(evaluation: Evaluation, verdict: Verdict) -> None:
    """A limit cuts lists, but not counts."""
    data = explain.explain_data(evaluation, verdict, limit=2)
    assert len(data["tables"]) == 2
    assert data["num_tables"] == 26
    assert "... and 24 more" in layout.to_text(explain.render_explain(data))


def test_overfull_memory_is_shown(evaluation: Evaluation) -> None:
    """A plan that does not fit says so, with a bar that ends in an arrow."""
    groups = evaluation.plan.inputs.topology.host_groups
    device = groups[0].device.model_copy(update={"hbm_bytes": 12_000_000_000})
    small = (groups[0].model_copy(update={"device": device}),)
    topology = evaluation.plan.inputs.topology.model_copy(update={"host_groups": small})
    inputs = evaluation.plan.inputs.model_copy(update={"topology": topology})
    plan = evaluation.plan.model_copy(update={"inputs": inputs})
    text = layout.to_text(
        render_evaluation(evaluation_data(evaluate(plan), examine(plan)))
    )
    assert "DOES NOT FIT" in text
    assert "#>" in text


def test_failure_of_a_solve() -> None:
    """A failure has the keys of a solution, and the shortfalls if there are any."""
    shortfall = Shortfall("hbm", np.float64(2e9), np.float64(1e9), ("a", "b"))
    proven = solution.failure_data(InfeasibleError("no", [shortfall], proven=True))
    assert proven["status"] == "infeasible"
    assert proven["shortfalls"][0]["tables"] == ["a", "b"]
    assert json.loads(json.dumps(proven)) == proven
    for error in (InfeasibleError("no", proven=False), LimitError("late")):
        assert solution.failure_data(error)["status"] == "not_found"


def test_solution_without_arithmetic_rates(evaluation: Evaluation) -> None:
    """Where the step cannot be simulated, its keys are null."""
    inputs = evaluation.plan.inputs
    group = inputs.topology.host_groups[0]
    device = group.device.replace(peak_flops={})
    topology = inputs.topology.replace(host_groups=(group.replace(device=device),))
    with pytest.raises(
        InputError, match=r"peak_flops.*objectives step and max-rank do"
    ):
        planner.solve(inputs.workload, topology, solver="greedy")
    found = planner.solve(
        inputs.workload, topology, solver="greedy", objective=Objective.STEP
    )
    data = solution.solution_data(found, None)
    assert data["step_time_s"] is None
    assert data["throughput_samples_per_s"] is None
    assert "not simulated" in layout.to_text(solution.render_solution(data))
