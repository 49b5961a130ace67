"""A valid plan with every sharding type and every kind of constraint."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.records.fingerprint import fingerprints
from shardplan.records.inputs import Inputs
from shardplan.records.record import dump
from tests.helpers import COST_MODEL, TWO_HOSTS, workload

NARROW = {"embedding_dim": 16}
PINNED = {
    "sharding_types": ["table_wise", "column_wise"],
    "compute_kernels": ["fused"],
    "ranks": [0, 1, 2],
    "hosts": [0],
    "forbidden_ranks": [1],
    "min_column_width": 8,
}
CACHED = {
    "compute_kernels": ["fused_uvm_caching", "fused_uvm_split", "fused_uvm"],
    "cache_load_factor": 0.2,
}
TABLES: list[dict[str, Any]] = [
    {"name": "columns"},
    {"name": "rows", "num_embeddings": 1003},
    {"name": "copy", **NARROW},
    {"name": "host", **NARROW},
    {"name": "grid"},
    {"name": "one_host", **NARROW},
    {"name": "cached", **NARROW, "constraints": CACHED},
    {"name": "pinned", **NARROW, "constraints": PINNED},
    {"name": "first", **NARROW},
    {"name": "second", **NARROW, "constraints": {"dtypes": ["fp16", "int4"]}},
    {"name": "apart", **NARROW},
    {"name": "flash", **NARROW},
]


def _placed(name: str, kind: str, *blocks: Any, **changes: Any) -> dict[str, Any]:
    keys = ("column_offset", "num_columns", "ranks")
    return {
        "name": name,
        "sharding_type": kind,
        "compute_kernel": "fused",
        "dtype": "fp32",
        "tiers": {"hbm": 1.0},
        "blocks": [dict(zip(keys, block, strict=True)) for block in blocks],
        **changes,
    }


PLACEMENTS = [
    _placed("columns", "column_wise", (0, 40, "0"), (40, 44, "5"), (84, 44, "5")),
    _placed("rows", "row_wise", (0, 128, "0-7")),
    _placed("copy", "data_parallel", (0, 16, "0-7"), compute_kernel="dense"),
    _placed("host", "table_row_wise", (0, 16, "4-7")),
    _placed("grid", "grid_shard", (0, 64, "0-3"), (64, 64, "4-7")),
    _placed("one_host", "table_column_wise", (0, 8, "4"), (8, 8, "7")),
    _placed(
        "cached",
        "table_wise",
        (0, 16, "3"),
        compute_kernel="fused_uvm_caching",
        tiers={"hbm": 0.2, "ddr": 1.0},
    ),
    _placed("pinned", "column_wise", (0, 8, "0"), (8, 8, "2")),
    _placed("first", "table_wise", (0, 16, "1")),
    _placed("second", "table_wise", (0, 16, "1"), dtype="fp16"),
    _placed("apart", "table_wise", (0, 16, "6")),
    _placed(
        "flash",
        "table_wise",
        (0, 16, "6"),
        compute_kernel="key_value",
        tiers={"hbm": 0.05, "ddr": 0.2, "ssd": 1.0},
    ),
]


def valid_plan() -> Plan:
    """Make a plan that keeps all rules; its bound is half its value."""
    model = workload(
        *TABLES,
        colocate=[["first", "second"]],
        separate=[["apart", "pinned"]],
        optimizer="rowwise_adagrad",
    )
    inputs = Inputs(workload=model, topology=TWO_HOSTS, cost_model=COST_MODEL)
    outcome = {
        "solver": "by_hand",
        "seed": 0,
        "status": "feasible",
        "objective_s": 0.0,
        "lower_bound_s": 0.0,
        "gap": None,
    }
    plan = Plan.model_validate(
        {
            "schema_version": 1,
            "shardplan_version": "0.1.0",
            "target": "any",
            "objective": "step",
            "outcome": outcome,
            "fingerprints": fingerprints(inputs),
            "tables": PLACEMENTS,
            "inputs": inputs,
        }
    )
    value = evaluate(plan).value(plan.objective)
    outcome |= {"objective_s": value, "lower_bound_s": value / 2, "gap": 1.0}
    return plan.replace(outcome=outcome)


@pytest.fixture(scope="session")
def valid() -> Plan:
    """Return a plan that keeps all rules."""
    return valid_plan()


@pytest.fixture
def data(valid: Plan) -> dict[str, Any]:
    """Return the JSON of the valid plan, to be tampered with."""
    return dump(valid)
