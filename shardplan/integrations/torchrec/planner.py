"""A drop-in for TorchRec's `EmbeddingShardingPlanner`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from torchrec.distributed.types import ShardingPlanner

from shardplan.errors import InputError
from shardplan.integrations.torchrec.decisions import require_merged_ids
from shardplan.integrations.torchrec.groups import (
    all_or_none,
    cpu_group,
    require_same,
    warn_of_pods,
    whole_group,
)
from shardplan.integrations.torchrec.plan_cache import PlanCache
from shardplan.integrations.torchrec.plan_key import plan_key
from shardplan.integrations.torchrec.planned_model import PlannedModel
from shardplan.integrations.torchrec.planner_errors import (
    FailedElsewhereError,
    error_kind,
)
from shardplan.integrations.torchrec.sharding import group_sharding_plan
from shardplan.integrations.torchrec.sharding_groups import AskedGroups
from shardplan.integrations.torchrec.tables import (
    default_sharders,
    find_tables,
    tables_text,
)
from shardplan.integrations.torchrec.topology import (
    read_cost_model,
    read_pipeline,
    read_topology,
)
from shardplan.integrations.torchrec.versions import require_torchrec
from shardplan.integrations.torchrec.workload import carries_optimizer, read_workload
from shardplan.io.catalog import load_cost_model
from shardplan.planning.planner import solve
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Objective, ReplicaLayout, Target
from shardplan.units import format_seconds

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import torch
    import torch.distributed as dist

    from shardplan.integrations.torchrec.replicated import ReplicatedPlan
    from shardplan.planning.result import PlanResult
    from shardplan.records.torchrec_cost_model import AnyCostModel

logger = logging.getLogger(__name__)

DEFAULT_RESERVE = 0.15
"""Share of HBM that TorchRec's planner keeps free by default."""
DEFAULT_TIMEOUT_S = 60.0
"""Time for a plan [s]."""


