"""Models, constraints and topologies of TorchRec become records, and back."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
import torchrec
from torch import nn
from torchrec.distributed import utils
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.mc_embedding import (
    ManagedCollisionEmbeddingCollectionSharder,
)
from torchrec.distributed.planner.types import (
    CollectiveType,
    CustomTopologyData,
    GeneralizedCommsBandwidth,
    ParameterConstraints,
)
from torchrec.distributed.planner.types import Topology as TorchRecTopology
from torchrec.distributed.types import BoundsCheckMode, CacheParams, KeyValueParams
from torchrec.modules.embedding_configs import (
    DataType,
    EmbeddingBagConfig,
    EmbeddingConfig,
)
from torchrec.modules.embedding_modules import (
    EmbeddingBagCollection,
    EmbeddingCollection,
)
from torchrec.modules.hash_mc_modules import HashZchManagedCollisionModule
from torchrec.modules.mc_embedding_modules import ManagedCollisionEmbeddingCollection
from torchrec.modules.mc_modules import ManagedCollisionCollection

from shardplan.checking import check
from shardplan.costs.cluster import Cluster
from shardplan.costs.pricer import make_pricer
from shardplan.costs.usage import TableUsage
from shardplan.errors import InfeasibleError, InputError
from shardplan.integrations.torchrec import (
    build_constraints,
    build_model,
    build_topology,
    optimizers,
    read_cost_model,
    read_topology,
    read_workload,
)
from shardplan.planning.planner import solve
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.tables import DType, EmbeddingTable
from shardplan.records.workload import Optimizer
from tests.integrations.torchrec.instances import cluster, workload

META = torch.device("meta")


def bags(*names: str, weighted: bool = False, **config: Any) -> EmbeddingBagCollection:
    """Make a collection of tables with one feature each."""
    values = {"num_embeddings": 100, "embedding_dim": 16, **config}
    features = values.pop("feature_names", None)
    return EmbeddingBagCollection(
        tables=[
            EmbeddingBagConfig(name=n, feature_names=features or [f"{n}_f"], **values)
            for n in names
        ],
        is_weighted=weighted,
        device=META,
    )


class Model(nn.Module):
    """Two collections of bags, one weighted, and one of sequences, nested."""

    def __init__(self) -> None:
        super().__init__()
        self.sparse = nn.Module()
        self.sparse.ebc = bags("a", "b", data_type=DataType.FP16)
        self.sparse.deep = nn.ModuleList([bags("c", weighted=True)])
        self.seq = EmbeddingCollection(
            tables=[
                EmbeddingConfig(
                    name="d", num_embeddings=50, embedding_dim=8, feature_names=["d_f"]
                )
            ],
            device=META,
        )
        self.dense = nn.Linear(3, 3)


def test_nested_modules_are_found() -> None:
    """Every table has its module's path, its shape, type, pooling and weights."""
    found = read_workload(Model(), batch_size=32)
    rows = {
        t.name: (t.torchrec_module, t.dtype, t.is_pooled, t.is_weighted)
        for t in found.tables
    }
    assert rows == {
        "a": ("sparse.ebc", DType.FP16, True, False),
        "b": ("sparse.ebc", DType.FP16, True, False),
        "c": ("sparse.deep.0", DType.FP32, True, True),
        "d": ("seq", DType.FP32, False, False),
    }
    assert found.batch_size == 32


def test_sequence_tables_are_cut_in_four_ways() -> None:
    """What the sharder of a module cannot do is no option."""
    found = {t.name: t for t in read_workload(Model(), batch_size=32).tables}
    assert set(found["d"].constraints.sharding_types) == {
        ShardingType.DATA_PARALLEL,
        ShardingType.TABLE_WISE,
        ShardingType.COLUMN_WISE,
        ShardingType.ROW_WISE,
    }
    assert found["a"].constraints.sharding_types == ()


