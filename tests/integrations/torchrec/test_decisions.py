"""Decisions of TorchRec that plans do not make are named: none passes in silence."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torchrec.distributed.embedding_sharding import group_tables
from torchrec.distributed.embedding_types import (
    EmbeddingComputeKernel,
    ShardedEmbeddingTable,
)
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.mc_embedding import (
    ManagedCollisionEmbeddingCollectionSharder,
)
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.types import CacheParams
from torchrec.modules.embedding_configs import DataType, EmbeddingConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingCollection
from torchrec.modules.feature_processor_ import FeatureProcessorsCollection
from torchrec.modules.fp_embedding_modules import FeatureProcessedEmbeddingBagCollection
from torchrec.modules.mc_embedding_modules import (
    ManagedCollisionEmbeddingCollection as Managed,
)
from torchrec.modules.mc_modules import (
    LFU_EvictionPolicy,
    ManagedCollisionCollection,
    MCHManagedCollisionModule,
)

from shardplan.checking import check
from shardplan.checking.target import _fused_with
from shardplan.errors import InfeasibleError, InputError
from shardplan.exporters import export
from shardplan.integrations.torchrec import (
    ShardplanPlanner,
    build_model,
    read_workload,
)
from shardplan.integrations.torchrec.tables import default_sharders
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import ComputeKernel, ReplicaLayout, ShardingType
from tests.integrations.torchrec.instances import cluster, workload
from tests.integrations.torchrec.test_import import bags, torchrec_topology

if TYPE_CHECKING:
    from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

    from shardplan.records.workload import Workload

SHAPE = {"num_embeddings": 10_000, "embedding_dim": 64}


def read(model: nn.Module, limits: Any = None, **options: Any) -> Workload:
    """Read a model whose tables all have the same constraints."""
    names = ("a", "b")
    given = dict.fromkeys(names, limits) if limits is not None else None
    return read_workload(model, batch_size=8, constraints=given, **options)


def test_stashed_tables_are_read_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """What a table's configuration says arrives, and goes back into a model."""
    found = read(bags("a", "b", stash_weights=True, pooling=PoolingType.MEAN))
    assert [t.torchrec and t.torchrec.pooling for t in found.tables] == ["MEAN"] * 2
    assert [t.torchrec and t.torchrec.stash_weights for t in found.tables] == [True] * 2
    (said,) = [r.getMessage() for r in caplog.records]
    assert "'a', 'b'" in said
    assert "counted as if they stayed in HBM" in said
    again = read(build_model(found))
    assert [t.torchrec for t in again.tables] == [t.torchrec for t in found.tables]
    plain = read(bags("a", "b"))
    assert [t.torchrec and t.torchrec.stash_weights for t in plain.tables] == [
        False
    ] * 2


@pytest.mark.parametrize(
    "limits",
    [
        {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]},
        {"sharding_types": ["row_wise"], "compute_kernels": ["fused_uvm_caching"]},
        {"sharding_types": ["table_row_wise"], "compute_kernels": ["fused_uvm"]},
    ],
)
def test_stashed_tables_have_torchrecs_bytes(limits: dict[str, list[str]]) -> None:
    """TorchRec's planner counts the same bytes with and without; so do plans."""
    cached = ParameterConstraints(cache_params=CacheParams(load_factor=0.2), **limits)
    topology, given = torchrec_topology(), {"a": cached}
    stored = []
    for stash in (False, True):
        model = bags("a", stash_weights=stash, **SHAPE)
        enumerator = EmbeddingEnumerator(topology, batch_size=8, constraints=given)
        (option,) = enumerator.enumerate(model, [EmbeddingBagCollectionSharder()])
        assert getattr(option, "stash_weights", stash) is stash  # 1.8 has none
        planner = ShardplanPlanner(topology, batch_size=8, constraints=given)
        planner.plan(model, [EmbeddingBagCollectionSharder()])
        (selected,) = planner.get_selected_options()
        assert getattr(selected, "stash_weights", False) is stash
        assert selected.total_storage == option.total_storage
        assert planner.result is not None
        loads = evaluate(planner.result.plan).loads
        assert int(loads.hbm.sum()) == option.total_storage.hbm
        assert int(loads.ddr.sum()) == option.total_storage.ddr
        stored.append(option.total_storage)
    assert stored[0] == stored[1]


