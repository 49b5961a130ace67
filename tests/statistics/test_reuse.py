"""Curves from gaps against windows and caches, run one by one."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.gaps import EDGES, Gaps
from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.reuse import reuse_curves
from shardplan.statistics.tally import Keeping, Tally
from tests.statistics.logs import KINDS, ROWS, exact_misses, exact_window


def tally_of(ids: np.ndarray, blocks: int, keep: int) -> Tally:
    """Count a log, a tenth of which is looked at first."""
    total = Tally.none(keep)
    looked = np.unique(ids[::10], return_counts=True)
    keeping = Keeping(keep, HotRows.of(*looked, keep))
    for part in np.array_split(ids, blocks):
        total = total + Tally.of(part, np.ones(len(part), np.int64), ROWS, keeping)
    return total


def test_bins_hold_their_gaps() -> None:
    """A gap is in the bin whose edge is the last that it is not below."""
    for gap in [*range(1, 300), 1023, 1024, 1025, 10**9]:
        place = int(np.flatnonzero(Gaps.of(np.array([gap])).counts)[0])
        assert EDGES[place] <= gap
        assert gap < EDGES[place + 1 :][EDGES[place + 1 :] > EDGES[place]][0]


@pytest.mark.parametrize("kind", KINDS)
def test_distinct_rows_of_windows_are_exact(kind: str) -> None:
    """All windows of a width are meant, not only every width-th."""
    ids = KINDS[kind](np.random.default_rng(3), 3000)
    found = tally_of(ids, 1, 10**6)
    curves = reuse_curves(found.inner_gaps(), found.border_gaps(), len(ids))
    for width in (1, 2, 15, 128, 512, 2048):
        rows = float(np.interp(width, curves.lookups, curves.rows))
        assert rows == pytest.approx(exact_window(ids, width), rel=2e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("blocks", "keep"), [(1, 10**6), (8, 10**6), (8, 512)])
def test_misses_of_lru_caches(kind: str, blocks: int, keep: int) -> None:
    """Within half a point, whole or sampled, whatever the order of the log."""
    ids = KINDS[kind](np.random.default_rng(5), 60_000)
    found = tally_of(ids, blocks, keep)
    assert (found.sample.level > 0) == (keep == 512)
    curves = reuse_curves(found.inner_gaps(), found.border_gaps(), len(ids))
    sizes = np.unique(np.floor(2.0 ** np.arange(5, 14, 0.5)))
    exact = exact_misses(ids, sizes)
    luck = found.sample.luck() * found.block_rows / len(ids)
    got = np.interp(sizes, curves.rows, curves.misses)
    assert np.abs(got - exact).max() <= 0.005 + luck
    assert luck == 0 or keep == 512
