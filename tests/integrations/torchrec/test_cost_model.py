"""The cost model ``torchrec`` gives the numbers of TorchRec's own estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.integrations.torchrec.build import (
    build_constraints,
    build_model,
    build_topology,
)
from shardplan.integrations.torchrec.rating import (
    rate_options,
    sharding_options,
)
from shardplan.integrations.torchrec.tables import default_sharders, sharder_map
from shardplan.plans.evaluation import evaluate
from shardplan.plans.rectangles import rectangles
from shardplan.records.sharding import Objective, ShardingType
from tests.integrations.torchrec.instances import (
    cluster,
    cost_model,
    inputs_of,
    place,
    plan_of,
    workload,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

TOLERANCE = 1e-9
PIPELINES = {
    "none": "NONE",
    "base": "TRAIN_BASE",
    "sparse_dist": "TRAIN_SPARSE_DIST",
    "prefetch_sparse_dist": "TRAIN_PREFETCH_SPARSE_DIST",
}
TYPES = [kind.value for kind in ShardingType]
KERNELS = ["fused", "fused_uvm", "fused_uvm_caching", "key_value"]


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a table with TorchRec's own numbers."""
    num_inputs = draw(st.integers(1, 3))
    pooled, dim = draw(st.booleans()), 4 * draw(st.integers(2, 128))
    factors = st.floats(0.01, 200).map(lambda x: round(x, 3))
    extra: dict[str, Any] = {
        "module": "ebc" if pooled else f"ec{dim}",
        "pooling_factors": draw(
            st.lists(factors, min_size=num_inputs, max_size=num_inputs)
        ),
    }
    if draw(st.booleans()):
        extra["num_poolings"] = [draw(st.floats(0.5, 4)) for _ in range(num_inputs)]
    if draw(st.booleans()):
        extra["batch_sizes"] = [draw(st.integers(1, 4096)) for _ in range(num_inputs)]
    if draw(st.booleans()):
        extra["output_dtype"] = draw(st.sampled_from(["FP16", "FP32", "BF16"]))
    extra["cache"] = draw(st.sampled_from([None, {}, {"prefetch_pipeline": True}]))
    rows = draw(st.integers(3, 10_000_000))
    if draw(st.booleans()):
        extra["cache"] = {
            "num_passes": draw(st.sampled_from([None, 1, 4])),
            "stats": {
                "cacheability": 0.3,
                "expected_lookups": draw(st.integers(0, 10**6)),
                "histogram": draw(st.lists(st.integers(0, 99), min_size=1, max_size=9)),
                "height": rows,
            },
        }
    if draw(st.booleans()):
        extra["key_value"] = {"max_l1_cache_size": draw(st.integers(0, 64))}
    return {
        "num_embeddings": rows,
        "embedding_dim": dim,
        "dtype": draw(st.sampled_from(["fp32", "fp16"])),
        "num_outputs": num_inputs,
        "is_pooled": pooled,
        "torchrec": extra,
    }


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of a few tables on a small cluster."""
    is_cpu = draw(st.booleans())
    weighted = draw(st.booleans())
    drawn = draw(st.lists(tables(), min_size=1, max_size=4))
    work = workload(
        *({**table, "is_weighted": weighted} for table in drawn),
        batch_size=draw(st.integers(1, 8192)),
    )
    local = draw(st.sampled_from([1, 2, 4, 8]))
    topology = cluster(
        draw(st.integers(1, 4)),
        local,
        kind="cpu" if is_cpu else "gpu",
        hbm_bw=draw(st.floats(1e11, 1e13)),
        intra=draw(st.floats(1e9, 1e12)),
        nic_bw=draw(st.floats(1e8, 1e11)),
        pcie_bw=draw(st.floats(1e9, 1e11)),
    )
    inputs = inputs_of(
        work, topology, cost_model(pipeline=draw(st.sampled_from(list(PIPELINES))))
    )
    placements = [
        place(
            inputs,
            index,
            draw(st.sampled_from(TYPES)),
            start=draw(st.integers(0, topology.num_hosts - 1)),
            parts=draw(st.integers(1, 4)),
            load_factor=draw(st.sampled_from([0.05, 0.2, 0.37, 1.0])),
        )
        for index in range(len(work.tables))
    ]
    for index, placement in enumerate(placements):
        if is_cpu or placement.sharding_type is ShardingType.DATA_PARALLEL:
            continue
        kernel = draw(st.sampled_from(KERNELS))
        placements[index] = place(
            inputs,
            index,
            placement.sharding_type.value,
            kernel=kernel,
            load_factor=draw(st.sampled_from([0.05, 0.2, 0.37, 1.0])),
        )
    return plan_of(inputs, *placements)


def torchrec_options(plan: Plan) -> tuple[list[Any], Any]:
    """TorchRec's estimates of a plan, with the plan's pipeline."""
    from torchrec.distributed.planner.shard_estimators import EmbeddingStorageEstimator
    from torchrec.distributed.planner.utils import build_sharder_data_map
    from torchrec.distributed.types import PipelineType

    work = plan.inputs.workload
    topology, constraints = (
        build_topology(plan.inputs.topology),
        build_constraints(work),
    )
    sharders = default_sharders()
    options = sharding_options(
        plan,
        topology=topology,
        model=build_model(work),
        constraints=constraints,
        sharders=sharders,
        batch_size=work.batch_size or 0,
    )
    pipeline = plan.inputs.cost_model.memory.pipeline
    EmbeddingStorageEstimator(
        topology=topology,
        constraints=constraints,
        pipeline_type=PipelineType[PIPELINES[pipeline]],
    ).estimate(options, build_sharder_data_map(sharder_map(sharders)))
    return options, topology


@settings(max_examples=150, deadline=None)
@given(plans())
def test_every_shard_has_torchrecs_numbers(plan: Plan) -> None:
    """Times and bytes of every shard, the rating and the critical path agree."""
    options, topology = torchrec_options(plan)
    found = evaluate(plan)
    phases = found.pricer.phases
    rank_hbm = np.zeros(plan.world_size)
    cost = np.zeros((plan.world_size, 5))
    for option, placement, table in zip(
        options, plan.tables, plan.inputs.workload.tables, strict=True
    ):
        shards = list(rectangles(placement, table.num_embeddings))
        assert len(shards) == len(option.shards)
        for shard in option.shards:
            perf = shard.perf
            cost[shard.rank] += (
                perf.prefetch_compute,
                perf.fwd_compute,
                perf.bwd_compute,
                perf.fwd_comms,
                perf.bwd_comms,
            )
            rank_hbm[shard.rank] += shard.storage.hbm
    ours = np.zeros_like(cost)
    ours[:, :3] = found.loads.cost[:, :3]
    for index, name in enumerate(phases[3:], start=3):
        ours[:, 3 + name.startswith("bwd")] += found.loads.cost[:, index]
    np.testing.assert_allclose(ours * 1000, cost, rtol=TOLERANCE, atol=1e-15)
    rating = rate_options(options, topology, 0.15)
    assert found.value(Objective.MAX_RANK) == pytest.approx(
        rating.rating_s, rel=TOLERANCE
    )
    # TorchRec's critical path leaves out the prefetch.
    path = found.value(Objective.STEP) - found.loads.cost[:, 0].max()
    assert path == pytest.approx(rating.critical_path_s, rel=1e-8)


@settings(max_examples=150, deadline=None)
@given(plans())
def test_every_shard_has_torchrecs_bytes(plan: Plan) -> None:
    """Bytes of full shards agree; ours bill the last row shard as a full one."""
    options, _ = torchrec_options(plan)
    found = evaluate(plan)
    for index, option in enumerate(options):
        mine = [i for i, shard in enumerate(found.shards) if shard.table == index]
        for number, one in enumerate(mine):
            theirs = [
                shard
                for shard in option.shards
                if shard.offset[1] == _column(plan, index, number)
            ]
            for shard in theirs:
                if shard.size[0] != found.shards[one].rows:
                    continue
                expected = (shard.storage.hbm, shard.storage.ddr, shard.storage.ssd)
                np.testing.assert_allclose(
                    found.prices.tier_bytes[one], expected, rtol=TOLERANCE
                )


def _column(plan: Plan, table: int, block: int) -> int:
    return plan.tables[table].blocks[block].column_offset


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("objective", ["max-rank", "step"])
def test_the_objective_is_torchrecs(kind: str, objective: str) -> None:
    """The slowest rank is TorchRec's rating, the sum of phases its critical path."""
    inputs = inputs_of(workload({}, {"embedding_dim": 128}), cluster(2, 2))
    plan = plan_of(inputs, place(inputs, 0, kind), place(inputs, 1, "table_wise"))
    options, topology = torchrec_options(plan)
    rating = rate_options(options, topology, 0.15)
    value = evaluate(plan).value(Objective(objective))
    is_step = objective == "step"
    expected = rating.critical_path_s if is_step else rating.rating_s
    assert value == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("codec", ["FP16", "BF16", "FP8"])
