"""A plan as placements of distributed tensors.

OneFlow writes them as SBP signatures (split, broadcast), PyTorch's DTensor as
`Shard` and `Replicate` over a mesh of ranks; both split a dimension evenly. A
table whose blocks differ in their ranks has one tensor per block of columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.exporters.runnable import require_runnable
from shardplan.plans.rectangles import row_sizes
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import ColumnBlock

FORMAT = "shardplan-sbp"
FORMAT_VERSION = 1
_BROADCAST = {"sbp": "broadcast", "dtensor": "Replicate()"}
_SPLIT_ROWS = {"sbp": "split(0)", "dtensor": "Shard(0)"}


def export(plan: Plan) -> dict[str, Any]:
    """Return for every table its tensors: columns, mesh of ranks and placement.

    Raises
    ------
    InputError
        If the plan is not valid, or is for one of several sharding groups.
    """
    require_runnable(plan, plan.target)
    if plan.inputs.topology.replicas > 1:
        rule = "sharding groups: SBP keeps no copies that are averaged every k steps"
        raise InputError.single("plan", "topology.replication", None, rule)
    rows = {table.name: table.num_embeddings for table in plan.inputs.workload.tables}
    tables = {}
    for placement in plan.tables:
        replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
        tables[placement.name] = {
            "sharding_type": placement.sharding_type.value,
            "tensors": [
                _tensor(block, rows[placement.name], replicated)
                for block in placement.blocks
            ],
        }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "world_size": plan.world_size,
        "tables": tables,
    }


def _tensor(block: ColumnBlock, num_rows: int, replicated: bool) -> dict[str, Any]:
    cut = len(block.ranks) > 1 and not replicated
    tensor: dict[str, Any] = {
        "columns": [block.column_offset, block.column_offset + block.num_columns],
        "shape": [num_rows, block.num_columns],
        "ranks": list(block.ranks),
        **(_SPLIT_ROWS if cut else _BROADCAST),
    }
    if cut:
        tensor["row_sizes"] = list(row_sizes(block, num_rows))
    return tensor
