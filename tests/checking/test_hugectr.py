"""What HugeCTR runs, and with how many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.checking.hugectr import hugectr_rules
from shardplan.costs.usage import TableUsage
from shardplan.errors import InfeasibleError, InputError
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.records.placement import TablePlacement
from shardplan.records.sharding import Objective, Target
from shardplan.records.targets import RUNTIMES, optimizer_notice
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

HUGECTR = RUNTIMES[Target.HUGECTR]


def test_other_types_kernels_and_row_types_are_named(valid: Plan) -> None:
    """Of a plan with everything, the check names what HugeCTR has not."""
    found: dict[str, list[str]] = {}
    for violation in check(valid, Target.HUGECTR):
        assert violation.rule == "target hugectr"
        found.setdefault(violation.table, []).append(violation.message)
    assert found == {
        "columns": [
            "column slices are equal, got [40, 44] columns",
            "a rank holds one shard of a table; ranks [5] hold several",
        ],
        "host": ["there is no table_row_wise sharding"],
        "one_host": ["there is no table_column_wise sharding"],
        "cached": ["there is no kernel 'fused_uvm_caching'"],
        "second": ["rows are stored as fp32, not as fp16"],
        "flash": ["there is no kernel 'key_value'"],
    }


def placement(kind: str, *blocks: dict[str, Any]) -> TablePlacement:
    return TablePlacement.model_validate(
        {
            "name": "t",
            "sharding_type": kind,
            "compute_kernel": "fused",
            "dtype": "fp32",
            "tiers": {"hbm": 1.0},
            "blocks": blocks,
        }
    )


def block(offset: int, width: int, *ranks: int, **changes: Any) -> dict[str, Any]:
    ranks = {"column_offset": offset, "num_columns": width, "ranks": list(ranks)}
    return {**ranks, **changes}


@pytest.mark.parametrize(
    ("blocks", "rule"),
    [
        ([block(0, 8, 0), block(8, 8, 3)], None),
        ([block(8, 8, 4, 6), block(0, 8, 0, 3)], None),  # in any order of blocks
        ([block(0, 8, 0), block(8, 4, 3)], "column slices are equal, got [4, 8]"),
        ([block(0, 8, 0, 1), block(8, 8, 3)], "on as many ranks, got [1, 2]"),
        ([block(0, 8, 3), block(8, 8, 3)], "ranks [3] hold several"),
        ([block(0, 8, 3), block(8, 8, 0)], "ascend with its columns"),
        ([block(0, 8, 0, 2), block(8, 8, 1, 3)], "ascend with its columns"),
        ([block(0, 16, 1, 0)], "ascend with its columns and rows"),
        ([block(0, 16, 0, 1, row_sizes=[500, 499])], None),
        ([block(0, 16, 0, 1, 2, 3, row_sizes=[3, 3, 3, 1])], None),  # of ceil(10 / 4)
        ([block(0, 16, 0, 1, row_sizes=[499, 500])], None),
        ([block(0, 16, 0, 1, row_sizes=[501, 499])], "more than one row"),
    ],
)
def test_slices_run_over_ascending_ranks(
    blocks: list[dict[str, Any]], rule: str | None
) -> None:
    """k equal slices on k runs of equally many ranks; rows are cut inside a run."""
    several = any(len(found["ranks"]) > 1 for found in blocks)
    kind = "row_wise" if len(blocks) == 1 else "column_wise"
    found = list(
        hugectr_rules(placement("grid_shard" if several else kind, *blocks), HUGECTR)
    )
    assert len(found) == (rule is not None)
    assert rule is None or rule in found[0]


def test_memory_is_rows_state_and_keys() -> None:
    """800 M rows of 128 fp32 over 8 GPUs: 52.0 GB with SGD, 103.2 GB with AdaGrad."""
    for optimizer, expected in (("sgd", 52.0e9), ("rowwise_adagrad", 103.2e9)):
        table = {
            "num_embeddings": 800_000_000,
            "constraints": {"sharding_types": ["row_wise"]},
        }
        work = workload(table, optimizer=optimizer)
        plan = solve(
            work,
            "dgx-a100-80",
            COST_MODEL,
            target="any",
            objective="step",
            solver="greedy",
        ).plan
        plan = plan.replace(target=Target.HUGECTR)
        items = evaluate(plan).memory_items(0)["hbm"]
        stored = ("weights", "optimizer state", "keys of rows")
        assert sum(items.get(name, 0.0) for name in stored) == expected


def test_keys_have_the_size_of_ids() -> None:
    """A shard keeps an id for each of its rows: 4 or 8 bytes; a copy has them all."""
    for size in (4, 8):
        table = {"constraints": {"sharding_types": ["data_parallel"]}}
        work = workload(table, index_bytes=size)
        assert not TableUsage.of(work, 4).key_bytes.any()
        assert (TableUsage.of(work, 4, Target.HUGECTR).key_bytes == size).all()
        plan = solve(work, ONE_HOST, COST_MODEL, target="hugectr", solver="greedy").plan
        assert evaluate(plan).memory_items(0)["hbm"]["keys of rows"] == 1000 * size


def test_a_plan_that_fits_elsewhere_is_checked_with_the_bytes_of_hugectr() -> None:
    """Row-wise state fits, full state does not: the check of another target says so."""
    table = {
        "num_embeddings": 40_000_000,
        "constraints": {
            "sharding_types": ["row_wise"],
            "compute_kernels": ["fused"],
            "min_column_width": 128,
        },
    }
    device = {**ONE_HOST.host_groups[0].device.model_dump(), "hbm_bytes": 8 * 10**9}
    group = ONE_HOST.host_groups[0].replace(device=device)
    small = ONE_HOST.replace(host_groups=(group,))
    work = workload(table, optimizer="rowwise_adagrad")
    plan = solve(work, small, COST_MODEL, solver="greedy").plan
    assert check(plan) == ()
    found = check(plan, Target.HUGECTR)
    assert {violation.rule for violation in found} == {"capacity"}
    with pytest.raises(InfeasibleError):
        solve(work, small, COST_MODEL, target="hugectr", solver="greedy")


def test_optimizers_that_static_tables_lack_are_refused() -> None:
    """Adam is an error with the known ones; row-wise Adagrad is run as Adagrad."""
    work = workload({}, optimizer="adam")
    with pytest.raises(InputError, match=r"optimizer = 'adam': HugeCTR has no such"):
        solve(work, ONE_HOST, COST_MODEL, target="hugectr", solver="greedy")
    plan = solve(work, ONE_HOST, COST_MODEL, solver="greedy").plan
    found = [str(violation) for violation in check(plan, Target.HUGECTR)]
    assert any("adam: HugeCTR has no such optimizer" in line for line in found)
    assert optimizer_notice(workload({}), Target.HUGECTR) is None
    rowwise = workload({}, optimizer="rowwise_adagrad")
    assert optimizer_notice(rowwise, Target.ANY) is None
    assert "adagrad, which it runs instead" in str(
        optimizer_notice(rowwise, Target.HUGECTR)
    )


def test_rowwise_adagrad_costs_what_adagrad_does() -> None:
    """Its state and traffic are those of the optimizer that HugeCTR has."""
    values = {
        name: solve(
            workload({}, optimizer=name),
            ONE_HOST,
            COST_MODEL,
            target="hugectr",
            solver="greedy",
        ).plan
        for name in ("rowwise_adagrad", "adagrad")
    }
    rowwise, full = (evaluate(plan) for plan in values.values())
    assert rowwise.value(Objective.STEP) == full.value(Objective.STEP)
    assert (rowwise.loads.hbm == full.loads.hbm).all()


def test_rows_of_other_types_are_refused_unless_fp32_may_replace_them() -> None:
    """The table is named, and what to do."""
    table = {"dtype": "fp16"}
    with pytest.raises(
        InfeasibleError, match=r"t0.* stores rows as fp32 only"
    ) as caught:
        solve(workload(table), ONE_HOST, COST_MODEL, target="hugectr", solver="greedy")
    assert "constraint dtypes" in str(caught.value)
    assert "GB" not in str(caught.value)
    table["constraints"] = {"dtypes": ["fp32"]}  # type: ignore[assignment]
    plan = solve(
        workload(table), ONE_HOST, COST_MODEL, target="hugectr", solver="greedy"
    ).plan
    assert plan.tables[0].dtype == "fp32"


def test_the_cost_model_of_torchrec_is_for_torchrec() -> None:
    """It counts the bytes of another framework."""
    with pytest.raises(InputError, match="prices what TorchRec runs"):
        solve(workload({}), ONE_HOST, "torchrec", target="hugectr", solver="greedy")
