"""One sort of a block of lookups, which gives all that is counted by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Ints

NEVER = -1
"""Where a row was not looked up before."""


class Lookups(NamedTuple):
    """The rows of N lookups, grouped.

    Attributes
    ----------
    order : int array of shape (N,)
        Index of each lookup, those of a row one after the other, in their order.
    new : bool array of shape (N,)
        Whether it is the first one of its row.
    rows, counts : int arrays of shape (U,)
        The distinct rows, ascending, and their lookups.
    first, last : int arrays of shape (U,)
        Index of the first and the last lookup of each.
    """

    order: Ints
    new: Bools
    rows: Ints
    counts: Ints
    first: Ints
    last: Ints

    def gaps(self) -> Ints:
        """Return how many lookups after the one before of its row each comes again."""
        return np.diff(self.order)[~self.new[1:]]

    def before(self, size: int) -> Ints:
        """Return the index of the lookup before of the same row, or `NEVER`.

        Parameters
        ----------
        size : int
            Of so many lookups at the start.

        Returns
        -------
        int array of shape (size,)
        """
        there = np.flatnonzero(self.order < size)
        found = np.empty(size, dtype=np.int64)
        previous = np.where(self.new[there], NEVER, self.order[there - 1])
        found[self.order[there]] = previous
        return found


def sort_lookups(ids: Ints) -> Lookups:
    """Group the lookups of every row.

    Parameters
    ----------
    ids : int array of shape (N,)
        At least 0.
    """
    order, ordered, new = in_groups(ids)
    starts = np.flatnonzero(new)
    ends = np.append(starts, len(ids))[1:]
    rows, counts = ordered[starts], ends - starts
    return Lookups(order, new, rows, counts, order[starts], order[ends - 1])


def in_groups(
    rows: Ints, *, kind: Literal["quicksort", "stable"] = "quicksort"
) -> tuple[Ints, Ints, Bools]:
    """Sort rows, equal ones in their order.

    Parameters
    ----------
    rows : int array of shape (N,)
        At least 0.
    kind : str
        Of the sort: a stable one is faster where rows are a few runs in order.

    Returns
    -------
    order : int array of shape (N,)
        Index of each.
    ordered : int array of shape (N,)
        The rows.
    new : bool array of shape (N,)
        Whether it is another row than the one before.

    Notes
    -----
    Row and index are sorted as one integer where both fit in 63 bits: several times
    faster than a stable sort of indices.
    """
    size = len(rows)
    index_bits = size.bit_length()
    if int(rows.max(initial=0)).bit_length() + index_bits < 63:
        key = rows << index_bits
        key |= np.arange(size)
        key.sort(kind=kind)
        order, ordered = key & ((1 << index_bits) - 1), key >> index_bits
    else:
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
    new = np.ones(size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return order, ordered, new


def union(one: Ints, other: Ints) -> Ints:
    """Return what is in one of two ascending arrays without duplicates, or in both.

    Notes
    -----
    A stable sort merges runs that are sorted already in linear time.
    """
    both = np.concatenate((one, other))
    both.sort(kind="stable")
    return both[np.concatenate(([True], both[1:] != both[:-1]))[: len(both)]]


def counts_together(
    one: tuple[Ints, Ints], other: tuple[Ints, Ints]
) -> tuple[Ints, Ints]:
    """Add up lookups of rows, each given as distinct rows, ascending, and lookups."""
    rows = union(one[0], other[0])
    total = np.zeros(len(rows), dtype=np.int64)
    for some, counts in (one, other):
        total[np.searchsorted(rows, some)] += counts
    return rows, total
