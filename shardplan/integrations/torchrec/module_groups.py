"""Sharding groups of another size for some types of modules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torchrec.distributed.planner.types import Storage

from shardplan.costs.replica_sync import copies
from shardplan.errors import InputError
from shardplan.integrations.torchrec.groups import cpu_group, require_same, whole_group
from shardplan.integrations.torchrec.planner import (
    ShardplanPlanner,
    default_reservation,
)
from shardplan.integrations.torchrec.tables import (
    default_sharders,
    find_tables,
    tables_text,
)
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    import torch.distributed as dist

    from shardplan.integrations.torchrec.replicated import ReplicatedPlan
    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Floats

_ANYWHERE = (
    ShardingType.DATA_PARALLEL,
    ShardingType.TABLE_WISE,
    ShardingType.COLUMN_WISE,
    ShardingType.ROW_WISE,
)
"""What does not need to know of hosts: see `plan_module_groups`."""


def plan_module_groups(
    model: torch.nn.Module,
    module_groups: Mapping[type, int],
    sharders: Sequence[Any] | None = None,
    pg: dist.ProcessGroup | None = None,
    *,
    sharding_group: int,
    storage_reservation: Any = None,
    constraints: Mapping[str, Any] | None = None,
    **options: Any,
) -> ReplicatedPlan:
    """Plan on rank 0, with sharding groups of their own for some types of modules.

    Parameters
    ----------
    module_groups : mapping of type to int
        Ranks of a sharding group, for modules of exactly this type.
    sharding_group : int
        Ranks of a sharding group for all other modules.
    storage_reservation, constraints, **options
        As of `ShardplanPlanner`.

    Returns
    -------
    ReplicatedPlan
        On all ranks, with the plans of `module_groups` among its `submodules`.

    Raises
    ------
    ShardplanError
        On every rank, as `ShardplanPlanner.collective_plan`; for types without a
        sharder, and for modules inside such modules.

    Notes
    -----
    The others are planned first, then one type after the other, each with the memory
    that those before it left. They do not see each other's times. Row cuts over hosts
    are left out for `module_groups`: TorchRec tells these modules, and no others, that
    a host is a whole sharding group (1.9.2, `DMPCollection._shard_modules_impl`), and
    keeps one pair of process groups for all of them (`intra_and_cross_node_pg_2D`).
    """
    used = default_sharders() if sharders is None else list(sharders)
    world = whole_group(pg)
    asked = repr(
        [(f"{k.__module__}.{k.__qualname__}", module_groups[k]) for k in module_groups]
    )
    require_same(
        cpu_group(world), {"tables": tables_text(model, used), "module groups": asked}
    )
    _require_apart(model, used, module_groups)
    given = dict(constraints or {})
    rest = [one for one in used if one.module_type not in module_groups]
    names = {table.name for table in find_tables(model, rest)}
    limits = {name: limit for name, limit in given.items() if name in names}
    parts = [(rest, sharding_group, limits)]
    for kind, size in module_groups.items():
        own = [one for one in used if one.module_type is kind]
        parts.append((own, size, _anywhere(model, own, given)))
    reservation = _LessPlanned(storage_reservation or default_reservation(), used)
    plans = []
    for own, size, limits in parts:
        planner = ShardplanPlanner(
            sharding_group=size,
            storage_reservation=reservation,
            constraints=limits,
            **options,
        )
        plans.append(planner.collective_replicated_plan(model, own, world))
        if planner.result is not None:
            reservation.add(planner.result.plan)
    first, *others = plans
    return replace(first, submodules=tuple(zip(module_groups, others, strict=True)))


def _require_apart(
    model: torch.nn.Module, sharders: list[Any], module_groups: Mapping[type, int]
) -> None:
    """Refuse types that have no sharder, or whose modules are parts of others."""
    known = {one.module_type for one in sharders}
    for kind in module_groups:
        if kind not in known:
            rule = "has no sharder"
            raise InputError.single("module_groups", kind.__name__, None, rule)
    parts = [[one for one in sharders if one.module_type not in module_groups]]
    parts += [[one for one in sharders if one.module_type is k] for k in module_groups]
    places = {(t.module, t.name) for t in find_tables(model, sharders)}
    apart = [(t.module, t.name) for part in parts for t in find_tables(model, part)]
    extra = sorted(set(apart) - places)
    if extra:
        rule = "is part of a module with a sharder of its own: plan both together"
        raise InputError.single("module_groups", extra[0][0], None, rule)


def _anywhere(
    model: torch.nn.Module, sharders: list[Any], constraints: Mapping[str, Any]
) -> dict[str, Any]:
    """Leave out row cuts over hosts for the tables of some modules.

    Raises
    ------
    InputError
        If constraints ask for nothing else.
    """
    from torchrec.distributed.planner.types import ParameterConstraints

    limits = {}
    for table in find_tables(model, sharders):
        own = constraints.get(table.name) or ParameterConstraints()
        asked = own.sharding_types or table.sharding_types
        kept = [kind for kind in asked if kind in _ANYWHERE]
        if not kept:
            rule = "row cuts over hosts are for modules without groups of their own"
            raise InputError.single(
                table.name, "sharding_types", ", ".join(asked), rule
            )
        limits[table.name] = replace(own, sharding_types=kept)
    return limits


class _LessPlanned:
    """Reserves what plans of other modules take, too."""

    def __init__(self, base: Any, sharders: list[Any]) -> None:
        self._base, self._sharders = base, sharders
        self._taken: list[tuple[Floats, Floats]] = []

    def add(self, plan: Plan) -> None:
        """Take what a plan puts on each rank of the job, HBM and DDR [bytes]."""
        found, topology = evaluate(plan), plan.inputs.topology
        pool = found.capacity.rank_pool
        ddr = found.loads.ddr[pool] / np.bincount(pool)[pool]
        where = copies(topology) if topology.replication else slice(None)
        self._taken.append((np.ceil(found.loads.hbm[where]), np.ceil(ddr[where])))

    def reserve(
        self,
        topology: Any,
        batch_size: int,
        module: Any,
        sharders: Any,
        constraints: Any = None,
    ) -> Any:
        """Reserve as the base does for all modules, and what is taken."""
        reserved = self._base.reserve(
            topology=topology,
            batch_size=batch_size,
            module=module,
            sharders=self._sharders,
            constraints=constraints,
        )
        for hbm, ddr in self._taken:
            for rank, device in enumerate(reserved.devices):
                device.storage -= Storage(hbm=int(hbm[rank]), ddr=int(ddr[rank]))
        return reserved
