"""Rate any plan by TorchRec's own estimator: its ruler, without its search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shardplan.integrations.torchrec.build import (
    build_constraints,
    build_rated_model,
    build_topology,
)
from shardplan.integrations.torchrec.tables import default_sharders, sharder_map
from shardplan.plans.rectangles import rectangles
from shardplan.records.sharding import CACHING_KERNELS
from shardplan.records.torchrec_cost_model import TorchRecCostModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.torchrec_cost_model import AnyCostModel

_MS_PER_S = 1000.0


@dataclass(frozen=True)
class Rating:
    """What TorchRec says about a plan.

    Attributes
    ----------
    rating_s : float
        Slowest rank's sum of times (`NoopPerfModel`) [s].
    critical_path_s : float
        Sum over phases of the slowest rank, as its statistics print it [s].
    overfull : tuple of int
        Ranks whose HBM, DDR or SSD does not hold what the plan puts there.
    """

    rating_s: float
    critical_path_s: float
    overfull: tuple[int, ...]

    @property
    def fits(self) -> bool:
        """Whether every rank holds its shards."""
        return not self.overfull


def rate(
    plan: Plan,
    *,
    topology: Any = None,
    model: torch.nn.Module | None = None,
    constraints: Mapping[str, Any] | None = None,
    sharders: Sequence[Any] | None = None,
    batch_size: int | None = None,
    reserve_fraction: float = 0.15,
) -> Rating:
    """Rate a plan; what is not given is built from the plan's inputs.

    Parameters
    ----------
    topology : torchrec.distributed.planner.Topology, optional
    reserve_fraction : float
        HBM that embeddings may not use.
    """
    workload = plan.inputs.workload
    given = topology or build_topology(plan.inputs.topology)
    samples = batch_size or local_batch(plan)
    limits = build_constraints(workload, samples)
    options = sharding_options(
        plan,
        topology=given,
        model=model or build_rated_model(workload),
        constraints=limits if constraints is None else constraints,
        sharders=default_sharders() if sharders is None else sharders,
        batch_size=samples,
    )
    return rate_options(options, given, reserve_fraction)


def local_batch(plan: Plan) -> int:
    """Return the samples per rank of a plan's workload."""
    world = plan.world_size
    return plan.inputs.workload.batch_over(world) // world


def rate_options(options: list[Any], topology: Any, reserve_fraction: float) -> Rating:
    """Rate TorchRec's own representation of a plan."""
    from torchrec.distributed.planner.perf_models import NoopPerfModel
    from torchrec.distributed.planner.stats import _calculate_critical_path

    path = _calculate_critical_path(options)
    return Rating(
        rating_s=NoopPerfModel(topology).rate(options) / _MS_PER_S,
        critical_path_s=(path.comms_estimate + path.comp_estimate) / _MS_PER_S,
        overfull=tuple(_overfull(options, topology, reserve_fraction)),
    )


def _overfull(options: list[Any], topology: Any, reserve_fraction: float) -> list[int]:
    from torchrec.distributed.planner.types import Storage

    used = [Storage(hbm=0, ddr=0) for _ in topology.devices]
    for option in options:
        for shard in option.shards:
            used[shard.rank] += shard.storage
    found = []
    for device, storage in zip(topology.devices, used, strict=True):
        cap = device.storage
        usable = Storage(
            hbm=int((1 - reserve_fraction) * cap.hbm), ddr=cap.ddr, ssd=cap.ssd
        )
        if not storage.fits_in(usable):
            found.append(device.rank)
    return found


def sharding_options(
    plan: Plan,
    *,
    topology: Any,
    model: torch.nn.Module,
    constraints: Mapping[str, Any],
    sharders: Sequence[Any],
    batch_size: int,
) -> list[Any]:
    """Turn a plan into `ShardingOption` objects with TorchRec's estimates."""
    placements = {placement.name: placement for placement in plan.tables}
    modules, known = dict(model.named_modules()), sharder_map(sharders)
    options = [
        sharding_option(
            table,
            placements[table.name],
            modules[table.torchrec_module],
            known,
            constraints,
            batch_size,
        )
        for table in plan.inputs.workload.tables
    ]
    estimate(options, plan.inputs.cost_model, topology, known, constraints)
    return options