class ShardplanPlanner(ShardingPlanner):  # type: ignore[misc, unused-ignore]
    """Plans with shardplan where TorchRec's planner was used.

    Parameters
    ----------
    topology : torchrec.distributed.planner.Topology, optional
        By default that of the running process group, as TorchRec makes it.
    batch_size : int, optional
        Samples per rank; TorchRec's default is 512.
    storage_reservation : StorageReservation, optional
        By default 15 % of HBM are kept free.
    constraints : dict of table name to ParameterConstraints, optional
    timeout_seconds : float
        Stop with the best plan after this long [s].
    gap : float
        Stop at a plan at most this far above the bound.
    objective : str, optional
        ``max-rank`` is TorchRec's rating, ``step`` its critical path, ``time`` the
        predicted step, which TorchRec's estimates do not have. By default as in
        :func:`shardplan.solve`.
    cost_model : CostModel, name or path, optional
        Instead of TorchRec's estimates.
    pipeline_type : PipelineType or its value
        By it TorchRec's estimates count the batches that are in memory at once.
    plan_cache : PlanCache or path of a folder, optional
        Plans are taken from there if they were made for the same, and put there.
    sharding_group : int, optional
        Ranks of a sharding group; `topology` is that of all ranks, plans are for one
        group, and for `DMPCollection`: see `collective_replicated_plan`.
    replicas : ReplicaLayout or str, optional
        Where copies of a shard are, ``inside`` hosts (the default) or ``across`` them.
    sync_every : int
        Steps after which the job averages copies.
    solver, seed, workers
        As in :func:`shardplan.solve`.

    Attributes
    ----------
    result : PlanResult or None
        The last plan that was made here, with its bound.
    cache_hit : bool or None
        Whether it is from the cache; None without one.
    """

    def __init__(
        self,
        topology: Any = None,
        batch_size: int | None = None,
        storage_reservation: Any = None,
        constraints: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_S,
        gap: float = 0.0,
        objective: Objective | str | None = None,
        cost_model: AnyCostModel | str | os.PathLike[str] | None = None,
        pipeline_type: Any = "none",
        plan_cache: PlanCache | str | os.PathLike[str] | None = None,
        sharding_group: int | None = None,
        replicas: ReplicaLayout | str | None = None,
        sync_every: int = 1,
        solver: str = "auto",
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        require_torchrec()
        self._topology = topology if topology is not None else _running_topology()
        self._batch_size = batch_size or _default_batch_size()
        self._reservation = storage_reservation or default_reservation()
        self._constraints = dict(constraints or {})
        self._cost_model = cost_model
        self._pipeline = read_pipeline(pipeline_type)
        self._groups = AskedGroups(sharding_group, replicas, sync_every)
        self._options: dict[str, Any] = {
            "objective": objective,
            "solver": solver,
            "seed": seed,
            "workers": workers,
            "gap": gap,
            "time_limit_s": timeout_seconds,
        }
        if plan_cache is not None and not isinstance(plan_cache, PlanCache):
            plan_cache = PlanCache(plan_cache)
        self._plan_cache = plan_cache
        self.cache_hit: bool | None = None
        self.result: PlanResult | None = None
        self._planned: PlannedModel | None = None

    def plan(
        self,
        module: torch.nn.Module,
        sharders: Sequence[Any] | None = None,
    ) -> Any:
        """Plan a model on this rank.

        Raises
        ------
        InputError
            For a model or constraints that a plan cannot express.
        InfeasibleError
            If nothing fits, with the tier, the shortfall and the tables.
        """
        from torchrec.distributed.planner.planners import (
            validate_modules_inclusion_in_sharding_plan,
            validate_rank_assignment,
        )

        used = default_sharders() if sharders is None else list(sharders)
        self.result = self._planned = self.cache_hit = None
        topology = self._groups.torchrec_group(self._topology)
        self.result = self._find(module, used)
        self._planned = PlannedModel(
            self.result.plan,
            module,
            used,
            self._constraints,
            topology,
            self._batch_size,
        )
        local = topology.local_world_size
        sharding_plan = group_sharding_plan(self.result.plan, local_world_size=local)
        validate_modules_inclusion_in_sharding_plan(sharding_plan, module, used)
        validate_rank_assignment(_sharded_part(sharding_plan), topology)
        warn_of_pods(self.result.plan, topology)
        logger.info("%s", summary(self.result))
        return sharding_plan

    def get_selected_options(self) -> list[Any]:
        """Return the last plan as `ShardingOption` objects by TorchRec's estimates.

        Empty before a plan, and on ranks that received it from rank 0.
        """
        return self._planned.selected_options() if self._planned is not None else []

    def get_search_space(self) -> list[Any] | None:
        """Return the options that the last plan was chosen from; None before one."""
        return self._planned.search_space() if self._planned is not None else None

    def key(
        self, module: torch.nn.Module, sharders: Sequence[Any] | None = None
    ) -> str:
        """Return the digest of all that decides about a model's plan (`plan_key`).

        Raises
        ------
        InputError
            For a model or constraints that a plan cannot express.
        """
        used = default_sharders() if sharders is None else list(sharders)
        return plan_key(self._inputs(module, used), module, used, self._options)

    def _find(self, module: torch.nn.Module, sharders: list[Any]) -> PlanResult:
        """Take a plan from the cache, or make one."""
        inputs, cache = self._inputs(module, sharders), self._plan_cache
        if cache is None:
            return self._solve(inputs)
        key = plan_key(inputs, module, sharders, self._options)
        found = cache.get(key, inputs)
        self.cache_hit = found is not None
        if found is None:
            found = self._solve(inputs)
            cache.put(key, found.plan)
        return found

    def _inputs(self, module: torch.nn.Module, sharders: list[Any]) -> Inputs:
        workload = read_workload(
            module,
            batch_size=self._batch_size,
            sharders=sharders,
            constraints=self._constraints,
            compute_device=self._topology.compute_device,
        )
        reserved = self._reservation.reserve(
            topology=self._topology,
            batch_size=self._batch_size,
            module=module,
            sharders=sharders,
            constraints=self._constraints,
        )
        if self._groups.size is not None:
            require_merged_ids(find_tables(module, sharders))
        cost_model = self._cost_model or read_cost_model(
            self._groups.torchrec_group(self._topology),
            sharders=sharders,
            counts_optimizer=carries_optimizer(module, sharders),
            hbm_reserve_fraction=0.0,
            pipeline=self._pipeline,
        )
        return Inputs(
            workload=workload,
            topology=self._groups.group(read_topology(reserved)),
            cost_model=load_cost_model(cost_model),
        )

    def _solve(self, inputs: Inputs) -> PlanResult:
        return solve(**dict(inputs), target=Target.TORCHREC, **self._options)

    def collective_plan(
        self,
        module: torch.nn.Module,
        sharders: Sequence[Any] | None = None,
        pg: dist.ProcessGroup | None = None,
    ) -> Any:
        """Plan on rank 0; all ranks receive the plan, or the failure.

        Raises
        ------
        ShardplanError
            On every rank if planning failed on rank 0, a model cannot be read on any,
            or models or sharding groups differ; on the others a `FailedElsewhereError`
            with TorchRec's name for it.
        """
        import torch.distributed as dist

        pg = cpu_group(whole_group(pg))
        with all_or_none(pg):
            tables = tables_text(module, sharders)
        require_same(pg, {"tables": tables, "sharding groups": repr(self._groups)})
        failure: BaseException | None = None
        message: list[Any] = [None, None, None]
        if pg.rank() == 0:
            try:
                self._require_world(pg.size())
                message[0] = self.plan(module, sharders)
            except Exception as error:
                failure = error
                message[1:] = f"{type(error).__name__}: {error}", error_kind(error)
        if pg.size() > 1:
            dist.broadcast_object_list(message, dist.get_global_rank(pg, 0), group=pg)
        if failure is not None:
            raise failure
        if message[1] is not None:
            text = f"planning failed on rank 0: {message[1]}"
            raise FailedElsewhereError(text, message[2])
        return message[0]

    def collective_replicated_plan(
        self,
        module: torch.nn.Module,
        sharders: Sequence[Any] | None = None,
        pg: dist.ProcessGroup | None = None,
    ) -> ReplicatedPlan:
        """Plan on rank 0 for sharding groups; all ranks receive it for `DMPCollection`.

        Raises
        ------
        ShardplanError
            As `collective_plan`, and without sharding groups.
        """
        sharding_plan = self.collective_plan(module, sharders, pg)
        return self._groups.replicated(sharding_plan, self._topology)

    def _require_world(self, size: int) -> None:
        if self._topology.world_size != size:
            rule = f"the process group has {size} ranks"
            world = self._topology.world_size
            raise InputError.single("topology", "world_size", world, rule)


def summary(result: PlanResult) -> str:
    """Say in a sentence what was found and how near the best it is."""
    plan = result.plan
    gap = "no bound"
    if result.gap is not None:
        gap = f"at most {result.gap:.2%} above the best"
    status = result.status
    if result.verdict.optimality == "claimed":
        status = f"{status} as the solver claims"
    kinds: dict[str, int] = {}
    for placement in plan.tables:
        kind = placement.sharding_type.value
        kinds[kind] = kinds.get(kind, 0) + 1
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return (
        f"shardplan: {plan.objective.value} {format_seconds(result.objective_s)}, "
        f"bound {format_seconds(result.lower_bound_s)} ({gap}), {status} after "
        f"{result.runtime_s:.1f} s; {len(plan.tables)} tables: {counts}"
    )


def _sharded_part(sharding_plan: Any) -> Any:
    """Leave out replicated tables: the validator warns that they have no spec."""
    from torchrec.distributed.types import EmbeddingModuleShardingPlan, ShardingPlan

    return ShardingPlan(
        {
            module: EmbeddingModuleShardingPlan(
                {
                    name: sharding
                    for name, sharding in tables.items()
                    if sharding.sharding_spec is not None
                }
            )
            for module, tables in sharding_plan.plan.items()
        }
    )


def _running_topology() -> Any:
    """Describe the running process group as TorchRec's planner does."""
    import torch.distributed as dist
    from torchrec.distributed.comm import get_local_size, get_topology_domain_multiple
    from torchrec.distributed.planner.types import Topology
    from torchrec.distributed.utils import get_device_type

    if not dist.is_initialized():
        rule = "give one, or call torch.distributed.init_process_group() first"
        raise InputError.single("planner", "topology", None, rule)
    return Topology(
        local_world_size=get_local_size(),
        world_size=dist.get_world_size(),
        compute_device=get_device_type(),
        pod_size=get_topology_domain_multiple(),
        created_by_factory=True,
    )


def _default_batch_size() -> int:
    from torchrec.distributed.planner.constants import BATCH_SIZE

    return int(BATCH_SIZE)


def default_reservation() -> Any:
    """Return what TorchRec's planner reserves by default."""
    from torchrec.distributed.planner.storage_reservations import (
        FixedPercentageStorageReservation,
    )

    return FixedPercentageStorageReservation(percentage=DEFAULT_RESERVE)
