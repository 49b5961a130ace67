"""Bins of equally likely rows: access distributions in a form to sum over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.tables import CdfAccess, UniformAccess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.tables import AccessDistribution

    Part = tuple[Ints, Floats, Floats]

# Resolution of a Zipf law: the hottest rows one by one, then log-spaced bins. A
# finer grid changes distinct rows and hit rates by less than 0.1 %.
_HEAD_ROWS = 32
_TAIL_BINS = 112
_NEARLY_0 = 1e-30


@dataclass(frozen=True, eq=False)
class RowBins:
    """The rows of T tables in B bins of equally likely rows, hottest bin first.

    Attributes
    ----------
    probability : float array of shape (T, B)
        Chance that one lookup asks for one given row of the bin.
    num_rows : float array of shape (T, B)
        Rows in the bin. Bins that a table does not need have no rows and
        probability 0, and may be anywhere.
    """

    probability: Floats
    num_rows: Floats


def row_bins(
    num_embeddings: ArrayLike, access: Sequence[AccessDistribution]
) -> RowBins:
    """Sort the rows of every table into bins of (nearly) equally likely rows.

    Parameters
    ----------
    num_embeddings : int array of shape (T,)
        Rows E of each table.
    access : sequence of T access distributions

    Returns
    -------
    RowBins
        Per table, ``sum(num_rows) = E`` and ``sum(probability * num_rows) = 1``.

    Notes
    -----
    Zipf: ``p_k = k^-alpha / sum_j j^-alpha``; a bin has the exact mass of its rows.
    An id of several rows shares its probability out among them.
    A measured CDF is linear between its points; its upper concave hull is used, so
    that hotter rows come first. Equal (rows, access) pairs are worked out once.

    References
    ----------
    Breslau et al. 1999, Web Caching and Zipf-like Distributions, IEEE INFOCOM.
    """
    rows = np.asarray(num_embeddings, dtype=np.int64).tolist()
    laws, law_of_table = _distinct_laws(access)
    pairs: dict[tuple[int, int], int] = {}
    keys = zip(law_of_table, rows, strict=True)
    pair_of_table = [pairs.setdefault(key, len(pairs)) for key in keys]
    law, size = np.array(list(pairs), dtype=np.int64).reshape(-1, 2).T
    parts = _parts(laws, law, size.astype(float))
    return _assemble(parts, len(pairs), np.array(pair_of_table, dtype=np.int64))


def _distinct_laws(
    access: Sequence[AccessDistribution],
) -> tuple[list[AccessDistribution], list[int]]:
    """Return the distinct distributions and each table's index among them."""
    laws: dict[AccessDistribution, int] = {}
    # Hashing a long CDF once per object, not once per table.
    objects = {id(one): one for one in access}
    index = {key: laws.setdefault(one, len(laws)) for key, one in objects.items()}
    return list(laws), [index[id(one)] for one in access]


def _parts(laws: list[AccessDistribution], law: Ints, rows: Floats) -> list[Part]:
    """Return pairs with the rows and lookup shares of their bins, kind by kind."""
    alpha = np.array([getattr(one, "alpha", np.nan) for one in laws])[law]
    spread = np.array([getattr(one, "rows_per_draw", 1) for one in laws])[law]
    zipf = np.flatnonzero(np.isfinite(alpha))
    is_uniform = np.array([isinstance(one, UniformAccess) for one in laws])
    uniform = np.flatnonzero(is_uniform[law])
    parts = [
        (zipf, *_spread_bins(*_zipf_bins(alpha[zipf], rows[zipf]), spread[zipf])),
        (uniform, rows[uniform, None], np.ones((len(uniform), 1))),
    ]
    for index, one in enumerate(laws):
        if isinstance(one, CdfAccess):
            members = np.flatnonzero(law == index)
            parts.append((members, *_cdf_bins(one, rows[members])))
    return [part for part in parts if len(part[0])]