@pytest.mark.parametrize("once", [False, True])
def test_a_sharder_of_sequences_has_ids_sent_once(once: bool) -> None:
    """`use_index_dedup` of the sharder is the workload's `dedup`; bags have none."""
    sharders = [
        EmbeddingBagCollectionSharder(),
        EmbeddingCollectionSharder(use_index_dedup=once),
    ]
    assert read_workload(Model(), batch_size=32, sharders=sharders).dedup is once
    bag = read_workload(bags("t"), batch_size=32, sharders=sharders)
    assert bag.dedup is False


def test_equal_names_in_two_modules_stay_apart() -> None:
    """Tables of one name get their module's path before it."""
    model = nn.Module()
    model.one, model.two = bags("t"), bags("t")
    found = read_workload(model, batch_size=8)
    assert [t.name for t in found.tables] == ["one.t", "two.t"]
    assert {t.torchrec_name for t in found.tables} == {"t"}


def test_shared_tables_have_several_outputs() -> None:
    """Each feature of a shared table looks it up."""
    model = bags("t", feature_names=["x", "y", "z"])
    (table,) = read_workload(model, batch_size=8).tables
    assert table.num_outputs == 3
    assert table.pooling_factor == 3.0
    assert table.torchrec is not None
    assert table.torchrec.feature_names == ("x", "y", "z")
    # TorchRec counts one input where no pooling factors are given.
    assert table.torchrec.pooling_factors == (1.0,)


def test_every_constraint_arrives() -> None:
    """Constraints become constraints, or travel with the table."""
    limits = ParameterConstraints(
        sharding_types=["row_wise", "table_wise"],
        compute_kernels=["fused", "fused_uvm_caching"],
        min_partition=32,
        pooling_factors=[2.0, 0.5],
        num_poolings=[1.0, 2.0],
        batch_sizes=[16, 32],
        cache_params=CacheParams(load_factor=0.3, reserved_memory=1e6),
        enforce_hbm=True,
        stochastic_rounding=False,
        bounds_check_mode=BoundsCheckMode.WARNING,
        output_dtype=DataType.FP16,
        feature_names=["x", "y"],
        key_value_params=KeyValueParams(max_l1_cache_size=7, use_passed_in_path=False),
    )
    model = bags("t", feature_names=["x", "y"])
    (table,) = read_workload(model, batch_size=16, constraints={"t": limits}).tables
    own, extra = table.constraints, table.torchrec
    assert extra is not None
    assert own.sharding_types == (ShardingType.TABLE_WISE, ShardingType.ROW_WISE)
    assert own.compute_kernels == (
        ComputeKernel.FUSED,
        ComputeKernel.FUSED_UVM_CACHING,
    )
    assert own.min_column_width == 32
    assert own.cache_load_factor == 0.3
    assert table.num_outputs == 3
    # Of 16 samples per rank: 2 x 16 + 0.5 x 2 x 32 lookups, 16 + 2 x 32 outputs.
    assert table.pooling_factor * table.batch_factor == pytest.approx(64 / 16)
    assert table.num_outputs * table.batch_factor == pytest.approx(80 / 16)
    again = build_constraints(
        read_workload(model, batch_size=16, constraints={"t": limits})
    )["t"]
    again.sharding_types = limits.sharding_types
    assert again == limits


def test_unsupported_kernels_are_named() -> None:
    """A table that asks only for kernels that plans do not have is an error."""
    limits = {"t": ParameterConstraints(compute_kernels=["fused_triton"])}
    with pytest.raises(InputError, match="table t: compute_kernels = fused_triton"):
        read_workload(bags("t"), batch_size=8, constraints=limits)


def test_model_without_tables() -> None:
    """A model that has nothing to shard is an error, not an empty plan."""
    with pytest.raises(InputError, match="has no table"):
        read_workload(nn.Linear(2, 2), batch_size=8)