def estimate(
    options: list[Any],
    cost_model: AnyCostModel,
    topology: Any,
    sharders: Mapping[str, Any],
    constraints: Mapping[str, Any],
) -> None:
    """Fill in performance and storage of every shard by TorchRec's own estimators.

    Parameters
    ----------
    options : list of ShardingOption
        They are changed.
    cost_model : CostModel
        Its pipeline is what the storage estimator is told, if it is TorchRec's.
    sharders : mapping of sharder name to sharder
    """
    from torchrec.distributed.planner.constants import DEFAULT_PERF_ESTIMATOR
    from torchrec.distributed.planner.estimator.estimator import (
        EmbeddingPerfEstimatorFactory,
    )
    from torchrec.distributed.planner.shard_estimators import EmbeddingStorageEstimator
    from torchrec.distributed.planner.utils import build_sharder_data_map

    data, limits = build_sharder_data_map(sharders), dict(constraints)
    told: dict[str, Any] = {}
    if isinstance(cost_model, TorchRecCostModel):
        told = {
            "pipeline_type": pipeline_type(cost_model.memory.pipeline),
            "run_embedding_at_peak_memory": cost_model.memory.counts_outputs,
        }
    for estimator in (
        EmbeddingPerfEstimatorFactory.create(
            DEFAULT_PERF_ESTIMATOR, topology=topology, constraints=limits
        ),
        EmbeddingStorageEstimator(topology=topology, constraints=limits, **told),
    ):
        estimator.estimate(options, sharder_data_map=data)


def pipeline_type(name: str) -> Any:
    """Return TorchRec's `PipelineType` of a pipeline of `TorchRecMemory`."""
    from torchrec.distributed.types import PipelineType

    return PipelineType.NONE if name == "none" else PipelineType(f"train_{name}")


def sharding_option(
    table: EmbeddingTable,
    placement: TablePlacement,
    module: torch.nn.Module,
    sharders: Mapping[str, Any],
    constraints: Mapping[str, Any],
    batch_size: int,
) -> Any:
    """Turn a table's placement into a `ShardingOption` without estimates."""
    from torchrec.distributed.planner.types import (
        ParameterConstraints,
        Shard,
        ShardingOption,
    )
    from torchrec.distributed.planner.utils import sharder_name

    sharder = sharders[sharder_name(type(module))]
    name = table.torchrec_name

    limits = constraints.get(name) or ParameterConstraints()
    option = ShardingOption(
        name=name,
        tensor=sharder.shardable_parameters(module)[name],
        module=(table.torchrec_module, module),
        input_lengths=limits.pooling_factors,
        batch_size=batch_size,
        compute_kernel=placement.compute_kernel.value,
        sharding_type=placement.sharding_type.value,
        partition_by="uniform",
        shards=[
            Shard(
                size=[shard.num_rows, shard.num_columns],
                offset=[shard.row_offset, shard.column_offset],
                rank=shard.rank,
            )
            for shard in rectangles(placement, table.num_embeddings)
        ],
        cache_params=_cache(placement, limits),
        output_dtype=limits.output_dtype,
        is_pooled=table.is_pooled,
        feature_names=limits.feature_names,
        key_value_params=limits.key_value_params,
    )
    if table.torchrec is not None and table.torchrec.stash_weights:
        option.stash_weights = True  # TorchRec 1.8 has no such argument
    return option


def _cache(placement: TablePlacement, limits: Any) -> Any:
    """Cache parameters with the plan's load factor where the table is cached."""
    from torchrec.distributed.types import CacheParams

    given = limits.cache_params
    if placement.compute_kernel not in CACHING_KERNELS:
        return given
    return replace(given or CacheParams(), load_factor=placement.tiers.hbm)
