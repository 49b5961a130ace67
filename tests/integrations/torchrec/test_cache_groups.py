"""Caches of a rank, as TorchRec fuses exported tables, are those that a plan counts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from torchrec.distributed.embedding_sharding import group_tables
from torchrec.distributed.embedding_types import (
    EmbeddingComputeKernel,
    ShardedEmbeddingTable,
)
from torchrec.distributed.utils import add_params_from_parameter_sharding
from torchrec.modules.embedding_configs import DataType

from shardplan.integrations.torchrec import to_sharding_plan
from tests.integrations.torchrec.instances import cluster, inputs_of, place, plan_of
from tests.integrations.torchrec.instances import workload as workload_of

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

FP32_BYTES, ASSOCIATIVITY = 4, 32
CACHED = "fused_uvm_caching"

Row = tuple[str, str, float, dict[str, Any]]
"""Sharding type, kernel, cached share, and fields of a table."""
SHARES: list[Row] = [
    ("row_wise", CACHED, share, {"num_embeddings": rows})
    for share, rows in ((0.05, 40_000), (0.8, 8_000), (0.05, 64_000))
]
PLANS: dict[str, list[Row]] = {
    "widths": [
        ("row_wise", CACHED, 0.2, {"num_embeddings": 400_000, "embedding_dim": 16}),
        ("row_wise", CACHED, 0.2, {"num_embeddings": 4_000, "embedding_dim": 512}),
    ],
    "shares": SHARES,
    "prefetched": [
        (*rest, {**table, "torchrec": {"cache": {"prefetch_pipeline": True}}})
        for *rest, table in SHARES
    ],
    "uneven columns": [
        ("column_wise", CACHED, 0.4, {"num_embeddings": 9_600, "embedding_dim": dim})
        for dim in (12, 8, 12, 4)
    ],
    "beside tables without a cache": [
        ("table_wise", "fused", 1.0, {"embedding_dim": 1024}),
        ("table_wise", CACHED, 0.4, {"num_embeddings": 6_400}),
        ("table_wise", "fused_uvm", 0.0, {"embedding_dim": 128}),
        ("table_wise", CACHED, 0.4, {"num_embeddings": 6_400, "embedding_dim": 8}),
    ],
    "memory that the model reserves": [
        ("table_wise", CACHED, 0.4, {"num_embeddings": 6_400, **own})
        for own in (
            {"embedding_dim": 64},
            {"embedding_dim": 8},
            {"embedding_dim": 32, "torchrec": {"cache": {"reserved_memory": 1}}},
            {"embedding_dim": 16, "torchrec": {"cache": {"reserved_memory": 1e9}}},
        )
    ],
}


def planned(rows: list[Row]) -> Plan:
    """Place tables of one module on two hosts of two ranks, cut ones on two ranks."""
    tables = [
        {**table, "torchrec": {"module": "ebc", **table.get("torchrec", {})}}
        for *_, table in rows
    ]
    inputs = inputs_of(workload_of(*tables), cluster(2, 2, hbm_bytes=10**11))
    return plan_of(
        inputs,
        *(
            place(inputs, index, kind, kernel=kernel, load_factor=share)
            for index, (kind, kernel, share, _) in enumerate(rows)
        ),
    )


def groups(plan: Plan, rank: int) -> list[Any]:
    """Return the cached groups of a rank: each is a list of shards, with its share."""
    inputs, found = plan.inputs, to_sharding_plan(plan).plan["ebc"]
    shards = defaultdict(list)
    for table in inputs.workload.tables:
        sharding = found[table.name]
        params = add_params_from_parameter_sharding({}, sharding)
        for shard in sharding.sharding_spec.shards:
            if shard.placement.rank() == rank:
                shards[sharding.sharding_type].append(
                    ShardedEmbeddingTable(
                        num_embeddings=table.num_embeddings,
                        embedding_dim=table.embedding_dim,
                        name=table.name,
                        data_type=DataType.FP32,
                        compute_kernel=EmbeddingComputeKernel(sharding.compute_kernel),
                        local_rows=shard.shard_sizes[0],
                        local_cols=shard.shard_sizes[1],
                        fused_params=dict(params),
                    )
                )
    return [group for own in shards.values() for group in group_tables([own])[0]]


def fbgemm_cache_bytes(group: Any) -> int:
    """Bytes of a fused group's cache by FBGEMM's `_apply_cache_state`."""
    cached = [t for t in group.embedding_tables if t.compute_kernel.value == CACHED]
    if not cached:
        return 0
    slots = sum(t.local_rows for t in cached) * group.fused_params["cache_load_factor"]
    sets = -(-int(slots + 1e-6) // ASSOCIATIVITY)
    return sets * ASSOCIATIVITY * FP32_BYTES * max(t.local_cols for t in cached)


@pytest.mark.parametrize("rows", PLANS.values(), ids=PLANS)
def test_caches_that_run_are_those_of_the_plan(rows: list[Row]) -> None:
    """Every fused group caches the share and the columns of each of its tables."""
    plan = planned(rows)
    share = {p.name: p.tiers.hbm for p in plan.tables}
    seen = set()
    for rank in range(plan.world_size):
        for group in groups(plan, rank):
            cached = [
                t for t in group.embedding_tables if t.compute_kernel.value == CACHED
            ]
            seen |= {t.name for t in cached}
            wanted = sum(
                share[t.name] * t.local_rows * t.local_cols * FP32_BYTES for t in cached
            )
            set_bytes = ASSOCIATIVITY * FP32_BYTES * 1024
            assert 0 <= fbgemm_cache_bytes(group) - wanted < set_bytes
            for table in cached:
                factor = group.fused_params["cache_load_factor"]
                assert factor == pytest.approx(share[table.name])
    assert seen == {p.name for p in plan.tables if p.compute_kernel.value == CACHED}


def test_tables_with_one_kind_of_cache_stay_together() -> None:
    """Only what must not be shared is kept apart; prefetched tables as well."""
    for key, wanted in (
        ("shares", [["t0", "t2"], ["t1"]]),
        ("widths", [["t0"], ["t1"]]),
    ):
        names = [
            [t.name for t in group.embedding_tables]
            for group in groups(planned(PLANS[key]), 0)
        ]
        assert names == wanted
    beside = groups(planned(PLANS["beside tables without a cache"]), 0)
    assert len(beside) == 2


def test_torchrec_would_share_the_caches_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is without an export: a cache of 512 columns for rows of 16."""
    monkeypatch.setattr("shardplan.exporters.torchrec.reserved_memory", lambda _: {})
    (group,) = groups(planned(PLANS["widths"]), 0)
    slots = (100_000 + 1_000) * 0.2
    assert fbgemm_cache_bytes(group) >= slots * 512 * FP32_BYTES
