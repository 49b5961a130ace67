"""Access distributions against sums over single rows and simulated draws."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.memory.access import (
    RowBins,
    distinct_curve,
    hottest_mass,
    lru_hit_rate,
    measured_unique,
    row_bins,
    unique_rows,
)
from shardplan.records.tables import (
    AccessDistribution,
    CdfAccess,
    UniformAccess,
    ZipfAccess,
)

ROWS = st.integers(1, 10**14)
ALPHA = st.one_of(st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 10.0]), st.floats(0, 10))
FRACTIONS = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@st.composite
def laws(draw: st.DrawFn) -> AccessDistribution:
    kind = draw(st.sampled_from(["uniform", "zipf", "cdf"]))
    if kind == "uniform":
        return UniformAccess()
    if kind == "zipf":
        return ZipfAccess(alpha=draw(ALPHA))
    x = sorted(set(draw(FRACTIONS)))
    y = sorted(draw(st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x))))
    return CdfAccess(points=tuple(zip(x, y, strict=True)))


def zipf(rows: int, alpha: float) -> np.ndarray:
    weight = np.arange(1.0, rows + 1) ** -alpha
    return weight / weight.sum()


@given(st.lists(st.tuples(ROWS, laws()), min_size=1, max_size=5))
def test_bins_hold_all_rows_and_all_lookups(tables):
    """Rows and probabilities add up, and hotter bins come first."""
    rows, access = zip(*tables, strict=True)
    bins = row_bins(rows, access)
    # 1e-12: rounding of at most a few hundred additions.
    np.testing.assert_allclose(bins.num_rows.sum(axis=1), rows, rtol=1e-12)
    mass = (bins.probability * bins.num_rows).sum(axis=1)
    np.testing.assert_allclose(mass, 1.0, rtol=1e-12)
    for probability, num_rows in zip(bins.probability, bins.num_rows, strict=True):
        used = probability[num_rows > 0]
        # Neighbours that are equally hot may differ by rounding of their edges.
        assert (np.diff(used) <= 1e-9 * used[:-1] + 1e-300).all()


@given(st.lists(st.tuples(ROWS, laws()), min_size=2, max_size=5), st.randoms())
def test_tables_do_not_depend_on_their_order(tables, random):
    """Permuting the tables permutes the results."""
    order = list(range(len(tables)))
    random.shuffle(order)
    rows = np.array([table[0] for table in tables])
    access = [table[1] for table in tables]
    cache = rows[:, None] * np.array([0.01, 0.2])
    bins = row_bins(rows, access)
    shuffled = row_bins(rows[order], [access[i] for i in order])
    for formula in (unique_rows, lru_hit_rate, hottest_mass):
        here = formula(bins, cache)[order]
        np.testing.assert_allclose(formula(shuffled, cache[order]), here, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 1.05, 2.0])
@pytest.mark.parametrize("rows", [1, 5, 32, 33, 1000, 200_000])
def test_zipf_matches_the_sum_over_single_rows(rows, alpha):
    """Distinct rows and hot shares agree with the sum over every row."""
    p = zipf(rows, alpha)
    bins = row_bins([rows], [ZipfAccess(alpha=alpha)])
    for lookups in (1.0, 100.0, 1e5):
        exact = -np.expm1(lookups * np.log1p(-np.minimum(p, 1 - 1e-16))).sum()
        # The rows of a bin differ by at most 8 % here: second-order error.
        assert unique_rows(bins, [lookups])[0] == pytest.approx(exact, rel=5e-4)
    for hot in (1, rows // 3, rows):
        mass = hottest_mass(bins, [float(hot)])[0]
        assert mass == pytest.approx(p[:hot].sum(), abs=2e-4)


def test_zipf_of_a_trillion_rows_matches_the_zeta_function():
    """The hottest row's share is one over the generalised harmonic number."""
    bins = row_bins([10**12] * 2, [ZipfAccess(alpha=2.0), ZipfAccess(alpha=1.0)])
    # zeta(2) = pi^2 / 6 less a tail of 1e-12; H(n) = ln n + gamma + 1/(2n).
    assert bins.probability[0, 0] == pytest.approx(6 / np.pi**2, rel=1e-9)
    harmonic = np.log(1e12) + np.euler_gamma
    assert bins.probability[1, 0] == pytest.approx(1 / harmonic, rel=1e-9)


