"""Seconds and bytes of every rank, as data for figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.records.sharding import TIERS

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation


def ranks_data(evaluation: Evaluation) -> dict[str, Any]:
    """List seconds of every rank, and bytes of every place of each tier in use.

    Returns
    -------
    dict
        ``phases_s``: by phase, a number per rank; ``memory``: by tier ``place``,
        ``items_bytes`` (by item, a number per place), ``used_bytes`` (their sum) and
        ``capacity_bytes``.
    """
    loads, capacity = evaluation.loads, evaluation.capacity
    places = ("rank", capacity.pool_place, capacity.pool_place)
    used = (loads.hbm, loads.ddr, loads.ssd)
    memory = {}
    for index, (tier, place) in enumerate(zip(TIERS, places, strict=True)):
        items = evaluation.item_bytes[tier.value]
        if items or (index == 0 and capacity.rank_hbm.any()):
            memory[tier.value] = {
                "place": place,
                "items_bytes": {name: held.tolist() for name, held in items.items()},
                "used_bytes": used[index].tolist(),
                "capacity_bytes": capacity.of_tier(index).tolist(),
            }
    phases = zip(evaluation.pricer.phases, loads.cost.T, strict=True)
    return {
        "phases_s": {phase: cost.tolist() for phase, cost in phases if cost.any()},
        "total_s": loads.cost.sum(axis=1).tolist(),
        "memory": memory,
    }
