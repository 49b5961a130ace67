"""Host memory that the cost model divides over ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.errors import InfeasibleError, InputError
from shardplan.exporters import export
from shardplan.io.catalog import load_cost_model
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.records.placement import ColumnBlock
from shardplan.records.sharding import SUMS, Objective
from tests.helpers import ONE_HOST, workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

MODEL = load_cost_model("torchrec")
ROW_BYTES = 128 * 4
OPTIONS: dict[str, Any] = {
    "target": "torchrec",
    "objective": "max-rank",
    "time_limit_s": 5,
}


def in_host_memory(rows: int, **table: Any) -> dict[str, Any]:
    """Make a table that is in host memory, in columns or whole."""
    limits = {
        "sharding_types": ["table_wise", "column_wise"],
        "compute_kernels": ["fused_uvm"],
    }
    return {"num_embeddings": rows, "constraints": limits, **table}


def host_of(share: int) -> Topology:
    """One host of four ranks, each with a share of its DDR [bytes]."""
    group = ONE_HOST.host_groups[0]
    assert group.local_world_size == 4
    host = group.host.replace(ddr_bytes=4 * share)
    return ONE_HOST.replace(host_groups=(group.replace(host=host),))


def used(plan: Any) -> list[float]:
    """DDR on every rank [bytes]."""
    return evaluate(plan).loads.ddr.tolist()


def test_a_table_above_a_ranks_share_is_cut() -> None:
    """A table of two shares fits no rank, though the host has four: it is cut."""
    rows = 100_000
    plan = solve(
        workload(in_host_memory(rows)),
        host_of(rows * ROW_BYTES // 2),
        MODEL,
        **OPTIONS,
    ).plan
    assert len(plan.tables[0].blocks) > 1
    assert max(used(plan)) <= rows * ROW_BYTES / 2
    assert check(plan) == ()


def test_other_cost_models_share_the_host() -> None:
    """Without TorchRec's estimator host memory is one pool."""
    rows = 100_000
    own = load_cost_model("h100")
    work = workload(
        in_host_memory(rows, constraints={"compute_kernels": ["fused_uvm"]})
    )
    plan = solve(
        work, host_of(rows * ROW_BYTES), own, **{**OPTIONS, "solver": "greedy"}
    ).plan
    capacity = evaluate(plan).capacity
    assert (capacity.pool_place, len(capacity.pool_ddr)) == ("host", 1)


def test_no_share_is_large_enough() -> None:
    """A table that may not be cut and is above every share has no plan."""
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused_uvm"]}
    work = workload(in_host_memory(100_000, constraints=limits))
    with pytest.raises(InfeasibleError):
        solve(work, host_of(99_999 * ROW_BYTES), MODEL, **OPTIONS)


def test_a_plan_above_a_share_is_refused() -> None:
    """Export names the table, the rank and its share."""
    work = workload(in_host_memory(1000), in_host_memory(1000))
    plan = solve(work, host_of(1500 * ROW_BYTES), MODEL, **OPTIONS).plan
    block = ColumnBlock(num_columns=128, ranks=(2,))
    moved = [
        p.model_copy(update={"blocks": (block,), "sharding_type": "table_wise"})
        for p in plan.tables
    ]
    with pytest.raises(InputError, match="capacity: DDR of rank 2 holds"):
        export(plan.replace(tables=tuple(moved), certificate=None), "torchrec")


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("solver", ["auto", "ilp"])
def test_solvers_fill_each_rank_alone(objective: Objective, solver: str) -> None:
    """Of sizes 1, 1, 2, 2, 3 and 3 on ranks with room for 3, a 1 joins each 2."""
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused_uvm"]}
    sizes = (2, 2, 1, 1, 3, 3)
    tables = [in_host_memory(1000 * size, constraints=limits) for size in sizes]
    plan = solve(
        workload(*tables),
        host_of(3001 * ROW_BYTES),
        MODEL,
        **{**OPTIONS, "objective": objective, "solver": solver},
    ).plan
    assert used(plan) == [3000 * ROW_BYTES] * 4
    assert check(plan) == ()


def test_too_many_tables_for_the_shares() -> None:
    """Nine tables of two fifths of a share fit the host, but not four ranks."""
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused_uvm"]}
    work = workload(*[in_host_memory(1000, constraints=limits)] * 9)
    with pytest.raises(InfeasibleError):
        solve(work, host_of(2500 * ROW_BYTES), MODEL, **OPTIONS)
