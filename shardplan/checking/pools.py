"""Every rank and host holds what the plan puts there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.checking.violation import Violation
from shardplan.units import format_bytes_both

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.evaluation import Evaluation

_MOST = 3
"""How many overfull places of one kind are listed before they are only counted."""


def check_capacity(evaluation: Evaluation) -> Iterator[Violation]:
    """Compare the bytes on every rank and host with what they hold."""
    loads, capacity = evaluation.loads, evaluation.capacity
    pools = (
        ("HBM of rank", loads.hbm, capacity.rank_hbm),
        ("DDR of host", loads.ddr, capacity.host_ddr),
        ("SSD of host", loads.ssd, capacity.host_ssd),
    )
    for name, used, room in pools:
        over = np.flatnonzero(used > room)
        for index in over[:_MOST]:
            yield Violation(
                "capacity",
                "",
                f"{name} {index} holds {format_bytes_both(room[index])}, but the plan "
                f"puts {format_bytes_both(used[index])} there",
            )
        if len(over) > _MOST:
            yield Violation(
                "capacity", "", f"{name}: {len(over) - _MOST} more are overfull"
            )
    yield from _check_shares(evaluation)


def _check_shares(evaluation: Evaluation) -> Iterator[Violation]:
    """Compare host memory under every rank's shards with its share, if it has one."""
    rooms = evaluation.capacity.rank_rooms()
    if rooms is None:
        return
    used = evaluation.rank_bytes()
    for tier, name in ((1, "DDR"), (2, "SSD")):
        for rank in np.flatnonzero(used[:, tier] > rooms[:, tier])[:_MOST].tolist():
            yield Violation(
                "capacity",
                _largest_table(evaluation, rank, tier),
                f"rank {rank} may use {format_bytes_both(rooms[rank, tier])} of its "
                f"host's {name}, but the plan puts "
                f"{format_bytes_both(used[rank, tier])} there",
            )


def _largest_table(evaluation: Evaluation, rank: int, tier: int) -> str:
    """Name the table with the most bytes of a tier on a rank."""
    here = [i for i, shard in enumerate(evaluation.shards) if rank in shard.ranks]
    largest = max(here, key=lambda i: evaluation.prices.tier_bytes[i, tier])
    workload = evaluation.plan.inputs.workload
    return workload.tables[evaluation.shards[largest].table].name
