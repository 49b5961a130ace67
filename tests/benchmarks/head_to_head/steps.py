"""The step of a case by our own cost model: of a plan for it, and of one for the ruler.

TorchRec's ruler has no latencies and no dense layers, so it cannot time a step. Plans
for `time` are made for what the cluster's own cost model says, and plans for the ruler
are timed by the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shardplan.errors import InfeasibleError, InputError, LimitError
from shardplan.planning.planner import solve
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Objective, Target
from tests.benchmarks.frozen import frozen_cost_model
from tests.benchmarks.head_to_head.cases import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.records.placement import TablePlacement


def plan_for_step(case: str, limit_s: float, ruler: Path) -> dict[str, Any]:
    """Plan a case for `time`; predict its step, and that of a plan for the ruler.

    Parameters
    ----------
    ruler : Path
        Of the plan that is best by TorchRec's ruler; it may be missing.
    """
    work, topology = CASES[case]()
    model = frozen_cost_model(str(topology.cost_model))
    inputs = Inputs(workload=work, topology=topology, cost_model=model)
    start = time.perf_counter()
    try:
        plan = solve(
            **dict(inputs),
            target=Target.TORCHREC,
            objective=Objective.TIME,
            time_limit_s=limit_s,
        ).plan
    except (InfeasibleError, InputError, LimitError) as error:
        return {"error": str(error)}
    found = {"time_s": time.perf_counter() - start, "gap": plan.outcome.gap}
    found["step_ms"] = predicted_ms(inputs, plan.tables)
    if ruler.exists():
        found["ruler_step_ms"] = predicted_ms(inputs, Plan.load(ruler).tables)
    return found


def predicted_ms(inputs: Inputs, tables: tuple[TablePlacement, ...]) -> float:
    """Predict the step of placements [ms]."""
    plan = assemble_unproven(
        inputs, tables, solver="", target=Target.TORCHREC, objective=Objective.TIME
    )
    return 1e3 * evaluate(plan).value(Objective.TIME)
