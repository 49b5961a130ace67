"""What would change a plan's objective: the same plan under other conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.planning.padding import padding_that_pays
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import Objective
from shardplan.report.predicted import predicted_step, step_without

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats


_TOP = 3
"""Tables that are left out, one at a time."""
_WORTH = 1e-3
"""Relative change of the objective from which a condition is listed."""


def what_if_data(evaluation: Evaluation, table_cost: Floats) -> list[dict[str, Any]]:
    """List conditions and the objective of the same plan under them, best first.

    Tables that are padded get a plan of their own.

    Parameters
    ----------
    table_cost : float array (T,)
        Each table's part of the objective [s]; the dearest are left out in turn.
    """
    before = evaluation.value(evaluation.plan.objective)
    found = [_balanced(evaluation)]
    found += _better_hardware(evaluation)
    found += _without_tables(evaluation, table_cost)
    found += [
        (f"{padded.change}, planned anew", padded.objective_s)
        for padded in padding_that_pays(evaluation)
    ]
    return [
        {"change": text, "objective_s": value, "before_s": before}
        for text, value in sorted(found, key=lambda item: (item[1], item[0]))
        if before and value < before * (1.0 - _WORTH)
    ]


def _balanced(evaluation: Evaluation) -> tuple[str, float]:
    """Value if the seconds of each phase, or operation, were spread over the ranks."""
    step = None
    if evaluation.plan.objective is Objective.TIME:
        step = predicted_step(evaluation)
    if step is None:
        mean_s = float(evaluation.loads.cost.mean(axis=0).sum())
        return "all ranks equally loaded in every phase", mean_s
    value = step.step_s - step.imbalance_s
    return "all ranks equally loaded in every operation", value


def _better_hardware(evaluation: Evaluation) -> list[tuple[str, float]]:
    """Value of the plan on the same cluster with twice of one resource."""
    plan, found = evaluation.plan, []
    for text, (part, *fields) in _TWICE.items():
        topology = plan.inputs.topology.scaled(part, **dict.fromkeys(fields, 2.0))
        inputs = plan.inputs.replace(topology=topology)
        other = evaluate(plan.model_copy(update={"inputs": inputs}))
        found.append((text, other.value(plan.objective)))
    return found


_TWICE = {
    "HBM twice as fast": ("device", "hbm_bw"),
    "scale-up links twice as fast": ("scale_up", "bw"),
    "NICs twice as fast": ("scale_out", "nic_bw"),
    "PCIe and host memory twice as fast": ("host", "pcie_bw", "ddr_bw"),
    "SSDs twice as fast": ("host", "ssd_read_bw", "ssd_write_bw", "ssd_read_iops"),
}
"""What a topology has twice of: a part of its hosts, and fields of that."""


def _without_tables(
    evaluation: Evaluation, table_cost: Floats
) -> list[tuple[str, float]]:
    """Value of the plan without each of the dearest tables."""
    tables = evaluation.plan.inputs.workload.tables
    dearest = sorted(
        np.flatnonzero(table_cost), key=lambda t: (-table_cost[t], tables[t].name)
    )
    return [
        (f"without table {tables[t].name}", _value_without(evaluation, int(t)))
        for t in dearest[:_TOP]
    ]


def _value_without(evaluation: Evaluation, table: int) -> float:
    if evaluation.plan.objective is Objective.TIME:
        return step_without(evaluation, table)
    cost = evaluation.loads.cost.copy()
    classes = evaluation.cluster.rank_class
    for index in np.flatnonzero(evaluation.arrays.table == table):
        ranks = np.array(evaluation.shards[index].ranks)
        np.subtract.at(cost, ranks, evaluation.prices.cost[index, classes[ranks]])
    if evaluation.plan.objective is Objective.STEP:
        return float(cost.max(axis=0).sum())
    return float(cost.sum(axis=1).max())
