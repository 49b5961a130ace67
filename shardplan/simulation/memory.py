"""What memory holds during the step, against what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats


@dataclass(frozen=True, eq=False)
class MemoryUse:
    """Bytes of embeddings with their state, caches and buffers; W ranks, Q pools.

    Attributes
    ----------
    hbm_bytes, hbm_capacity_bytes : float arrays (W,)
        Used, and left after `reserved_bytes` [bytes].
    ddr_bytes, ddr_capacity_bytes : float arrays (Q,) [bytes]
    ssd_bytes, ssd_capacity_bytes : float arrays (Q,) [bytes]
    reserved_bytes : dict of str to float
        What else is on one rank, item by item [bytes].
    """

    hbm_bytes: Floats
    hbm_capacity_bytes: Floats
    ddr_bytes: Floats
    ddr_capacity_bytes: Floats
    ssd_bytes: Floats
    ssd_capacity_bytes: Floats
    reserved_bytes: dict[str, float]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """Take the loads and capacities of an evaluation."""
        loads, capacity = evaluation.loads, evaluation.capacity
        return cls(
            hbm_bytes=loads.hbm,
            hbm_capacity_bytes=capacity.rank_hbm,
            ddr_bytes=loads.ddr,
            ddr_capacity_bytes=capacity.pool_ddr,
            ssd_bytes=loads.ssd,
            ssd_capacity_bytes=capacity.pool_ssd,
            reserved_bytes=dict(capacity.reserved),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fullest pool of each tier and the reserves as JSON-able data."""
        tiers = {}
        for tier in ("hbm", "ddr", "ssd"):
            used = getattr(self, f"{tier}_bytes")
            capacity = getattr(self, f"{tier}_capacity_bytes")
            tightest = int((capacity - used).argmin())
            tiers[tier] = {
                "tightest": tightest,
                "used_bytes": float(used[tightest]),
                "capacity_bytes": float(capacity[tightest]),
                "mean_used_bytes": float(used.mean()),
            }
        return {**tiers, "reserved_bytes": self.reserved_bytes}
