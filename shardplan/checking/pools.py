"""Every rank and pool holds what the plan puts there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.checking.violation import Violation
from shardplan.units import format_bytes_both

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.evaluation import Evaluation

_MOST = 3
"""How many overfull places of one kind are listed before they are only counted."""


def check_capacity(evaluation: Evaluation) -> Iterator[Violation]:
    """Compare the bytes on every rank and in every pool with what they hold."""
    loads, capacity = evaluation.loads, evaluation.capacity
    place = capacity.pool_place
    pools = (
        ("HBM of rank", loads.hbm, capacity.rank_hbm),
        (f"DDR of {place}", loads.ddr, capacity.pool_ddr),
        (f"SSD of {place}", loads.ssd, capacity.pool_ssd),
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
