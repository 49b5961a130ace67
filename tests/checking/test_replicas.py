"""A plan for one of several sharding groups keeps to what can be averaged."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.checking import check
from shardplan.errors import InfeasibleError, InputError
from shardplan.records.sharding import ReplicaLayout, Target
from tests.helpers import COST_MODEL, TWO_HOSTS, Instance, workload

GROUP = TWO_HOSTS.sharding_group(4, ReplicaLayout.INSIDE)


def planned(*kernels: str, **options: Any) -> Any:
    table = {"constraints": {"compute_kernels": list(kernels)}}
    return Instance(workload(table, table), GROUP, COST_MODEL).solve(**options)


@pytest.mark.parametrize(
    "kernel", ["fused_uvm_caching", "fused_uvm_split", "key_value"]
)
def test_rows_that_would_drift_apart_are_refused(kernel: str) -> None:
    """By the menu, and by the check of a plan that has them all the same."""
    with pytest.raises(InfeasibleError, match="would drift apart"):
        planned(kernel)
    plan = planned("fused").plan
    placed = [one.replace(compute_kernel=kernel) for one in plan.tables]
    found = check(plan.model_copy(update={"tables": tuple(placed)}))
    messages = {v.table: v.message for v in found if "drift" in v.message}
    assert set(messages) == {"t0", "t1"}
    assert messages["t0"].startswith(f"kernel '{kernel}': copies in other sharding")


@pytest.mark.parametrize("kernel", ["fused", "fused_uvm"])
def test_rows_that_are_averaged_in_place(kernel: str) -> None:
    """In HBM and in host memory without a cache."""
    assert check(planned(kernel).plan) == ()


def test_hugectr_has_no_copies_of_groups() -> None:
    """No option is left, and the reason is said."""
    with pytest.raises(InfeasibleError, match="HugeCTR keeps no copies of sharding"):
        planned("fused", target="hugectr")
    found = check(planned("fused").plan, Target.HUGECTR)
    assert any("HugeCTR keeps no copies" in violation.message for violation in found)


def test_torchrec_has_no_columns_on_one_host() -> None:
    """Ranks of a group without a shard of such a table stop."""
    plan = planned("fused").plan
    placed = [one.replace(sharding_type="table_column_wise") for one in plan.tables]
    edited = plan.model_copy(update={"tables": tuple(placed)})
    message = "TorchRec has no table_column_wise in sharding groups"
    assert any(v.message == message for v in check(edited, Target.TORCHREC))
    assert not any(v.message == message for v in check(edited, Target.ANY))
    table = {"constraints": {"sharding_types": ["table_column_wise"]}}
    instance = Instance(workload(table), GROUP, COST_MODEL)
    with pytest.raises(InfeasibleError, match="in sharding groups"):
        instance.solve(target="torchrec")


def test_torchrec_averages_one_state() -> None:
    """Its `DMPCollection` asks for the state ``sum``, which Adam does not have."""
    adam = Instance(workload({}, optimizer="adam"), GROUP, COST_MODEL)
    with pytest.raises(
        InputError, match="averages copies in sharding groups only with sgd"
    ):
        adam.solve(target="torchrec")
    plan = adam.solve().plan
    found = [v.message for v in check(plan, Target.TORCHREC)]
    assert any("adam: TorchRec averages copies" in message for message in found)
    alone = Instance(workload({}, optimizer="adam"), TWO_HOSTS, COST_MODEL)
    assert alone.solve(target="torchrec").plan.tables
