"""Plans for sharding groups, as TorchRec's `DMPCollection` takes them."""

from __future__ import annotations

import copy
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.exporters.torchrec import export
from shardplan.integrations.torchrec.document import make_sharding_plan, read_document
from shardplan.integrations.torchrec.groups import whole_group
from shardplan.integrations.torchrec.versions import require_torchrec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    import torch.distributed as dist

    from shardplan.plans.plan import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReplicatedPlan:
    """A plan for one of several sharding groups that hold the same tables.

    Attributes
    ----------
    sharding_plan : torchrec.distributed.types.ShardingPlan
        Of ranks 0 to `sharding_group_size` - 1, which `DMPCollection` renames in every
        group.
    world_size : int
        Ranks of the job.
    sharding_group_size : int
    node_group_size : int
        Ranks of a sharding group in one host.
    local_world_size : int
        Ranks of a host.
    use_inter_host_allreduce : bool
        Whether a sharding group is ranks in a row, so that copies meet across hosts.
    sync_every : int
        Steps after which the job is to call `DMPCollection.sync`.
    submodules : tuple of (type, ReplicatedPlan)
        Plans of the modules that have sharding groups of their own.
    """

    sharding_plan: Any
    world_size: int
    sharding_group_size: int
    node_group_size: int
    local_world_size: int
    use_inter_host_allreduce: bool
    sync_every: int
    submodules: tuple[tuple[type, ReplicatedPlan], ...] = ()

    def arguments(self, global_pg: dist.ProcessGroup | None = None) -> dict[str, Any]:
        """Return the keyword arguments of `DMPCollection` that the plan decides.

        Parameters
        ----------
        global_pg : ProcessGroup, optional
            Of all ranks; by default the world's.

        Raises
        ------
        InputError
            If there is no process group, or it has not the ranks of the plan.

        Notes
        -----
        `DMPCollection` renames the ranks of the plan that it is given in place, so that
        every call returns a copy of its own.
        """
        global_pg = whole_group(global_pg)
        if global_pg.size() != self.world_size:
            size = global_pg.size()
            rule = f"the plan is for {self.world_size} ranks, the group has {size}"
            raise InputError.single("arguments", "global_pg", None, rule)
        self._warn_of_hosts()
        configs = self._submodule_configs()
        return {
            **({"submodule_configs": configs} if configs else {}),
            "plan": copy.deepcopy(self.sharding_plan),
            "world_size": self.world_size,
            "sharding_group_size": self.sharding_group_size,
            "node_group_size": self.node_group_size,
            "use_inter_host_allreduce": self.use_inter_host_allreduce,
            "global_pg": global_pg,
        }

    def _submodule_configs(self) -> list[Any]:
        if not self.submodules:
            return []
        from torchrec.distributed.types import DMPCollectionConfig

        return [
            DMPCollectionConfig(
                module=kind,
                plan=copy.deepcopy(part.sharding_plan),
                sharding_group_size=part.sharding_group_size,
                use_inter_host_allreduce=part.use_inter_host_allreduce,
            )
            for kind, part in self.submodules
        ]

    def _warn_of_hosts(self) -> None:
        """Say that copies meet elsewhere than planned; the plan runs all the same."""
        local = os.environ.get("LOCAL_WORLD_SIZE", "")
        if local.isdigit() and int(local) != self.local_world_size:
            logger.warning(
                "the plan is for hosts of %s ranks, this one has %s: ranks of a "
                "sharding group are not where it has them",
                self.local_world_size,
                local,
            )


def load_replicated_plan(
    source: str | os.PathLike[str] | dict[str, Any],
    model: torch.nn.Module | None = None,
    *,
    sharders: Sequence[Any] | None = None,
    world_size: int | None = None,
    device: str | None = None,
) -> ReplicatedPlan:
    """Load an exported plan for sharding groups; needs no planner.

    Parameters
    ----------
    source, model, sharders, device
        As in `load_sharding_plan`.
    world_size : int, optional
        Ranks of the job, of all sharding groups; by default those of the process group,
        if there is one.

    Raises
    ------
    InputError
        As in `load_sharding_plan`; for a plan without sharding groups.
    """
    where = "plan" if isinstance(source, dict) else os.fspath(source)
    data = read_document(source, model, sharders, world_size, device)
    return _replicated(data, where)


def to_replicated_plan(plan: Plan) -> ReplicatedPlan:
    """Turn a plan for sharding groups into what `DMPCollection` takes.

    Raises
    ------
    InputError
        If TorchRec cannot run the plan, with every table and rule; for a plan without
        sharding groups.
    """
    require_torchrec()
    return _replicated(export(plan), "plan")


def _replicated(document: dict[str, Any], where: str) -> ReplicatedPlan:
    facts = document.get("replication")
    if facts is None:
        rule = (
            "has no sharding groups: use load_sharding_plan or to_sharding_plan, and "
            "DistributedModelParallel; or solve with --sharding-group"
        )
        raise InputError.single(where, "replication", None, rule)
    return ReplicatedPlan(make_sharding_plan(document), **facts)