def test_uniform_closed_forms():
    """Uniform rows: U = E (1 - (1 - 1/E)^n), hit rate and hot share C / E."""
    bins = row_bins([1000], [UniformAccess()])
    # 1000 (1 - 0.999^2) = 1.999 distinct rows of 2 lookups.
    assert unique_rows(bins, [2.0])[0] == pytest.approx(1.999)
    sizes = [[0.0, 100.0, 999.0, 1000.0, 5000.0]]
    expected = [[0.0, 0.1, 0.999, 1.0, 1.0]]
    np.testing.assert_allclose(lru_hit_rate(bins, sizes), expected, rtol=1e-6)
    np.testing.assert_allclose(hottest_mass(bins, sizes), expected)


def test_cdf_takes_the_concave_hull():
    """A point below the hull is dropped, so that rows get colder."""
    # (0, 0), (0.5, 0.5), (1, 1) is above (0.2, 0.1): the hull is uniform.
    dented = CdfAccess(points=((0.2, 0.1), (0.5, 0.5)))
    # Hottest 10 of 100 rows take 60 %: 0.06 each; the others 0.4 / 90.
    bent = CdfAccess(points=((0.1, 0.6),))
    bins = row_bins([100, 100], [dented, bent])
    mass = hottest_mass(bins, [[20.0, 50.0], [10.0, 55.0]])
    np.testing.assert_allclose(mass, [[0.2, 0.5], [0.6, 0.6 + 0.4 * 45 / 90]])


def test_cdf_points_below_one_row_keep_probabilities_possible():
    """A CDF that gives half a row 90 % of the lookups still has p <= 1."""
    bins = row_bins([10], [CdfAccess(points=((0.05, 0.9),))])
    # One row at fraction 0.1: 0.9 + 0.1 * 0.05 / 0.95 = 0.90526.
    assert bins.probability.max() == pytest.approx(0.9 + 0.1 * 0.05 / 0.95)
    assert unique_rows(bins, [1.0])[0] == pytest.approx(1.0)


def test_unique_rows_against_drawn_lookups():
    """The expectation is the mean of simulated batches."""
    rng = np.random.default_rng(0)
    p, lookups, batches = zipf(2000, 1.1), 3000, 200
    drawn = rng.choice(len(p), size=(batches, lookups), p=p)
    counts = [len(np.unique(batch)) for batch in drawn]
    error = np.std(counts) / np.sqrt(batches)
    bins = row_bins([2000], [ZipfAccess(alpha=1.1)])
    # Four standard errors of the mean, plus the binning's 0.05 %.
    expected = unique_rows(bins, [float(lookups)])[0]
    assert abs(np.mean(counts) - expected) < 4 * error + 5e-4 * expected


@pytest.mark.parametrize(
    ("rows", "measured"), [(1_677_721, 350_280.02), (26_843_545, 433_722.73)]
)
def test_measured_distinct_rows(rows, measured):
    """Ten tables, 104,857 power-law ids each, as counted by a public benchmark.

    NVIDIA/recsys-examples, corelib/dynamicemb/benchmark/benchmark_results.json at
    43465aeabf61: ids = floor(x), x from a density ~ x^-1.05 on [1, rows).
    """
    bins = row_bins([rows], [ZipfAccess(alpha=1.05)])
    # The discrete law has a hotter first row than the floored one (measured -4.4 %).
    discrete = 10 * unique_rows(bins, [104_857.0])[0]
    assert discrete == pytest.approx(measured, rel=0.05)
    # With the mass of [k, k + 1) under the density itself, only binning is left.
    first = np.concatenate([[0.0], np.cumsum(bins.num_rows[0])]) + 1.0
    share = np.diff((1 - first**-0.05) / (1 - (rows + 1.0) ** -0.05))
    floored = RowBins(share[None] / np.maximum(bins.num_rows, 1.0), bins.num_rows)
    assert 10 * unique_rows(floored, [104_857.0])[0] == pytest.approx(
        measured, rel=5e-4
    )