def test_other_device_groups_are_left_out() -> None:
    """Tables for another kind of device are not part of the plan, as in TorchRec."""
    limits = {"a": ParameterConstraints(device_group="cpu")}
    found = read_workload(bags("a", "b"), batch_size=8, constraints=limits)
    assert [t.name for t in found.tables] == ["b"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(torch.optim.SGD, Optimizer.SGD), (torch.optim.Adam, Optimizer.ADAM)],
)
def test_the_optimizer_is_that_of_the_parameters(kind: type, expected: str) -> None:
    """An optimizer that is applied in the backward pass decides the state."""
    model = bags("t")
    for parameter in model.parameters():
        parameter._optimizer_classes = [kind]
    assert read_workload(model, batch_size=8).optimizer is expected


def test_own_batches_go_to_torchrec() -> None:
    """Tables with their own batch name it; it needs the samples per rank."""
    work = workload({"batch_factor": 0.25, "num_outputs": 2}, {})
    limits = build_constraints(work, batch_size=64)
    assert [limit.batch_sizes for limit in limits.values()] == [[16, 16], None]
    over_all_ranks = work.replace(batch_size=None, global_batch_size=64)
    with pytest.raises(InputError, match="needs the samples per rank"):
        build_constraints(over_all_ranks)


def test_workload_to_model_and_back() -> None:
    """A model built from a workload gives its tables again."""
    work = workload(
        {"pooling_factor": 3.0, "num_outputs": 2},
        {"is_pooled": False, "pooling_factor": 20.0},
        {"is_weighted": True, "dtype": "fp16"},
    )
    found = read_workload(
        build_model(work), batch_size=64, constraints=build_constraints(work)
    )
    fields = ("num_embeddings", "embedding_dim", "dtype", "pooling_factor",
              "num_outputs", "is_pooled", "is_weighted", "torchrec_module")  # fmt: skip
    by_name = {t.name: t for t in found.tables}
    for table in work.tables:
        again = by_name[table.name]
        assert [getattr(again, f) for f in fields] == [
            getattr(table, f) for f in fields
        ]


def torchrec_topology(**changes: Any) -> TorchRecTopology:
    """Make TorchRec's topology without its warning."""
    values = {
        "world_size": 8,
        "compute_device": "cuda",
        "local_world_size": 4,
        "created_by_factory": True,
        **changes,
    }
    return TorchRecTopology(**values)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_topology_there_and_back(device: str) -> None:
    """Capacities and bandwidths survive the conversion of units."""
    first = torchrec_topology(compute_device=device, hbm_cap=10**10, ddr_cap=10**11)
    again = build_topology(read_topology(first))
    for name in ("world_size", "local_world_size", "compute_device"):
        assert getattr(again, name) == getattr(first, name)
    names = ["hbm_to_ddr_mem_bw", "ssd_mem_bw", "intra_host_bw", "inter_host_bw"]
    names.append("hbm_mem_bw" if device == "cuda" else "ddr_mem_bw")
    for name in names:
        assert getattr(again, name) == pytest.approx(getattr(first, name), rel=1e-12)
    assert [d.storage for d in again.devices] == [d.storage for d in first.devices]


def test_custom_capacities() -> None:
    """Capacities of single ranks are kept, also where they differ inside a host."""
    hbm = [gb * 10**9 for gb in (10, 20, 20, 20, 30, 30, 30, 30)]
    ddr = [gb * 10**9 for gb in [5] * 4 + [6] * 4]
    data = CustomTopologyData({"hbm_cap": hbm, "ddr_cap": ddr}, 8)
    found = read_topology(torchrec_topology(custom_topology_data=data))
    assert found.rank_hbm_bytes == tuple(hbm)
    assert [g.host.ddr_bytes for g in found.host_groups] == [20 * 10**9, 24 * 10**9]
    usage = TableUsage.of(workload({}), 8)
    model = read_cost_model(torchrec_topology(), hbm_reserve_fraction=0.0)
    capacity = make_pricer(Cluster.of(found), usage, model).capacity()
    assert capacity.rank_hbm.tolist() == hbm


