"""Choosing options where several tiers are tight at once."""

from __future__ import annotations

import pytest

import shardplan


@pytest.mark.parametrize("hosts", [3, 8])
def test_equal_giants_spill_over_every_tier(hosts: int) -> None:
    """64 equal tables of 375 GB fill HBM and DDR of few hosts, then their SSDs."""
    plan = shardplan.solve(
        "neo-f", f"zionex:{hosts}", solver="greedy", objective="step"
    ).plan
    kernels = {str(placement.compute_kernel) for placement in plan.tables}
    assert "key_value" in kernels
    assert len(kernels) > 1


def test_too_few_ssds_are_named() -> None:
    """Two hosts hold 19.6 TB in all their tiers; the tables need 24.2 TB."""
    with pytest.raises(
        shardplan.InfeasibleError, match=r"HBM\+DDR\+SSD short by 4.6 TB"
    ):
        shardplan.solve("neo-f", "zionex:2", solver="greedy", objective="step")