def test_codecs_of_the_sharders_are_counted(codec: str) -> None:
    """Quantised communication changes the bytes on the wire as TorchRec counts them."""
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
    from torchrec.distributed.fbgemm_qcomm_codec import (
        CommType,
        QCommsConfig,
        get_qcomm_codecs_registry,
    )

    from shardplan.integrations.torchrec.topology import read_cost_model

    registry = get_qcomm_codecs_registry(
        QCommsConfig(
            forward_precision=CommType[codec], backward_precision=CommType.BF16
        )
    )
    sharders = [EmbeddingBagCollectionSharder(qcomm_codecs_registry=registry)]
    topology = cluster(2, 2)
    model = read_cost_model(
        build_topology(topology), sharders=sharders, counts_optimizer=False
    )
    inputs = inputs_of(workload({}, {}), topology, model)
    plan = plan_of(inputs, place(inputs, 0, "row_wise"), place(inputs, 1, "table_wise"))
    options = sharding_options(
        plan,
        topology=build_topology(topology),
        model=build_model(inputs.workload),
        constraints=build_constraints(inputs.workload),
        sharders=sharders,
        batch_size=64,
    )
    rating = rate_options(options, build_topology(topology), 0.15)
    assert evaluate(plan).value(Objective.MAX_RANK) == pytest.approx(
        rating.rating_s, rel=TOLERANCE
    )


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [("sgd", "SGD"), ("adam", "Adam"), ("rowwise_adagrad", "RowWiseAdagrad"),
     ("adagrad", "Adagrad")],
)  # fmt: skip
def test_optimizer_state_is_counted(optimizer: str, name: str) -> None:
    """Optimizer state that parameters carry is in TorchRec's bytes and ours."""
    import torch
    import torchrec.optim

    kinds = {
        "SGD": torch.optim.SGD,
        "Adam": torch.optim.Adam,
        "Adagrad": torch.optim.Adagrad,
        "RowWiseAdagrad": torchrec.optim.RowWiseAdagrad,
    }
    topology = cluster(2, 2)
    inputs = inputs_of(
        workload({}, optimizer=optimizer), topology, cost_model(counts_optimizer=True)
    )
    plan = plan_of(inputs, place(inputs, 0, "column_wise"))
    model = build_model(inputs.workload)
    for parameter in model.parameters():
        parameter._optimizer_classes = [kinds[name]]
    (option,) = sharding_options(
        plan,
        topology=build_topology(topology),
        model=model,
        constraints=build_constraints(inputs.workload),
        sharders=default_sharders(),
        batch_size=64,
    )
    found = evaluate(plan).prices.tier_bytes[:, 0].tolist()
    assert found == [shard.storage.hbm for shard in option.shards]
