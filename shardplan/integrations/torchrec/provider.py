"""Serve the planner API of TorchRec 1.9: shardplan behind its executor."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from shardplan.errors import InputError
from shardplan.integrations.torchrec.groups import all_or_none, cpu_group, whole_group
from shardplan.integrations.torchrec.planner import DEFAULT_TIMEOUT_S, ShardplanPlanner
from shardplan.integrations.torchrec.planner_api import require_planner_api
from shardplan.integrations.torchrec.planner_errors import as_planner_errors
from shardplan.integrations.torchrec.planner_settings import (
    limit_widths,
    require_search,
    unmet,
)
from shardplan.integrations.torchrec.skus import GIB, Sku, sku_topology
from shardplan.integrations.torchrec.tables import default_sharders, find_tables

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import torch
    import torch.distributed as dist

    from shardplan.records.topology import Topology

logger = logging.getLogger(__name__)

_MS_PER_S = 1000.0


class ShardplanProvider:
    """A `PlannerProvider`: TorchRec's executor plans with shardplan, on real machines.

    ``DefaultPlannerExecutor(ShardplanProvider())`` is what `DryRunOrchestrator` and
    `ProductionPlannerOrchestrator` take.

    Parameters
    ----------
    skus : mapping of name to topology, name or path, optional
        SKUs besides those that are known, or in their place.
    options
        As `ShardplanPlanner` takes them: `objective`, `gap`, `plan_cache`, `seed`, ...

    Raises
    ------
    InputError
        For TorchRec 1.8, which has no planner API.
    """

    def __init__(
        self,
        skus: Mapping[str, str | os.PathLike[str] | Topology] | None = None,
        **options: Any,
    ) -> None:
        require_planner_api("ShardplanProvider")
        self._skus = dict(skus or {})
        self._options = options

    def build_topology(self, sku: str, request: Any, ctx: Any) -> Any:
        """Build the `Topology` of a request on a SKU.

        Capacities and bandwidths are the SKU's, those of the request and of its
        `SkuOverride` in their place.

        Raises
        ------
        InputError
            For an unknown SKU, with those that are known; for a job that such
            machines cannot run.
        """
        try:
            return self._topology(sku, request, ctx)
        except Exception as failure:
            return _later(failure, request)

    def _topology(self, sku: str, request: Any, ctx: Any) -> Any:
        from torchrec.distributed.planner.types import HardwareConfig

        found = self._sku(sku)
        device = request.compute_device or found.compute_device
        if device != found.compute_device:
            rule = f"the devices of SKU {sku} are {found.compute_device}"
            raise InputError.single("request", "compute_device", device, rule)
        hardware = {
            **found.hardware(request.local_world_size),
            **_asked(request),
            **_override(request, sku),
        }
        topology = sku_topology(
            found,
            hardware,
            world_size=request.world_size,
            local_world_size=request.local_world_size,
            pod_size=request.pod_size,
            bwd_compute_multiplier=request.planner_config.bwd_compute_multiplier,
        )
        ctx.hw_source[sku] = f"shardplan topology {found.topology.name}"
        ctx.hw_overrides_applied[sku] = HardwareConfig(**hardware)
        return topology

    def build_storage_reservation(self, sku: str, request: Any) -> Any:
        """Return the reservation of a request, or build that of its policy.

        Raises
        ------
        InputError
            For an unknown `home_sku`.
        """
        from shardplan.integrations.torchrec.reservations import build_reservation

        if request.storage_reservation is not None:
            return request.storage_reservation
        config = request.planner_config
        home = config.home_sku or sku
        try:
            return build_reservation(
                config, lambda: self._sku(home).host.device.hbm_bytes
            )
        except Exception as failure:
            return _later(failure, request)

    def build_planner(
        self, sku: str, *, topology: Any, storage_reservation: Any, ctx: Any
    ) -> SkuPlanner | Unbuilt:
        """Build the planner of a request.

        Warns
        -----
        UserWarning
            With all settings that a plan does not follow; `ctx.warnings` has it, too.

        Raises
        ------
        InputError
            For a request that loads a plan instead of searching, and unknown values.
        """
        for given in (topology, storage_reservation):
            if isinstance(given, Unbuilt):
                return given
        try:
            return self._planner(sku, topology, storage_reservation, ctx)
        except Exception as failure:
            return _later(failure, ctx.request)

    def _planner(
        self, sku: str, topology: Any, reservation: Any, ctx: Any
    ) -> SkuPlanner:
        request = ctx.request
        config = request.planner_config
        require_search(config)
        _warn_of_unmet(sku, request, ctx)
        found = self._sku(sku)
        cost_model = None
        if config.use_hardware_based_compute:
            cost_model = found.topology.cost_model
        ctx.resolved_hw_config[sku] = cost_model or "OSS_DEFAULT"
        timeout = config.timeout_seconds
        return SkuPlanner(
            topology,
            request.batch_size,
            reservation,
            request.constraints,
            sku=sku,
            ctx=ctx,
            timeout_seconds=DEFAULT_TIMEOUT_S if timeout is None else timeout,
            cost_model=cost_model,
            pipeline_type=config.pipeline_type or "none",
            **self._options,
        )

    def _sku(self, name: str) -> Sku:
        return Sku.of(name, self._skus)


class Unbuilt:
    """What stands for a topology, reservation or planner that this rank cannot build.

    The executor asks for them before any rank communicates: a rank that stopped there
    would leave the others waiting for its part in the plan.
    """

    def __init__(self, failure: Exception, request: Any) -> None:
        self._failure = failure
        self.world_size = request.world_size
        self.local_world_size = request.local_world_size

    def plan(self, *_: Any) -> NoReturn:
        """Raise what failed; without other ranks."""
        raise self._failure

    def collective_plan(
        self, _module: Any, _sharders: Any = None, pg: dist.ProcessGroup | None = None
    ) -> NoReturn:
        """Raise what failed on this rank, and let the others fail, too."""
        with all_or_none(cpu_group(whole_group(pg))):
            raise self._failure
        raise AssertionError


def _later(failure: Exception, request: Any) -> Unbuilt:
    """Put off a failure until all ranks are there; where there are none raise it."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return Unbuilt(failure, request)
    raise failure


