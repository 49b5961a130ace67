"""Plans of measured steps: caches and rows in host memory."""

from __future__ import annotations

import pytest

from shardplan.errors import InputError
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import ComputeKernel
from shardplan.validation.plans import HostTables, MeasuredPlan
from tests.helpers import COST_MODEL, topology, workload

TABLES = ((0, 1), (2,))


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """Three tables on two ranks."""
    return Inputs(
        workload=workload({}, {}, {}),
        topology=topology(local_world_size=2),
        cost_model=COST_MODEL,
    )


def test_tables_in_host_memory(inputs: Inputs) -> None:
    """Named tables get their kernel and tiers; the others stay on the device."""
    matrix = MeasuredPlan.model_validate(
        {
            "ranks": TABLES,
            "host_tables": [
                {"tables": [0], "compute_kernel": "fused_uvm"},
                {
                    "tables": [2],
                    "compute_kernel": "fused_uvm_caching",
                    "cache_load_factor": 0.25,
                },
            ],
        }
    )
    first, second, third = matrix.to_plan(inputs).tables
    assert first.compute_kernel is ComputeKernel.FUSED_UVM
    assert (first.tiers.hbm, first.tiers.ddr) == (0.0, 1.0)
    assert second.compute_kernel is ComputeKernel.FUSED
    assert third.compute_kernel is ComputeKernel.FUSED_UVM_CACHING
    assert (third.tiers.hbm, third.tiers.ddr) == (0.25, 1.0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"compute_kernel": "fused"}, "must be one of: "),
        ({"cache_load_factor": 0.1}, "cannot have a cache_load_factor"),
        ({"compute_kernel": "fused_uvm_caching"}, "needs a cache_load_factor"),
    ],
)
def test_kernels_that_do_not_fit(changes: dict[str, object], rule: str) -> None:
    """A cache needs its size, and only it has one."""
    given = {"tables": [0], "compute_kernel": "fused_uvm", **changes}
    with pytest.raises(ValueError, match=rule):
        HostTables.model_validate(given)


def test_a_table_that_is_not_there(inputs: Inputs) -> None:
    """The position and the number of tables are named."""
    host = HostTables(tables=(3,), compute_kernel=ComputeKernel.FUSED_UVM)
    matrix = MeasuredPlan(ranks=TABLES, host_tables=(host,))
    with pytest.raises(InputError, match="the workload has 3 tables"):
        matrix.to_plan(inputs)
