"""Which cached tables a TorchRec job may fuse, so that their one cache is as planned.

TorchRec fuses the tables of a module, sharding type, row type and set of parameters on
a rank into one FBGEMM operator. Its cached tables (`fused_uvm_caching`) have one cache:
as wide as the widest of their shards, with the mean of their load factors. Load factors
and, but for `prefetch_pipeline`, widths do not keep tables apart; every other parameter
does. So a table that would need another cache gets another `reserved_memory`: some
bytes more that its cache leaves free, which change nothing else.

References
----------
torchrec 1.8.0, distributed/embedding_sharding.py, `group_tables` and
`_get_weighted_avg_cache_load_factor`; fbgemm_gpu 1.8.0,
split_table_batched_embeddings_ops_training.py, `max_D_cache` and `_apply_cache_state`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from shardplan.records.sharding import ComputeKernel

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable

    CacheKind = tuple[float, int, float, str]


def reserved_memory(plan: Plan) -> dict[str, float]:
    """Return what the caches of tables must leave free to be as planned [bytes].

    Returns
    -------
    dict
        Value by table, only of cached tables whose own value would not do. No two
        tables whose caches must not be shared have the same one, in whatever modules.
    """
    tables = {table.name: table for table in plan.inputs.workload.tables}
    kinds: dict[CacheKind, list[str]] = defaultdict(list)
    for placement in plan.tables:
        if placement.compute_kernel is ComputeKernel.FUSED_UVM_CACHING:
            kind = _cache_kind(placement, tables[placement.name])
            kinds[kind].append(placement.name)
    found: dict[str, float] = {}
    least = 0.0
    for kind in sorted(kinds):
        value = max(kind[0], least)
        if value != kind[0]:
            found.update(dict.fromkeys(kinds[kind], value))
        least = value + 1.0
    return found


def _cache_kind(placement: TablePlacement, table: EmbeddingTable) -> CacheKind:
    """Return what tables of one cache have in common; shards of two widths share none.

    It is the memory that the model itself reserves, then width, share, and name.
    """
    cache = table.torchrec.cache if table.torchrec else None
    given = (cache.reserved_memory if cache else None) or 0.0
    widths = {block.num_columns for block in placement.blocks}
    if len(widths) == 1:
        return given, widths.pop(), placement.tiers.hbm, ""
    return given, 0, placement.tiers.hbm, placement.name