def test_our_own_cost_model_does_not_stash() -> None:
    """Its step would lack copies of all rows, down and up."""
    work = workload({"torchrec": {"stash_weights": True}}, {})
    with pytest.raises(InputError) as caught:
        solve(work, cluster(), "h100", solver="greedy")
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("t0", "stash_weights")
    assert "plan with cost model torchrec" in problem.rule
    assert (
        solve(work, cluster(), "torchrec", solver="greedy").plan.tables[0].name == "t0"
    )


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        ({"use_virtual_table": True, "num_embeddings": 2**50}, None),
        ({"use_virtual_table": True, "total_num_buckets": 4}, {}),
        ({}, {"use_virtual_table": True}),
    ],
)
def test_virtual_tables_are_refused(
    config: dict[str, Any], limits: dict[str, Any] | None
) -> None:
    """Their rows are made as ids come: TorchRec counts no byte of them outside HBM."""
    given = None if limits is None else ParameterConstraints(**limits)
    with pytest.raises(InputError) as caught:
        read(bags("a", **config), given)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("table a", "use_virtual_table")
    assert "give it a number of rows" in problem.rule


@pytest.mark.parametrize(
    "kernel",
    sorted(
        {kernel.value for kernel in EmbeddingComputeKernel}
        - {"dense", "fused", "fused_uvm", "fused_uvm_caching", "key_value"}
    ),
)
def test_kernels_that_plans_lack_are_refused(
    kernel: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is named with why, and with the kernels that there are."""
    with pytest.raises(InputError) as caught:
        read(bags("a"), ParameterConstraints(compute_kernels=[kernel]))
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == ("compute_kernels", kernel)
    known, _, reason = problem.rule.partition("; ")
    assert known.startswith("plans know dense, fused, ")
    assert reason.startswith(f"{kernel} ")
    both = ParameterConstraints(compute_kernels=[kernel, "fused"])
    (table,) = read(bags("a"), both).tables
    assert table.constraints.compute_kernels == (ComputeKernel.FUSED,)
    assert f"compute_kernels {kernel}: plans know" in caplog.text


def test_split_rows_are_no_kernel_of_torchrec() -> None:
    """A kernel that only plans for no framework have is none for a model."""
    with pytest.raises(InputError, match="compute_kernels = fused_uvm_split"):
        read(bags("a"), ParameterConstraints(compute_kernels=["fused_uvm_split"]))


class Own(EmbeddingBagCollectionSharder):
    """Offers some kernels only."""

    offered: tuple[str, ...] = ()

    def compute_kernels(
        self, sharding_type: str, compute_device_type: str
    ) -> list[str]:
        del sharding_type, compute_device_type
        return list(self.offered)


def test_kernels_are_those_that_the_sharder_offers() -> None:
    """A sharder without host memory gets none; one with its own kernel is refused."""
    sharder = Own()
    sharder.offered = ("fused", "dense")
    (table,) = read(bags("a"), sharders=[sharder]).tables
    assert table.constraints.compute_kernels == (
        ComputeKernel.DENSE,
        ComputeKernel.FUSED,
    )
    sharder.offered = ("customized_kernel",)
    with pytest.raises(InputError, match="customized_kernel has bytes and times"):
        read(bags("a"), sharders=[sharder])


@dataclass
class Later(ParameterConstraints):  # type: ignore[misc]
    """Constraints of a later release, or of dynamicemb."""

    num_nodes: int | None = None
    use_dynamicemb: bool = False
    dynamicemb_options: dict[str, int] = field(default_factory=dict)
    unheard_of: int = 3


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("num_nodes", 2, "stay inside a host, or a pod"),
        ("use_dynamicemb", True, "DynamicEmbeddingShardingPlanner"),
    ],
)
def test_constraints_that_plans_do_not_follow(key: str, value: Any, rule: str) -> None:
    """Rows over several nodes, and tables of another package."""
    with pytest.raises(InputError) as caught:
        read(bags("a", "b"), Later(**{key: value}))
    assert [(p.where, p.key) for p in caught.value.problems] == [
        ("table a", key),
        ("table b", key),
    ]
    assert rule in caught.value.problems[0].rule


def test_unknown_settings_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """Fields that later releases add are named, where they are set."""
    read(bags("a", "b"), Later(num_nodes=1, dynamicemb_options={"x": 1}))
    assert not caplog.records
    read(bags("a", "b", num_embeddings_post_pruning=50), Later(unheard_of=4))
    said = [record.getMessage() for record in caplog.records]
    assert any("unheard_of of its constraints" in text for text in said)
    assert any("num_embeddings_post_pruning of its conf" in text for text in said)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_dynamic_modules_are_refused() -> None:
    """No sharder finds their tables, so a plan would lack them."""
    kind = type("BatchedDynamicEmbeddingTablesV2", (nn.Module,), {})
    kind.__module__ = "dynamicemb.batched_dynamicemb_tables"
    model = nn.ModuleDict({"sparse": bags("a"), "dynamic": kind()})
    with pytest.raises(InputError) as caught:
        read(model)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("model", "dynamic")
    assert problem.value == "BatchedDynamicEmbeddingTablesV2"


class Weighing(FeatureProcessorsCollection):
    """Weights nothing; only where it stands counts."""

    def forward(self, features: KeyedJaggedTensor) -> KeyedJaggedTensor:
        return features


def test_rows_behind_feature_processors_are_cut_by_name_only() -> None:
    """Weights may follow positions, so TorchRec's planner waits for a constraint."""
    model = FeatureProcessedEmbeddingBagCollection(bags("a", weighted=True), Weighing())
    (table,) = read(model, sharders=default_sharders()).tables
    cuts = {
        ShardingType.ROW_WISE,
        ShardingType.TABLE_ROW_WISE,
        ShardingType.GRID_SHARD,
    }
    assert set(table.constraints.sharding_types) == set(ShardingType) - cuts
    asked = ParameterConstraints(sharding_types=["row_wise"])
    (table,) = read(model, asked).tables
    assert table.constraints.sharding_types == (ShardingType.ROW_WISE,)


def test_rows_over_several_hosts_are_not_exported() -> None:
    """A domain joins hosts; TorchRec's table-row-wise stays in one."""
    topology = cluster(2, 2)
    (group,) = topology.host_groups
    joined = group.replace(scale_up=group.scale_up.replace(domain_size=4))
    work = workload(
        {"constraints": {"sharding_types": ["table_row_wise"]}}, {"name": "u"}
    )
    plan = solve(
        work, topology.replace(host_groups=(joined,)), "torchrec", solver="greedy"
    ).plan
    assert len(plan.tables[0].blocks[0].ranks) == 4
    with pytest.raises(InputError, match="of 2 hosts: solve with target torchrec"):
        export(plan, "torchrec")


@pytest.mark.parametrize(("buckets", "fits"), [(2, True), (3, False)])
def test_buckets_of_a_sharding_group(buckets: int, fits: bool) -> None:
    """Rows are cut over the ranks of one group, two of four: so are buckets."""
    gpus = cluster(1, 4, hbm_bytes=80 * 10**9)
    group = gpus.sharding_group(2, ReplicaLayout.INSIDE, 100)
    limits = {"sharding_types": ["row_wise"]}
    table = {"torchrec": {"num_buckets": buckets}, "constraints": limits}
    inputs = (workload(table), group, "h100")
    options = {"solver": "greedy", "objective": "step", "target": "torchrec"}
    if fits:
        plan = solve(*inputs, **options).plan
        assert check(plan) == ()
        assert plan.tables[0].blocks[0].ranks == (0, 1)
    else:
        with pytest.raises(InfeasibleError, match="3 buckets"):
            solve(*inputs, **options)


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 1), ({"pooling": PoolingType.MEAN}, 2), ({"stash_weights": True}, 2)],
)
def test_torchrec_fuses_no_tables_of_two_kinds(
    changes: dict[str, Any], count: int
) -> None:
    """What our checks keep apart are groups of their own in TorchRec."""
    shape = {"num_embeddings": 100, "embedding_dim": 16, "data_type": DataType.FP32}
    own = {"local_rows": 50, "local_cols": 16, **shape}
    kernel = EmbeddingComputeKernel.FUSED
    tables = [
        ShardedEmbeddingTable(name=name, compute_kernel=kernel, **own, **settings)
        for name, settings in (("a", {}), ("b", changes))
    ]
    assert len(group_tables([tables])[0]) == count
    models = [bags("a"), bags("b", **changes)]
    kinds = [
        _fused_with(placement, read(model).tables[0])
        for placement in solve(
            workload({"constraints": {"sharding_types": ["row_wise"]}}),
            cluster(),
            "torchrec",
            solver="greedy",
            target="torchrec",
        ).plan.tables
        for model in models
    ]
    assert len(set(kinds)) == count


