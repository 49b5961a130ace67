"""Groups of ranks: processes that exchange objects, and pods of hosts."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.integrations.torchrec.planner_errors import (
    FailedElsewhereError,
    error_kind,
)
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch.distributed as dist

    from shardplan.plans.plan import Plan

logger = logging.getLogger(__name__)

_BY_HOST = (ShardingType.TABLE_ROW_WISE, ShardingType.GRID_SHARD)
_POD_SIZE = "TORCHREC_RESOLVED_POD_SIZE"


def whole_group(group: dist.ProcessGroup | None) -> dist.ProcessGroup:
    """Return a given group, or that of all ranks.

    Raises
    ------
    InputError
        If there is none.
    """
    import torch.distributed as dist

    if group is None:
        if not dist.is_initialized():
            rule = "call torch.distributed.init_process_group() first, or plan()"
            raise InputError.single("collective_plan", "pg", None, rule)
        group = dist.group.WORLD
    assert group is not None
    return group


def cpu_group(group: dist.ProcessGroup) -> dist.ProcessGroup:
    """Return a group of the same ranks whose objects stay in host memory.

    With NCCL alone objects go through GPUs: a device must be set before, and they wait
    for what runs there. All ranks of the group call this.
    """
    import torch.distributed as dist

    if "cpu:" in dist.get_backend_config(group):
        return group
    return dist.new_group(
        dist.get_process_group_ranks(group),
        backend="gloo",
        use_local_synchronization=True,
    )


@contextmanager
def all_or_none(pg: dist.ProcessGroup) -> Iterator[None]:
    """Let a block fail on every rank, if it does on one, so that none waits for it.

    Raises
    ------
    Exception
        What the block raises on this rank.
    FailedElsewhereError
        If it raises on others alone.
    """
    import torch.distributed as dist

    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    own = failure and (f"{type(failure).__name__}: {failure}", error_kind(failure))
    everybody: list[Any] = [None] * pg.size()
    dist.all_gather_object(everybody, own, group=pg)
    if failure is not None:
        raise failure
    for rank, other in enumerate(everybody):
        if other is not None:
            text = f"planning failed on rank {rank}: {other[0]}"
            raise FailedElsewhereError(text, other[1])


def require_same(pg: dist.ProcessGroup, own: Mapping[str, str]) -> None:
    """Compare what all ranks have, so that none waits where others stop.

    Parameters
    ----------
    own : mapping
        What this rank has, by the name of what it is. All ranks have the same names.

    Raises
    ------
    InputError
        On every rank, if some have something else than rank 0.
    """
    import torch.distributed as dist

    digests = [hashlib.sha256(text.encode()).hexdigest() for text in own.values()]
    everybody: list[Any] = [None] * pg.size()
    dist.all_gather_object(everybody, digests, group=pg)
    problems = []
    for index, name in enumerate(own):
        others = [
            rank
            for rank, found in enumerate(everybody)
            if found[index] != everybody[0][index]
        ]
        if others:
            rule = f"ranks {shorten(others)} have other {name} than rank 0"
            problems.append(Fault("job", "", "", rule))
    if problems:
        raise InputError(problems)


def hosts_per_pod(topology: Any) -> int:
    """Return how many hosts are joined by TorchRec's topology: `pod_size`, or 1.

    Raises
    ------
    InputError
        If pods do not divide the ranks: TorchRec compares `pod_size`, which counts
        hosts, with ranks, and makes shards for ranks that do not exist.
    """
    size, local = topology.intra_group_size, topology.local_world_size
    pod = int(size // local)
    if pod > 1 and topology.world_size % size:
        rule = (
            f"counts hosts: {pod} of {local} ranks do not divide "
            f"{topology.world_size} ranks"
        )
        raise InputError.single("topology", "pod_size", pod, rule)
    return pod


def warn_of_pods(plan: Plan, topology: Any) -> None:
    """Say what a job needs to be told of pods, if a plan cuts rows over them.

    References
    ----------
    TorchRec 1.8.0 and 1.9.2, torchrec/distributed/comm.py,
    `get_topology_group_world_size`: nothing in TorchRec sets the variable.
    """
    pod = str(hosts_per_pod(topology))
    kinds = {placement.sharding_type for placement in plan.tables}
    if pod != "1" and kinds.intersection(_BY_HOST) and os.environ.get(_POD_SIZE) != pod:
        logger.warning(
            "rows are cut over pods of %s hosts, but TorchRec runs them over single "
            "hosts unless %s=%s is in the environment of every process",
            pod,
            _POD_SIZE,
            pod,
        )
