"""The numbers of shelves: section ``[shelf]`` of a parameter file."""

from __future__ import annotations

from shardplan.records.record import Fraction, PositiveTally, Record, Tally, Weight


class ShelfParams(Record):
    """Shelves of few tables on many ranks: how few, and how long they are tried.

    Attributes
    ----------
    tables_per_rank : float
        Tables over ranks above which there are no shelves: with several tables per
        rank other plans are better than those with one piece on each.
    most_columns : int
        Columns of the integer program above which there are none: one for each option
        and set of ranks that it may be on. HiGHS takes 0.1 to 4 s for 1,000, and where
        there were more, its plans were not the best.
    layers : int
        Pieces that a rank has at most.
    gap : float
        The program ends this near to its optimum, relatively.
    """

    tables_per_rank: Weight = 2.0
    most_columns: Tally = 1500
    layers: PositiveTally = 1
    gap: Fraction = 1e-4