@pytest.mark.parametrize(
    ("layout", "size", "ranks"),
    [("inside", 8, 4), ("inside", 4, 2), ("across", 8, 8), ("across", 4, 4)],
)
def test_pods_are_shared_out_among_sharding_groups(
    layout: str, size: int, ranks: int
) -> None:
    """Two pods of two hosts of four: rows are cut over a group's ranks in one pod.

    `DMPCollection` is told so, and needs no variable.
    """
    limits = {"a": ParameterConstraints(sharding_types=["table_row_wise"])}
    planner = ShardplanPlanner(
        torchrec_topology(world_size=16, local_world_size=4, pod_size=2),
        batch_size=8,
        constraints=limits,
        sharding_group=size,
        replicas=layout,
        sync_every=100,
    )
    planner.plan(bags("a", **SHAPE))
    assert planner.result is not None
    plan = planner.result.plan
    (block,) = plan.tables[0].blocks
    assert len(block.ranks) == ranks
    assert export(plan, "torchrec")["replication"]["node_group_size"] == ranks


def collisions(rows: int) -> nn.Module:
    """Make a table whose ids are kept by how often they come, without buckets."""
    config = EmbeddingConfig(
        name="t", num_embeddings=rows, embedding_dim=8, feature_names=["f"]
    )
    meta = torch.device("meta")
    kept = MCHManagedCollisionModule(
        zch_size=rows,
        device=meta,
        eviction_policy=LFU_EvictionPolicy(),
        eviction_interval=1,
    )
    return Managed(
        EmbeddingCollection(tables=[config], device=meta),
        ManagedCollisionCollection(
            managed_collision_modules={"t": kept}, embedding_configs=[config]
        ),
    )


def test_ids_that_sharding_groups_cannot_merge() -> None:
    """Averaging would mix rows of different ids, and stops at its first call."""
    sharders = [ManagedCollisionEmbeddingCollectionSharder()]
    topology = torchrec_topology(world_size=8, local_world_size=4)
    ShardplanPlanner(topology, batch_size=8).plan(collisions(800), sharders)
    planner = ShardplanPlanner(topology, batch_size=8, sharding_group=4)
    with pytest.raises(InputError) as caught:
        planner.plan(collisions(800), sharders)
    (problem,) = caught.value.problems
    assert (problem.where, problem.value) == ("table t", "MCHManagedCollisionModule")
    assert "use that, or one group" in problem.rule