def _zipf_bins(alpha: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Head rows one by one, the tail in log-spaced bins; shapes (U, B)."""
    alpha, rows = alpha[:, None], rows[:, None]
    head = np.minimum(np.arange(1.0, _HEAD_ROWS + 1), rows)
    first = head[:, -1:]
    steps = np.linspace(0.0, 1.0, _TAIL_BINS + 1)
    edges = np.rint(first * np.exp(steps * np.log(rows / first)))
    edges[:, -1:] = rows
    num_rows = np.diff(np.hstack([head, edges[:, 1:]]), axis=1, prepend=0.0)
    weight = np.hstack([head**-alpha, _power_sums(edges, alpha)])
    weight = np.where(num_rows > 0, weight, 0.0)
    return num_rows, weight / weight.sum(axis=1, keepdims=True)


def _spread_bins(
    num_rows: Floats, share: Floats, rows_per_draw: Ints
) -> tuple[Floats, Floats]:
    """Spread every id over some rows; shapes (U, B) to (U, B + 1).

    Hot ids get rows of their own while these are at most half of all rows; the
    others overlap so often that every row gets an even part of what they have.
    """
    many = rows_per_draw[:, None]
    total = num_rows.sum(axis=1, keepdims=True)
    own = (many == 1) | (np.cumsum(num_rows * many, axis=1) <= total / 2)
    hot_rows = np.where(own, num_rows * many, 0.0)
    even = np.where(own, 0.0, share).sum(axis=1, keepdims=True)
    rest = np.maximum(total - hot_rows.sum(axis=1, keepdims=True), 0.0)
    hot_share = np.where(own, share, 0.0) + even * hot_rows / total
    return np.hstack([hot_rows, rest]), np.hstack([hot_share, even * rest / total])


def _power_sums(edges: Floats, alpha: Floats) -> Floats:
    """Sum ``k^-alpha`` over ``a < k <= b`` between edges by Euler and Maclaurin.

    The first term that is left out is below 1e-9 of the sum for ``a >= 32`` and
    the exponents of practice (alpha <= 2), below 1e-6 up to alpha = 10.
    """
    log_edges = np.log(edges)
    f = np.exp(-alpha * log_edges)
    # The integral of x^-alpha; its limit at alpha = 1 is log(b / a).
    power = np.where(alpha == 1, _NEARLY_0, 1.0 - alpha)
    growth = np.expm1(power * np.diff(log_edges)) / power
    integral = (edges * f)[:, :-1] * growth
    third = (alpha + 1) * (alpha + 2)
    slope = alpha * f / edges
    rest = f / 2 - slope / 12 + third * slope / edges**2 / 720
    sums: Floats = integral + np.diff(rest, axis=1)
    return sums


def _cdf_bins(access: CdfAccess, rows: Floats) -> tuple[Floats, Floats]:
    """One bin per segment of the hull; shapes (U, points)."""
    x, y = _concave_hull(access)
    position = x * rows[:, None]
    # Less than one row cannot be looked up: such points meet at the first row.
    first = np.interp(1.0 / rows, x, y)[:, None]
    share = np.where(position < 1.0, first, y)
    position = np.maximum(position, 1.0)
    num_rows = np.diff(position, axis=1, prepend=0.0)
    return num_rows, np.diff(share, axis=1, prepend=0.0)


def _concave_hull(access: CdfAccess) -> tuple[Floats, Floats]:
    """Return the points of the upper concave hull of a measured CDF."""
    given = dict([(0.0, 0.0), *access.points]) | {1.0: 1.0}
    hull: list[tuple[float, float]] = []
    for x, y in given.items():
        while len(hull) > 1 and _is_below(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return np.array([x for x, _ in hull]), np.array([y for _, y in hull])


def _is_below(
    left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]
) -> bool:
    """Whether the middle point is on or below the line between the others."""
    rise, run = right[1] - left[1], right[0] - left[0]
    return (middle[1] - left[1]) * run <= rise * (middle[0] - left[0])


def _assemble(parts: list[Part], num_pairs: int, pair_of_table: Ints) -> RowBins:
    """Pad the bins of every law to one width and hand them out to the tables."""
    width = max((num_rows.shape[1] for _, num_rows, _ in parts), default=1)
    rows, probability = np.zeros((2, num_pairs, width))
    for members, num_rows, share in parts:
        used = num_rows.shape[1]
        rows[members, :used] = num_rows
        probability[members, :used] = share / np.where(num_rows > 0, num_rows, 1.0)
    return RowBins(probability[pair_of_table], rows[pair_of_table])
