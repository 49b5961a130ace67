"""A plan as HugeCTR's `shard_matrix` and `shard_strategy`.

References
----------
HugeCTR, EmbeddingCollectionConfig.shard(shard_matrix, shard_strategy): for each
rank the names of its tables, and for each group of tables its strategy, ``mp`` for
model parallel (a table on several ranks is cut by rows) or ``dp`` for data parallel.
``(name, k)`` instead of a name cuts the table into k equal slices of columns first
(embedding_collection.cpp, `split_column_wise_sharding_config`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.exporters.runnable import require_runnable
from shardplan.records.sharding import ShardingType, Target

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan


def export(plan: Plan) -> dict[str, Any]:
    """Return the two arguments of `EmbeddingCollectionConfig.shard`.

    Raises
    ------
    InputError
        If HugeCTR cannot run the plan, with every table and rule.
    """
    require_runnable(plan, Target.HUGECTR)
    matrix: list[list[str]] = [[] for _ in range(plan.world_size)]
    groups: dict[str, list[str | list[str | int]]] = {"mp": [], "dp": []}
    for placement in plan.tables:
        replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
        name, slices = placement.name, len(placement.blocks)
        group = groups["dp" if replicated else "mp"]
        group.append([name, slices] if slices > 1 else name)
        for rank in sorted({r for block in placement.blocks for r in block.ranks}):
            matrix[rank].append(name)
    return {
        "shard_matrix": matrix,
        "shard_strategy": [[kind, names] for kind, names in groups.items() if names],
    }
