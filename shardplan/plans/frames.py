"""A plan as data frames: one row per shard and rank, or one row per rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from shardplan.costs.cluster import Cluster
from shardplan.plans.evaluation import evaluate
from shardplan.records.placement import rows_each
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Ints
    from shardplan.records.placement import ColumnBlock


_LABELS = ("table", "sharding_type", "compute_kernel", "dtype")
_TIERS = ("hbm_share", "ddr_share", "ssd_share")


def shard_frame(plan: Plan) -> pd.DataFrame:
    """One row for every shard on every rank that holds it.

    A data-parallel table has a row for each of its copies; a rank that gets none
    of a block's rows, because there are fewer rows than ranks, has a row with
    ``num_rows = 0``. Rows are ordered by table (in the order of the plan), block,
    and the block's own order of ranks.

    Returns
    -------
    pandas.DataFrame
        Columns: table, sharding_type, compute_kernel, dtype, block,
        column_offset, num_columns, row_offset, num_rows, rank, host, and
        hbm_share, ddr_share, ssd_share: the shares of the shard's rows that each
        tier holds or caches.
    """
    cluster = Cluster.of(plan.inputs.topology)
    sizes = {table.name: table.num_embeddings for table in plan.inputs.workload.tables}
    placements, pieces = [], [np.zeros((0, 7), dtype=np.int64)]
    for index, placement in enumerate(plan.tables):
        replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
        tiers = placement.tiers
        placements.append(
            (
                *(getattr(placement, label) for label in ("name", *_LABELS[1:])),
                *(tiers.hbm, tiers.ddr, tiers.ssd),
            )
        )
        for number, block in enumerate(placement.blocks):
            rows = sizes[placement.name]
            pieces.append(_block_rows(block, rows, replicated, (index, number)))
    return _assemble(np.concatenate(pieces), placements, cluster)


def rank_frame(plan: Plan, evaluation: Evaluation | None = None) -> pd.DataFrame:
    """One row per rank: what the plan puts there, and what there is.

    Parameters
    ----------
    evaluation : Evaluation, optional
        Of the same plan, where it is known already.

    Returns
    -------
    pandas.DataFrame
        Columns: rank, host, host_group, num_shards, ``<phase>_s`` for every phase,
        total_s, hbm_bytes, hbm_capacity_bytes, and for the rank's whole host (or
        its share, where the cost model divides hosts) host_ddr_bytes,
        host_ddr_capacity_bytes, host_ssd_bytes, host_ssd_capacity_bytes.
        Capacities are what is left for embeddings.
    """
    found = evaluation or evaluate(plan)
    loads, capacity, cluster = found.loads, found.capacity, found.cluster
    pool = capacity.rank_pool
    groups = np.array([group.name for group in cluster.host_groups])
    columns: dict[str, object] = {
        "rank": np.arange(cluster.world_size),
        "host": cluster.rank_host,
        "host_group": groups[cluster.rank_class],
        "num_shards": shards_per_rank(plan),
    }
    for phase, cost in zip(found.pricer.phases, loads.cost.T, strict=True):
        columns[f"{phase}_s"] = cost
    columns["total_s"] = loads.cost.sum(axis=1)
    columns["hbm_bytes"] = loads.hbm
    columns["hbm_capacity_bytes"] = capacity.rank_hbm
    columns["host_ddr_bytes"] = loads.ddr[pool]
    columns["host_ddr_capacity_bytes"] = capacity.pool_ddr[pool]
    columns["host_ssd_bytes"] = loads.ssd[pool]
    columns["host_ssd_capacity_bytes"] = capacity.pool_ssd[pool]
    return pd.DataFrame(columns)


def shards_per_rank(plan: Plan) -> Ints:
    """Count the shards on every rank, empty ones included, int array (W,)."""
    counts = np.zeros(plan.world_size, dtype=np.int64)
    for placement in plan.tables:
        for block in placement.blocks:
            np.add.at(counts, list(block.ranks), 1)
    return counts


def _block_rows(
    block: ColumnBlock, rows: int, replicated: bool, key: tuple[int, int]
) -> Ints:
    """List a block's shards as rows of 7 integers.

    They are: placement, block, column_offset, num_columns, row_offset, num_rows,
    rank.
    """
    count = len(block.ranks)
    if replicated:
        first, size = np.zeros(count, dtype=np.int64), np.full(count, rows)
    elif block.row_sizes is not None:
        size = np.array(block.row_sizes, dtype=np.int64)
        first = np.cumsum(size) - size
    else:
        height = rows_each(rows, count)
        first = np.minimum(np.arange(count) * height, rows)
        size = np.minimum(rows - first, height)
    place = (*key, block.column_offset, block.num_columns)
    fixed = np.tile(np.array(place, dtype=np.int64), (count, 1))
    return np.column_stack([fixed, first, size, np.array(block.ranks)])


def _assemble(
    shards: Ints, placements: Sequence[tuple[object, ...]], cluster: Cluster
) -> pd.DataFrame:
    """Join the shards with the labels and tiers of their placements."""
    which, rank = shards[:, 0], shards[:, -1]
    names = [*_LABELS, *_TIERS]
    per_table = {
        name: np.array([_plain(row[i]) for row in placements])
        for i, name in enumerate(names)
    }
    columns: dict[str, object] = {name: per_table[name][which] for name in _LABELS}
    numbers = ("block", "column_offset", "num_columns", "row_offset", "num_rows")
    columns.update(zip(numbers, shards[:, 1:6].T, strict=True))
    columns["rank"] = rank
    columns["host"] = cluster.rank_host[rank]
    columns.update({name: per_table[name][which] for name in _TIERS})
    return pd.DataFrame(columns)


def _plain(value: object) -> object:
    """Turn members of enumerations into plain text."""
    return str(value) if isinstance(value, str) else value