def test_pods_are_host_groups() -> None:
    """TorchRec cuts rows over a pod of hosts: that is a host of the plan."""
    found = read_topology(torchrec_topology(pod_size=2))
    assert found.host_groups[0].local_world_size == 8


def test_ranks_that_fill_no_host() -> None:
    """A last host with fewer ranks is a host group of its own."""
    found = read_topology(torchrec_topology(world_size=6))
    assert [g.local_world_size for g in found.host_groups] == [4, 2]


class Measured(GeneralizedCommsBandwidth):
    """Bandwidths by collective and size [bytes/ms]."""

    @property
    def intra_host_bw(self) -> float:
        return 3e8

    @property
    def inter_host_bw(self) -> float:
        return 1e7

    def get_bw(
        self, local_world_size: int, world_size: int, collective_type: CollectiveType
    ) -> float:
        kinds = list(CollectiveType)
        return 1e6 * (1 + kinds.index(collective_type)) * world_size + local_world_size


@pytest.mark.parametrize("pod", [None, 2])
def test_generalized_bandwidths_price_like_torchrec(pod: int | None) -> None:
    """A topology's own function of bandwidths gives TorchRec's rating."""
    from shardplan.integrations.torchrec import rate
    from shardplan.plans.evaluation import evaluate
    from shardplan.records.sharding import Objective
    from tests.integrations.torchrec.instances import inputs_of, place, plan_of

    given = torchrec_topology(
        world_size=16,
        generalized_comms_bandwidths=Measured(),
        bwd_compute_multiplier=1.7,
        weighted_feature_bwd_compute_multiplier=1.3,
        pod_size=pod,
    )
    topology = read_topology(given)
    model = read_cost_model(given, counts_optimizer=False)
    work = workload(*({"is_weighted": True} for _ in range(5)))
    inputs = inputs_of(work, topology, model)
    kinds = ("row_wise", "table_row_wise", "data_parallel", "table_wise", "column_wise")
    plan = plan_of(inputs, *(place(inputs, i, kind) for i, kind in enumerate(kinds)))
    rating = rate(plan, topology=given)
    assert evaluate(plan).value(Objective.MAX_RANK) == pytest.approx(
        rating.rating_s, rel=1e-9
    )


def test_mixed_clusters_are_refused() -> None:
    """TorchRec has one bandwidth for all ranks."""
    one = cluster(1, 2)
    groups = (
        one.host_groups[0],
        one.host_groups[0].replace(
            name="fast", device=one.host_groups[0].device.replace(hbm_bw=9e12)
        ),
    )
    with pytest.raises(InputError, match="one bandwidth for all ranks"):
        build_topology(one.replace(host_groups=groups))


def test_a_large_model_is_read_quickly() -> None:
    """2,000 tables on the meta device in under a second."""
    model = bags(*(f"t{i}" for i in range(2000)), num_embeddings=10**8)
    start = time.process_time()
    found = read_workload(model, batch_size=512)
    assert time.process_time() - start < 1.0
    assert len(found.tables) == 2000


def test_miss_rates_are_torchrecs() -> None:
    """The histogram of reuse distances gives TorchRec's miss rate at every size."""
    from torchrec.distributed.planner.shard_estimators import EmbeddingOffloadStats

    from shardplan.costs.torchrec.tables import miss_rate
    from shardplan.records.torchrec_table import TorchRecCacheStats

    rng = np.random.default_rng(0)
    for bins in (1, 2, 7, 100):
        counts = rng.integers(0, 20, bins)
        theirs = EmbeddingOffloadStats(0.5, 100, torch.tensor(counts), 1000)
        ours = TorchRecCacheStats(
            cacheability=0.5,
            expected_lookups=100,
            histogram=tuple(counts.tolist()),
            height=1000,
        )
        for share in (0.0, 0.001, 0.1, 0.2, 0.5, 0.9, 1.0):
            assert miss_rate(ours, share) == pytest.approx(
                theirs.expected_miss_rate(share), rel=1e-6
            )


