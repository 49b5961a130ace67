"""Plans whose pages are opened: an ordinary one, evil names, and a very large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.io.catalog import load_cost_model, load_topology
from shardplan.planning import planner
from shardplan.plans.assemble import assemble_unproven
from shardplan.records.inputs import Inputs
from shardplan.records.placement import ColumnBlock, TablePlacement, TierSplit
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.records.workload import Workload
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "\"><img src=x onerror=document.title='owned'>",
    "'; document.title='owned'; '",
    "<!-- ]]> --> &amp; &lt;b&gt;",
    "bidi \u202egnp.exe\u202c \u2066x\u2069",
    "line\u2028separator\u2029and\u200bnothing",
    "emoji 🙂👩‍👩‍👧‍👦 and שלום and 表",
    "long_" + "x" * 190,
    "{{ 7 * 7 }} {% raw %} ${7 * 7}",
    "rank:0",
]
"""Names that would be obeyed, hide something, or take too much room."""


def small_plan() -> Plan:
    """Return a plan of DLRM-DCNv2 for two hosts."""
    return planner.solve("dlrm-dcnv2", "dgx-h100:2", solver="greedy").plan


def hostile_plan() -> Plan:
    """Return a plan in which everything that has a name has an evil one."""
    tables = [{"name": name, "pooling_factor": 3.0} for name in HOSTILE]
    model = workload(*tables).replace(name=HOSTILE[0])
    topology = ONE_HOST.replace(name=HOSTILE[1])
    return planner.solve(model, topology, COST_MODEL, solver="greedy").plan


def large_plan(num_tables: int = 10_000, num_hosts: int = 512) -> Plan:
    """Return a plan of 10,000 tables for 4,096 ranks, placed at random."""
    rng = np.random.default_rng(0)
    topology = load_topology(f"dgx-h100:{num_hosts}")
    rows = np.exp(rng.uniform(5, 15, num_tables)).astype(int).tolist()
    tables = [
        {
            "name": f"table_{index:05d}",
            "num_embeddings": size,
            "embedding_dim": int(rng.choice([16, 32, 64, 128])),
            "pooling_factor": float(rng.integers(1, 30)),
        }
        for index, size in enumerate(rows)
    ]
    model = Workload.model_validate(
        {
            "schema_version": 1,
            "name": "large",
            "global_batch_size": 1_048_576,
            "tables": tables,
        }
    )
    cost_model = load_cost_model(topology.cost_model or "h100")
    inputs = Inputs(workload=model, topology=topology, cost_model=cost_model)
    kinds = rng.choice(4, num_tables, p=[0.3, 0.3, 0.3, 0.1])
    placed = tuple(
        _placed(table, int(kind), topology.world_size, rng)
        for table, kind in zip(model.tables, kinds, strict=True)
    )
    return assemble_unproven(
        inputs,
        placed,
        solver="by_hand",
        target=Target.ANY,
        objective=Objective.STEP,
    )


def _placed(table, kind: int, world: int, rng: np.random.Generator) -> TablePlacement:  # type: ignore[no-untyped-def]
    """Place a table on one rank, on four in columns, on a host, or everywhere."""
    kernel, dim = ComputeKernel.FUSED, table.embedding_dim
    if kind == 0:
        sharding, groups = ShardingType.TABLE_WISE, [(int(rng.integers(world)),)]
    elif kind == 1:
        sharding = ShardingType.COLUMN_WISE
        groups = [(int(r),) for r in rng.choice(world, 4, replace=False)]
    elif kind == 2:
        first = 8 * int(rng.integers(world // 8))
        sharding = ShardingType.TABLE_ROW_WISE
        groups = [tuple(range(first, first + 8))]
    else:
        sharding, groups = ShardingType.DATA_PARALLEL, [tuple(range(world))]
        kernel = ComputeKernel.DENSE
    width = dim // len(groups)
    return TablePlacement(
        name=table.name,
        sharding_type=sharding,
        compute_kernel=kernel,
        dtype=table.dtype,
        tiers=TierSplit(hbm=1.0),
        blocks=tuple(
            ColumnBlock(column_offset=i * width, num_columns=width, ranks=ranks)
            for i, ranks in enumerate(groups)
        ),
    )
