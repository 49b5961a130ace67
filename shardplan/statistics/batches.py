"""Batches of samples: how many of their ids differ, and how full partitions get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints
    from shardplan.statistics.lookups import Lookups

SIZES = (512, 2048, 8192, 131_072)
"""Samples of the batches that are measured."""
PARTITIONS = 2 ** np.arange(1, 9)
"""Numbers of partitions: powers of two, so that each has its counts as sums of the
next; a row is in partition ``row % number``."""
_WIDTH = int(PARTITIONS[-1])
_MOST_SAMPLES = 1 << 14
"""Samples at the start of each block of the log that are measured."""


def most_batches(size: int) -> int:
    """Return how many batches of a size are measured of each block of the log."""
    return max(1, _MOST_SAMPLES // size)


@dataclass(frozen=True, eq=False)
class Batches:
    """What batches of one size have; those of several parts of a log add up.

    Attributes
    ----------
    seen, taken : int
        Batches that the log has, and those that were measured.
    ids, unique : int
        Sums of the ids of all batches and of their unique ids, as estimated, times
        `most_batches`: each measured one stands for as many as its block has.
    total, squares : int
        Sums of unique ids and their squares over measured batches alone.
    spread : int
        Variance of a sum over all batches, over that of one, times `most_batches`.
    most : int array of shape (2, P)
        Ids, and unique ids, of the fullest partition of all measured batches.
    """

    seen: int
    taken: int
    ids: int
    unique: int
    total: int
    squares: int
    spread: int
    most: Ints

    def __add__(self, other: Self) -> Self:
        """Return those of both parts."""
        return type(self)(
            self.seen + other.seen,
            self.taken + other.taken,
            self.ids + other.ids,
            self.unique + other.unique,
            self.total + other.total,
            self.squares + other.squares,
            self.spread + other.spread,
            np.maximum(self.most, other.most),
        )

    def exceeded(self) -> float:
        """Return the share of all batches (95 %) that may have more than the most.

        References
        ----------
        Hanley, Lippman-Hand 1983, If Nothing Goes Wrong, Is Everything All Right?,
        JAMA 249(13) (the rule of three).
        """
        if self.taken == self.seen:
            return 0.0
        return 1.0 - float(0.05 ** (1 / self.taken))

    def mean(self, size: int) -> tuple[float, float]:
        """Return the ids of a batch of this size, and how many differ; means."""
        each = max(self.seen, 1) * most_batches(size)
        return self.ids / each, self.unique / each

    def error(self, size: int) -> float:
        """Return the bound of the error of unique ids, relative to their mean.

        Notes
        -----
        Blocks are strata; their variance is taken to be that of all measured batches,
        which is no less. 0 where all were measured.

        References
        ----------
        Cochran 1977, Sampling Techniques, 3rd ed., sections 5.3 and 5.6.
        """
        if not self.spread or not self.total:
            return 0.0
        if self.taken < 2:
            return 1.0
        # Not scipy.stats: a second of the processor to import.
        from scipy.special import stdtrit

        mean = self.total / self.taken
        variance = max(0.0, self.squares / self.taken - mean**2)
        variance *= self.taken / (self.taken - 1)
        of_sum = variance * self.spread / most_batches(size)
        quantile = float(stdtrit(self.taken - 1, 0.995))
        return quantile * float(np.sqrt(of_sum)) / self.seen / self.mean(size)[1]


@dataclass(frozen=True, eq=False)
class AllBatches:
    """Those of every size of `SIZES`; those of several parts of a log add up."""

    each: tuple[Batches, ...]

    @classmethod
    def of(cls, found: Lookups, ids: Ints, lengths: Ints) -> Self:
        """Measure the batches at the start of a block.

        Parameters
        ----------
        found : Lookups
        ids : int array of shape (N,)
        lengths : int array of shape (S,)
            Lookups of each sample.
        """
        ends = np.concatenate(([0], np.cumsum(lengths[:_MOST_SAMPLES])))
        before, place = found.before(int(ends[-1])), ids[: ends[-1]] & _WIDTH - 1

        def counts(size: int, seen: int) -> tuple[Ints, Ints]:
            if len(lengths) == size:
                return _whole(found)
            taken = min(seen, most_batches(size))
            return _counts(before, place, ends[: taken * size + 1 : size])

        number = {size: len(lengths) // size for size in SIZES}
        return cls(tuple(_batches(n, s, counts(s, n)) for s, n in number.items()))

    def __add__(self, other: Self) -> Self:
        """Return those of both parts."""
        pairs = zip(self.each, other.each, strict=True)
        return type(self)(tuple(a + b for a, b in pairs))


def _batches(seen: int, size: int, counts: tuple[Ints, Ints]) -> Batches:
    """Sum up the first of so many batches of a size.

    Parameters
    ----------
    counts : int arrays of shape (B, P)
        Ids, and unique ids, by batch and partition.
    """
    every, unique = counts
    each = unique.sum(axis=1)
    cap = most_batches(size)
    weight, total = max(seen, cap), int(each.sum())
    return Batches(
        seen,
        len(each),
        int(every.sum()) * weight,
        total * weight,
        total,
        int(each @ each),
        seen * max(0, seen - cap),
        _fullest(np.stack((every, unique))),
    )


def _whole(found: Lookups) -> tuple[Ints, Ints]:
    """Return ids, and unique ids, by partition, of all lookups as one batch."""
    place = found.rows & _WIDTH - 1
    every = np.bincount(place, found.counts, _WIDTH).astype(np.int64)
    return every[np.newaxis], np.bincount(place, minlength=_WIDTH)[np.newaxis]


def _counts(before: Ints, place: Ints, edges: Ints) -> tuple[Ints, Ints]:
    """Return ids, and unique ids, by batch and partition.

    Parameters
    ----------
    before, place : int arrays of shape (M,)
        Of `Lookups`: the first of a row in a batch has none there before; and
        partitions.
    edges : int array of shape (B + 1,)
        Lookups before each batch, and all of them.
    """
    taken, size = len(edges) - 1, int(edges[-1])
    batch = np.repeat(np.arange(taken), np.diff(edges))
    cell = batch * _WIDTH + place[:size]
    new = before[:size] < edges[batch]
    every = np.bincount(cell, minlength=taken * _WIDTH)
    unique = np.bincount(cell[new], minlength=taken * _WIDTH)
    return every.reshape(taken, _WIDTH), unique.reshape(taken, _WIDTH)


def _fullest(count: Ints) -> Ints:
    """Return the most ids of a partition, by number of partitions.

    Parameters
    ----------
    count : int array of shape (2, B, P)
        Ids, and unique ids, by batch and partition.

    Returns
    -------
    int array of shape (2, P)
    """
    found = [count.max(axis=(1, 2), initial=0)]
    for half in PARTITIONS[-2::-1]:
        count = count[:, :, :half] + count[:, :, half:]
        found.append(count.max(axis=(1, 2), initial=0))
    return np.stack(found[::-1], axis=1)