def read_one(
    limits: ParameterConstraints | None = None, batch_size: int = 16, **config: Any
) -> EmbeddingTable:
    """Read a model of one table t."""
    given = {} if limits is None else {"t": limits}
    found = read_workload(bags("t", **config), batch_size=batch_size, constraints=given)
    (table,) = found.tables
    return table


def test_poolings_are_outputs() -> None:
    """20 poolings of one lookup are 20 outputs of 20 lookups."""
    table = read_one(ParameterConstraints(pooling_factors=[1.0], num_poolings=[20.0]))
    assert (table.num_outputs, table.pooling_factor, table.batch_factor) == (20, 20, 1)


def test_a_batch_of_its_own_is_a_batch_factor() -> None:
    """64 of 4096 samples: lookups, outputs and buffers are a 64th."""
    limits = ParameterConstraints(pooling_factors=[50.0], batch_sizes=[64])
    table = read_one(limits, batch_size=4096)
    assert (table.pooling_factor, table.batch_factor) == (50.0, 1 / 64)


@pytest.mark.parametrize("key", ["num_poolings", "batch_sizes"])
def test_lists_of_different_lengths_are_errors(key: str) -> None:
    """Which number is whose is not known."""
    limits = ParameterConstraints(pooling_factors=[1.0], **{key: [2, 3]})
    with pytest.raises(InputError, match=rf"table t: {key} = \[2, 3\]"):
        read_one(limits)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"pooling_factors": [float("nan"), -1.0]},
            r"table t: pooling_factors\[0\] = nan: .*\n.*"
            r"table t: pooling_factors\[1\] = -1.0: must be >= 0",
        ),
        (
            {"pooling_factors": [-1.0]},
            "table t: pooling_factors.* = -1.0: must be >= 0",
        ),
        (
            {"cache_params": CacheParams(load_factor=1.5)},
            "table t: cache_load_factor = 1.5: must be <= 1",
        ),
        ({"min_partition": -4}, "table t: min_column_width = -4: must be >= "),
    ],
)
def test_numbers_that_no_table_has_are_errors(
    given: dict[str, object], expected: str
) -> None:
    """They name the table, the key and the rule, as those of a file do."""
    with pytest.raises(InputError, match=expected):
        read_one(ParameterConstraints(**given))


def test_unused_constraints_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """A constraint for no table, and factors for no feature, do not pass silently."""
    limits = {
        "t": ParameterConstraints(pooling_factors=[1.0, 2.0]),
        "u": ParameterConstraints(),
    }
    read_workload(bags("t"), batch_size=16, constraints=limits)
    assert "not there: ['u']" in caplog.text
    assert "table t: 2 pooling_factors for 1 features" in caplog.text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (torch.optim.Adagrad, Optimizer.ADAGRAD),
        (torchrec.optim.LarsSGD, Optimizer.LARS_SGD),
        (torchrec.optim.RowWiseAdagrad, Optimizer.ROWWISE_ADAGRAD),
        (torchrec.optim.PartialRowWiseAdam, Optimizer.PARTIAL_ROWWISE_ADAM),
        (torchrec.optim.LAMB, Optimizer.LAMB),
        (torchrec.optim.PartialRowWiseLAMB, Optimizer.PARTIAL_ROWWISE_LAMB),
    ],
)
def test_every_optimizer_of_torchrec_is_known(kind: type, expected: Optimizer) -> None:
    """What TorchRec can fuse has its own state."""
    model = bags("t")
    for parameter in model.parameters():
        parameter._optimizer_classes = [kind]
    assert read_workload(model, batch_size=8).optimizer is expected


def test_the_optimizers_are_those_that_torchrec_fuses() -> None:
    """The list of classes is TorchRec's own."""
    theirs = {kind.__name__ for kind in utils._OPTIMIZER_CLASS_TO_EMB_OPT_TYPE}
    assert set(optimizers._OPTIMIZERS) == theirs