class SkuPlanner(ShardplanPlanner):
    """The planner of one request and SKU; its failures are TorchRec's.

    Parameters
    ----------
    ctx : PlannerSessionContext
        Its request limits widths of columns, its statistics hear of the plan, and it
        is told whether that is from the cache.
    arguments, options
        As `ShardplanPlanner` takes them.
    """

    def __init__(self, *arguments: Any, sku: str, ctx: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._given, self._sku, self._ctx = self._constraints, sku, ctx

    def plan(
        self, module: torch.nn.Module, sharders: Sequence[Any] | None = None
    ) -> Any:
        """Plan a model on this rank.

        Raises
        ------
        PlannerError
            For everything that `ShardplanPlanner.plan` refuses.
        """
        used = default_sharders() if sharders is None else list(sharders)
        with as_planner_errors():
            config = self._ctx.request.planner_config.proposer_config
            tables = find_tables(module, used)
            self._constraints = limit_widths(self._given, config, tables)
            sharding_plan = super().plan(module, used)
        if self.cache_hit is not None:
            self._ctx.cache_hit[self._sku] = self.cache_hit
        self._report(sharding_plan, used)
        return sharding_plan

    def collective_plan(
        self,
        module: torch.nn.Module,
        sharders: Sequence[Any] | None = None,
        pg: dist.ProcessGroup | None = None,
    ) -> Any:
        """Plan on rank 0; all ranks receive the plan, or the failure.

        Raises
        ------
        PlannerError
            On every rank, of the same type.
        FailedElsewhereError
            If another rank could not build its planner.
        """
        pg = cpu_group(whole_group(pg))
        with all_or_none(pg):
            pass  # here are those that have a planner
        with as_planner_errors():
            return super().collective_plan(module, sharders, pg)

    def _report(self, sharding_plan: Any, sharders: Sequence[Any]) -> None:
        """Tell TorchRec's statistics of the plan; they cannot undo it."""
        assert self.result is not None
        for stats in self._ctx.stats or ():
            try:
                stats.log(
                    sharding_plan=sharding_plan,
                    topology=self._topology,
                    batch_size=self._batch_size,
                    storage_reservation=self._reservation,
                    num_proposals=0,
                    num_plans=1,
                    run_time=self.result.runtime_s,
                    best_plan=self.get_selected_options(),
                    constraints=self._constraints,
                    sharders=sharders,
                )
            except Exception:
                logger.warning("%s failed", type(stats).__name__, exc_info=True)


def _asked(request: Any) -> dict[str, float]:
    """Return the capacities that a request gives for every SKU [bytes]."""
    given = {"hbm_cap_bytes": request.hbm_gb, "ddr_cap_bytes": request.ddr_gb}
    return {name: int(gb * GIB) for name, gb in given.items() if gb is not None}


def _override(request: Any, sku: str) -> dict[str, float]:
    """Return a SKU's numbers in a dry run's `SkuOverride` [bytes, bytes/ms]."""
    found = (getattr(request, "per_sku_overrides", None) or {}).get(sku)
    if found is None:
        return {}
    given = {
        "hbm_cap_bytes": (found.hbm_gb, GIB),
        "ddr_cap_bytes": (found.ddr_gb, GIB),
        "intra_host_bw": (found.intra_host_bw, GIB / _MS_PER_S),
        "inter_host_bw": (found.inter_host_bw, GIB / _MS_PER_S),
    }
    return {
        name: int(gb * unit) if name.endswith("bytes") else gb * unit
        for name, (gb, unit) in given.items()
        if gb is not None
    }


def _warn_of_unmet(sku: str, request: Any, ctx: Any) -> None:
    from shardplan.integrations.torchrec.reservations import followed_settings

    config = request.planner_config
    is_given = request.storage_reservation is not None
    found = unmet(config, () if is_given else followed_settings(config))
    cache = getattr(request, "cache_config", None)
    if cache is not None and cache.enabled:
        found.append(f"cache_config.manifold_bucket = {cache.manifold_bucket!r}")
    if not found:
        return
    text = f"SKU {sku}: shardplan does not follow {', '.join(found)}"
    ctx.warnings.append(text)
    warnings.warn(text, UserWarning, stacklevel=4)
