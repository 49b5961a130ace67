"""Which rows a batch touches: distinct rows, cache hits and the mass of hot rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory.row_bins import RowBins, row_bins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


__all__ = [
    "RowBins",
    "distinct_curve",
    "hottest_mass",
    "lru_hit_rate",
    "mass_curve",
    "measured_misses",
    "measured_unique",
    "row_bins",
    "unique_rows",
]

# Tables worked on at once, so that the arrays of a root search stay in the cache.
_CHUNK = 128
_MAX_ITERATIONS = 200
_LOG_TOLERANCE = 1e-7


def unique_rows(bins: RowBins, num_lookups: ArrayLike) -> Floats:
    """Return the expected number of distinct rows among independent lookups.

    Parameters
    ----------
    bins : RowBins
        Of T tables.
    num_lookups : float array of shape (T,) or (T, K)
        Lookups n of each table, for K cases.

    Returns
    -------
    float array of the shape of `num_lookups`
        Distinct rows U.

    Notes
    -----
    ``U = sum_k (1 - (1 - p_k)^n)``.

    References
    ----------
    Sethi et al. 2022, RecShard, arXiv:2201.10095 (access statistics).
    """
    log_miss = _log_miss(bins)

    def distinct(lookups: Floats) -> Floats:
        return _dot(bins.num_rows, -np.expm1(lookups[:, None] * log_miss))

    return _per_case(distinct, num_lookups)


def measured_unique(
    points: Sequence[tuple[float, float]],
    num_lookups: float,
    independent: Callable[[float], float],
) -> float:
    """Return the distinct rows among lookups from a measured curve.

    Parameters
    ----------
    points : sequence of (ids, unique)
        Increasing; (1, 1) is implied.
    num_lookups : float
    independent : callable
        Distinct rows among independent lookups.

    Notes
    -----
    A power law between two points: straight in logarithms, so that unique ids stay
    below ids. Beyond the last point they grow in proportion as they would if lookups
    were independent: other ranks have other samples.
    """
    ids, unique = np.array([(1.0, 1.0), *points]).T
    if num_lookups <= 1.0:
        return num_lookups
    if num_lookups > ids[-1]:
        grown = independent(num_lookups) / independent(float(ids[-1]))
        return float(unique[-1] * max(grown, 1.0))
    return float(np.exp(np.interp(np.log(num_lookups), np.log(ids), np.log(unique))))


def distinct_curve(bins: RowBins, num_lookups: Floats) -> Floats:
    """Return how many distinct rows lookups touch among the hottest rows.

    Parameters
    ----------
    bins : RowBins
        Of T tables, with B bins.
    num_lookups : float array (T,)
        Independent lookups in each table.

    Returns
    -------
    float array of shape (T, B + 1)
        At the rows of `mass_curve`; the last one is `unique_rows`.
    """
    touched = bins.num_rows * -np.expm1(num_lookups[:, None] * _log_miss(bins))
    return np.pad(np.cumsum(touched, axis=1), ((0, 0), (1, 0)))


def _log_miss(bins: RowBins) -> Floats:
    """Logarithm of the probability that a lookup misses a row (T, B)."""
    certain = np.nextafter(1.0, 0.0)
    return np.asarray(np.log1p(-np.minimum(bins.probability, certain)))


def measured_misses(
    points: Sequence[tuple[float, float]], cache_rows: ArrayLike
) -> Floats:
    """Return the share of lookups that a cache misses, from a measured curve.

    Parameters
    ----------
    points : sequence of (rows, ratio)
        Rows increase, ratios never; (0, 1) is implied, and the last ratio holds beyond.
    cache_rows : float or float array
        Rows that the cache holds.

    Returns
    -------
    float array of the shape of `cache_rows`

    Notes
    -----
    Straight between two points.
    """
    rows, ratio = np.array([(0.0, 1.0), *points]).T
    return np.asarray(np.interp(np.asarray(cache_rows), rows, ratio))


def hottest_mass(bins: RowBins, num_rows: ArrayLike) -> Floats:
    """Return the share of the lookups that go to the hottest rows of each table.

    Parameters
    ----------
    bins : RowBins
        Of T tables.
    num_rows : float array of shape (T,) or (T, K)
        How many of the hottest rows.

    Returns
    -------
    float array of the shape of `num_rows`
        Fraction of the lookups, 0 to 1.

    References
    ----------
    Sethi et al. 2022, RecShard, arXiv:2201.10095 (the static split).
    """
    rows, mass = mass_curve(bins)
    hot = np.asarray(num_rows, dtype=float)
    columns = hot.reshape(len(hot), -1)
    found = [np.interp(*curve) for curve in zip(columns, rows, mass, strict=True)]
    return np.array(found).reshape(hot.shape)


def mass_curve(bins: RowBins) -> tuple[Floats, Floats]:
    """Return how much of the lookups goes to how many of the hottest rows.

    Parameters
    ----------
    bins : RowBins
        Of T tables, with B bins.

    Returns
    -------
    rows, mass : float arrays of shape (T, B + 1)
        From none to all; linear in between, as rows of a bin are equally likely.
    """
    start = ((0, 0), (1, 0))
    rows = np.pad(np.cumsum(bins.num_rows, axis=1), start)
    mass = np.pad(np.cumsum(bins.probability * bins.num_rows, axis=1), start)
    return rows, np.minimum(mass, 1.0)


def lru_hit_rate(bins: RowBins, cache_rows: ArrayLike) -> Floats:
    """Return the share of the lookups that an LRU cache of rows serves.

    Parameters
    ----------
    bins : RowBins
        Of T tables.
    cache_rows : float array of shape (T,) or (T, K)
        Rows C that the cache holds, for K sizes.

    Returns
    -------
    float array of the shape of `cache_rows`
        Hit rate h, 0 for an empty cache and 1 where every row in use fits.

    Notes
    -----
    With the characteristic time T (in lookups) that solves
    ``sum_k (1 - exp(-p_k T)) = C``, ``h = sum_k p_k (1 - exp(-p_k T))``.

    References
    ----------
    Che, Tung, Wang 2002, Hierarchical Web Caching Systems, IEEE JSAC 20(7).
    Fricker, Robert, Roberts 2012, arXiv:1202.3974 (why it is so accurate).
    """

    def hits(cache: Floats) -> Floats:
        rate = np.empty(len(cache))
        for start in range(0, len(cache), _CHUNK):
            part = slice(start, start + _CHUNK)
            rate[part] = _che(bins.probability[part], bins.num_rows[part], cache[part])
        return rate

    return _per_case(hits, cache_rows)


def _che(probability: Floats, num_rows: Floats, cache: Floats) -> Floats:
    """Return hit rates, shape (T,), of tables of shape (T, B)."""
    in_use = np.where(probability > 0, num_rows, 0.0)
    rate = np.where(cache > 0, 1.0, 0.0)
    # A cache that misses the last fraction of a row has no room left to search in.
    open_ = np.flatnonzero((cache > 0) & (cache < in_use.sum(axis=1) * (1 - 1e-12)))
    if len(open_):
        p, n = probability[open_], in_use[open_]
        time = _characteristic_time(p, n, cache[open_])
        rate[open_] = np.minimum(_dot(p * n, -np.expm1(-p * time[:, None])), 1.0)
    return rate


def _characteristic_time(p: Floats, n: Floats, cache: Floats) -> Floats:
    """Solve ``sum n (1 - exp(-p t)) = cache`` for t by Newton in a bracket.

    The search is in log t and log rows, where a power law is a straight line.
    """
    least = np.where(n > 0, p, np.inf).min(axis=1)
    low = np.log(cache)
    high = np.log(-np.log1p(-cache / n.sum(axis=1)) / least)
    log_t, active = low.copy(), np.arange(len(cache))
    for _ in range(_MAX_ITERATIONS):
        x = p[active] * np.exp(log_t[active])[:, None]
        cached = -np.expm1(-x)
        rows = _dot(n[active], cached)
        slope = _dot(n[active], x * (1.0 - cached)) / rows
        gap = np.log(cache[active] / rows)
        low[active] = np.where(gap > 0, log_t[active], low[active])
        high[active] = np.where(gap > 0, high[active], log_t[active])
        step = log_t[active] + gap / np.maximum(slope, np.finfo(float).tiny)
        inside = (step > low[active]) & (step < high[active])
        middle = (low[active] + high[active]) / 2
        done = (np.abs(gap) < _LOG_TOLERANCE) | (high[active] - low[active] < 1e-12)
        log_t[active] = np.where(done, log_t[active], np.where(inside, step, middle))
        active = active[~done]
        if not len(active):
            break
    return np.exp(log_t)


def _per_case(function: Callable[[Floats], Floats], cases: ArrayLike) -> Floats:
    """Apply a function of (T,) arrays to an array of shape (T,) or (T, K)."""
    values = np.asarray(cases, dtype=float)
    if values.ndim == 1:
        return function(values)
    columns = [function(column) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.empty_like(values)


def _dot(a: Floats, b: Floats) -> Floats:
    """Sum of products over bins, shape (T,)."""
    product: Floats = np.einsum("tb,tb->t", a, b)
    return product