def simulated_lru(p: np.ndarray, size: int, lookups: int) -> float:
    """Hit rate of an exact LRU cache after it has warmed up."""
    ids = np.random.default_rng(1).choice(len(p), size=lookups, p=p)
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for position, row in enumerate(ids.tolist()):
        if row in cache:
            cache.move_to_end(row)
            hits += position >= lookups // 4
        else:
            cache[row] = None
            if len(cache) > size:
                cache.popitem(last=False)
    return hits / (lookups - lookups // 4)


@pytest.mark.parametrize(("alpha", "size"), [(0.7, 50), (1.05, 20), (1.05, 200)])
def test_hit_rate_against_an_exact_lru(alpha, size):
    """Che's approximation is within 0.01 of a simulated LRU cache."""
    simulated = simulated_lru(zipf(500, alpha), size, lookups=80_000)
    bins = row_bins([500], [ZipfAccess(alpha=alpha)])
    assert lru_hit_rate(bins, [float(size)])[0] == pytest.approx(simulated, abs=0.01)


@settings(max_examples=200)
@given(ROWS, laws())
def test_hit_rates_are_bounded_and_grow(rows, access):
    """0 <= hit rate <= static split <= 1, and both grow with the cache."""
    bins = row_bins([rows], [access])
    sizes = np.array([[0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0, 2.0]]) * rows
    hits, hot = lru_hit_rate(bins, sizes)[0], hottest_mass(bins, sizes)[0]
    assert hits[0] == hot[0] == 0.0
    np.testing.assert_allclose([hits[-2:], hot[-2:]], 1.0, rtol=1e-9)
    # No policy beats keeping the hottest rows, for independent lookups.
    assert (hits <= hot + 1e-6).all()
    assert (np.diff(hits) >= -1e-6).all()
    assert (np.diff(hot) >= -1e-12).all()


@given(ROWS, laws(), st.floats(1, 1e12))
def test_distinct_rows_are_bounded_and_grow(rows, access, lookups):
    """At most as many distinct rows as rows or lookups, more for more lookups."""
    bins = row_bins([rows], [access])
    few, many = unique_rows(bins, [[lookups, 2 * lookups]])[0]
    assert 0 < few <= min(rows, lookups) * (1 + 1e-9)
    assert few * (1 - 1e-12) <= many <= 2 * few * (1 + 1e-12)


def test_rows_that_nobody_asks_for_need_no_cache():
    """A cache of all rows in use always hits."""
    bins = row_bins([100], [CdfAccess(points=((0.2, 1.0),))])
    np.testing.assert_array_equal(lru_hit_rate(bins, [[20.0, 50.0]]), 1.0)


def test_cases_are_columns():
    """A (T, K) argument gives the (T,) answers side by side."""
    bins = row_bins([1000, 50], [ZipfAccess(alpha=1.1), UniformAccess()])
    cases = np.array([[10.0, 100.0, 400.0], [1.0, 5.0, 20.0]])
    for formula in (unique_rows, lru_hit_rate, hottest_mass):
        columns = [formula(bins, column) for column in cases.T]
        np.testing.assert_allclose(formula(bins, cases), np.stack(columns, axis=1))
        assert formula(bins, cases[:, :0]).shape == (2, 0)


@pytest.mark.benchmark
def test_ten_thousand_tables_take_a_moment():
    """Bins in 0.3 s, hit rates of five cache sizes in 1 s."""
    sizes = itertools.cycle([10**4, 10**6, 10**8, 10**10])
    rows = np.fromiter(itertools.islice(sizes, 10_000), dtype=np.int64)
    start = time.process_time()
    bins = row_bins(rows, [ZipfAccess(alpha=1.05)] * len(rows))
    binned = time.process_time()
    lru_hit_rate(bins, rows[:, None] * np.array([0.01, 0.05, 0.1, 0.2, 0.5]))
    done = time.process_time()
    assert binned - start < 0.3
    assert done - binned < 1.0


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        (0.0, 0.0),
        (1.0, 1.0),
        (10.0, 10.0**0.5),  # half way from (1, 1) in logarithms
        (100.0, 10.0),
        (1000.0, 20.0),
        (3000.0, 20.0 * 90 / 30),  # three times as many independent ids
    ],
)
def test_measured_unique(lookups: float, expected: float) -> None:
    """Power laws between points, then the growth of independent lookups."""
    points = [(100.0, 10.0), (1000.0, 20.0)]
    found = measured_unique(points, lookups, lambda ids: ids * 0.03)
    assert found == pytest.approx(expected)


def test_distinct_rows_among_the_hottest() -> None:
    """Summed row by row, and all of them in the end."""
    share = np.arange(1, 21.0) ** -1.2
    share /= share.sum()
    bins = row_bins([20], [ZipfAccess(alpha=1.2)])
    found = distinct_curve(bins, np.array([50.0]))[0]
    touched = np.cumsum(1.0 - (1.0 - share) ** 50)
    np.testing.assert_allclose(found[1:21], touched, rtol=1e-9)
    assert found[0] == 0.0
    assert found[-1] == pytest.approx(unique_rows(bins, [50.0])[0])
