"""Where a kernel's rows may be, case by case."""

from __future__ import annotations

import pytest

from shardplan.checking.geometry import _split_fits, repeated
from shardplan.records.placement import TierSplit
from shardplan.records.sharding import ComputeKernel

SPLITS = {
    "dense": ([(1, 0, 0)], [(0.9, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1)]),
    "fused": ([(1, 0, 0)], [(0.9, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)]),
    "fused_uvm": ([(0, 1, 0)], [(1, 0, 0), (0.1, 1, 0), (0, 0.9, 0), (0, 1, 1)]),
    "fused_uvm_caching": (
        [(0.2, 1, 0), (1, 1, 0), (1e-9, 1, 0)],
        [(0, 1, 0), (0.2, 0.8, 0), (0.2, 0, 0), (0.2, 1, 0.1), (0.2, 1, 1)],
    ),
    "fused_uvm_split": (
        [(0.25, 0.75, 0), (0, 1, 0), (1, 0, 0), (0.1 + 0.2, 0.7, 0)],
        [(0.25, 0.7, 0), (0.25, 0.8, 0), (0, 0, 0), (0.25, 0.5, 0.25), (0, 0, 1)],
    ),
    "key_value": (
        [(0.1, 0.2, 1), (1, 1, 1), (0.1, 0, 1)],
        [(0, 0.2, 1), (0.1, 0.2, 0.9), (0.1, 0.2, 0), (0, 0, 1)],
    ),
}


class Rank(int):
    """A rank that counts how often ranks are compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Rank.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_ranks_that_repeat_are_found_in_linear_time() -> None:
    """A list of 65,536 ranks, all of them twice."""
    ranks = [Rank(rank) for rank in range(32_768)] * 2
    assert repeated(ranks) == list(range(32_768))
    assert Rank.compared < 10 * len(ranks)
    assert repeated([5, 1, 5, 2, 1, 5]) == [1, 5]
    assert repeated([2, 1]) == []


def test_every_kernel_is_here() -> None:
    """No kernel may be forgotten."""
    assert set(SPLITS) == set(ComputeKernel)


@pytest.mark.parametrize("kernel", SPLITS)
def test_rows_are_where_the_kernel_keeps_them(kernel: str) -> None:
    """Shares of the tiers that a kernel has, and such that it cannot have."""
    fits, does_not = SPLITS[kernel]
    for splits, expected in ((fits, True), (does_not, False)):
        for hbm, ddr, ssd in splits:
            split = TierSplit(hbm=hbm, ddr=ddr, ssd=ssd)
            found = _split_fits(ComputeKernel(kernel), split, is_cpu=False)
            assert found is expected, split


@pytest.mark.parametrize("kernel", SPLITS)
def test_on_cpus_rows_are_in_host_memory(kernel: str) -> None:
    """A CPU has one memory, and no kernel that moves rows."""
    for split in [
        split for both in SPLITS.values() for splits in both for split in splits
    ]:
        tiers = TierSplit(hbm=split[0], ddr=split[1], ssd=split[2])
        found = _split_fits(ComputeKernel(kernel), tiers, is_cpu=True)
        assert found is (kernel in ("dense", "fused") and split == (0, 1, 0))
