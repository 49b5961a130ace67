"""The formulas of row bins, each against what it approximates."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from shardplan.costs.memory.row_bins import _power_sums, row_bins
from shardplan.records.tables import CdfAccess, ZipfAccess

EDGES = np.rint(np.geomspace(32, 3000, 40))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.05, 2.0, 4.0, 10.0])
def test_power_sums_err_by_the_first_term_left_out(alpha: float) -> None:
    """Sums of k^-alpha are exact up to Euler and Maclaurin's term of f'''''.

    That term is B_6/6! = 1/30240 times the fifth derivative; any other coefficient of
    f, f' or f''' errs by more somewhere.
    """
    sums = _power_sums(EDGES[None], np.array([[alpha]]))[0]
    fifth = math.prod(alpha + i for i in range(5)) / 30240 * EDGES ** -(alpha + 5)
    for index, (low, high) in enumerate(pairwise(EDGES)):
        exact = math.fsum(k**-alpha for k in range(int(low) + 1, int(high) + 1))
        left_out = fifth[index] - fifth[index + 1]
        # Terms of higher order alternate and are smaller.
        assert abs(sums[index] - exact) <= left_out + 1e-13 * exact
        if left_out > 1e-12 * exact:
            assert abs(sums[index] - exact) >= left_out / 2


def test_power_sums_at_alpha_1() -> None:
    """The integral's limit, a logarithm, is met from both sides."""
    around = np.array([[1.0 - 1e-9], [1.0], [1.0 + 1e-9]])
    below, at, above = _power_sums(np.repeat(EDGES[None], 3, axis=0), around)
    np.testing.assert_allclose(at, (below + above) / 2, rtol=1e-12)
    assert (below > at).all()
    assert (at > above).all()


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 145])
def test_hot_rows_have_bins_of_their_own(rows: int) -> None:
    """The first 32 rows are single, and few more rows are, too."""
    bins = row_bins([rows], [ZipfAccess(alpha=1.5)])
    single = bins.num_rows[0][: min(rows, 32)]
    assert single.tolist() == [1.0] * min(rows, 32)
    exact = np.arange(1.0, rows + 1) ** -1.5
    probability = bins.probability[0][: min(rows, 32)]
    np.testing.assert_allclose(probability, (exact / exact.sum())[:32], rtol=1e-9)


def test_spread_ids_by_hand() -> None:
    """100 rows; ids of 20 rows each: two get rows of their own, the others a share.

    Two ids own 40 of at most 50 rows. With Zipf weights w_1, w_2, ... the other ids'
    lookups fall evenly on all 100 rows, 40 of which are the first two ids'.
    """
    bins = row_bins([100], [ZipfAccess(alpha=1.0, rows_per_draw=20)])
    weight = 1 / np.arange(1.0, 101)
    weight /= weight.sum()
    even = weight[2:].sum()
    rows, mass = bins.num_rows[0], (bins.num_rows * bins.probability)[0]
    assert rows[:2].tolist() == [20.0, 20.0]
    assert rows[-1] == 60.0
    assert rows.sum() == 100.0
    np.testing.assert_allclose(mass[:2], weight[:2] + even * 0.2, rtol=1e-6)
    assert mass[-1] == pytest.approx(even * 0.6, rel=1e-6)


def test_cdf_by_hand() -> None:
    """10 rows: one gets half of the lookups, four of them 0.9."""
    bins = row_bins([10], [CdfAccess(points=((0.1, 0.5), (0.4, 0.9)))])
    used = bins.num_rows[0] > 0
    np.testing.assert_allclose(bins.num_rows[0][used], [1, 3, 6])
    np.testing.assert_allclose(bins.probability[0][used], [0.5, 0.4 / 3, 0.1 / 6])


def test_cdf_below_one_row() -> None:
    """Two rows: a tenth of a row cannot be hot, so the first has what half of all has.

    Between (0.1, 0.5) and (1, 1), half of the rows have 0.5 + 0.5 x 0.4 / 0.9.
    """
    bins = row_bins([2], [CdfAccess(points=((0.1, 0.5),))])
    used = bins.num_rows[0] > 0
    first = 0.5 + 0.5 * 0.4 / 0.9
    np.testing.assert_allclose(bins.num_rows[0][used], [1, 1])
    np.testing.assert_allclose(bins.probability[0][used], [first, 1 - first])


def test_points_below_the_hull_are_left_out() -> None:
    """(0.5, 0.5) is below the line from (0, 0) to (0.6, 0.9), which has six rows."""
    bins = row_bins([10], [CdfAccess(points=((0.5, 0.5), (0.6, 0.9)))])
    used = bins.num_rows[0] > 0
    np.testing.assert_allclose(bins.num_rows[0][used], [1, 5, 4])
    np.testing.assert_allclose(bins.probability[0][used], [0.15, 0.15, 0.025])