def test_optimizers_that_cannot_be_fused_are_errors() -> None:
    """How much AdamW keeps is not guessed."""
    model = bags("t")
    for parameter in model.parameters():
        parameter._optimizer_classes = [torch.optim.AdamW]
    with pytest.raises(InputError, match=r"AdamW.*TorchRec fuses only"):
        read_workload(model, batch_size=8)


@pytest.mark.parametrize(("kind", "dtype"), [("BF16", "bf16"), ("FP16", "fp16")])
def test_the_row_type_is_the_configurations(kind: str, dtype: str) -> None:
    """An unsharded collection has fp16 parameters for bf16 rows."""
    assert read_one(data_type=DataType[kind]).dtype == dtype


@pytest.mark.parametrize("kind", ["INT8", "INT4"])
def test_row_types_that_are_not_trained_are_errors(kind: str) -> None:
    """TorchRec has no kernel that trains them."""
    with pytest.raises(InputError, match=rf"dtype = '{kind}'.*TorchRec trains rows of"):
        read_one(data_type=DataType[kind])


class Hashed(nn.Module):
    """A table whose ids are hashed into buckets."""

    def __init__(self, rows: int, buckets: int) -> None:
        super().__init__()
        config = EmbeddingConfig(
            name="t", num_embeddings=rows, embedding_dim=8, feature_names=["f"]
        )
        collision = HashZchManagedCollisionModule(
            zch_size=rows, device=META, total_num_buckets=buckets, input_hash_size=0
        )
        self.mc = ManagedCollisionEmbeddingCollection(
            EmbeddingCollection(tables=[config], device=META),
            ManagedCollisionCollection(
                managed_collision_modules={"t": collision}, embedding_configs=[config]
            ),
        )


def test_ids_of_some_modules_are_not_sent_once() -> None:
    """A plan has one answer: the modules that differ are named."""
    model = Hashed(300, 4)
    model.plain = EmbeddingCollection(
        tables=[
            EmbeddingConfig(
                name="s", num_embeddings=50, embedding_dim=8, feature_names=["s_f"]
            )
        ],
        device=META,
    )
    once = EmbeddingCollectionSharder(use_index_dedup=True)
    sharders = [
        EmbeddingCollectionSharder(),
        ManagedCollisionEmbeddingCollectionSharder(ec_sharder=once),
    ]
    with pytest.raises(InputError, match=r"use_index_dedup.*set it for ..plain.., too"):
        read_workload(model, batch_size=8, sharders=sharders)
    alike = [once, sharders[1]]
    assert read_workload(model, batch_size=8, sharders=alike).dedup


@pytest.mark.parametrize(("buckets", "fits"), [(3, False), (4, True)])
def test_a_rank_has_whole_buckets(buckets: int, fits: bool) -> None:
    """Rows of 3 buckets cannot be on 2 ranks; the message says so."""
    found = read_workload(
        Hashed(300, buckets),
        batch_size=4,
        sharders=[ManagedCollisionEmbeddingCollectionSharder()],
    )
    assert found.tables[0].torchrec is not None
    assert found.tables[0].torchrec.num_buckets == buckets
    inputs = (found, cluster(1, 2), "torchrec")
    if fits:
        plan = solve(*inputs, solver="greedy", target="torchrec").plan
        assert check(plan) == ()
        table = plan.inputs.workload.tables[0]
        other = table.replace(torchrec=table.torchrec.replace(num_buckets=3))
        changed = plan.inputs.replace(workload=found.replace(tables=(other,)))
        wrong = check(plan.model_copy(update={"inputs": changed}))
        assert any("3 buckets" in violation.message for violation in wrong)
    else:
        with pytest.raises(InfeasibleError, match="3 buckets"):
            solve(*inputs, solver="greedy", target="torchrec")
