"""The numbers of packing: section ``[pack]`` of a parameter file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.records.record import (
    Fraction,
    PositiveTally,
    Record,
    Seconds,
    Tally,
    Weight,
)


class PackParams(Record):
    """Packing few large tables: what is little enough, and how long it is tried.

    Attributes
    ----------
    most_tables : int
        Tables above which nothing is packed: with many shards per rank the search
        balances as well.
    most_kinds : int
        Kinds of pieces above which nothing is packed: each is a row of the program.
    most_rank_kinds : int
        Kinds of ranks above which nothing is packed: patterns are looked for on each.
    grid : int
        Parts of a rank's memory to which bytes are rounded up: the fewer, the more
        shards are equal, and the more memory a pattern seems to need.
    sharpness : float
        Stop when the threshold is known to within this, relatively.
    worth : float
        How far below the present plan the first threshold is, relatively.
    program_s : float
        Most time for the integer program of one threshold: it is found soon, or a
        higher threshold is tried.
    most_columns : int
        Patterns of that program, those worth most at the last prices: more hold
        HiGHS up.
    most_rounds : int
        Rounds of pricing patterns for one threshold.
    beam : int
        Patterns of equally many pieces that are grown further: the more, the more
        patterns are found at once, and the slower.
    most_pieces : int
        Pieces of a pattern, at most.
    most_found : int
        Patterns that a round adds for each kind of rank, the dearest first.
    spread, more : float
        What options on all ranks may use is what they use now, then multiples of it
        with this standard deviation of the logarithm, and a share of the whole on top
        with this one.
    """

    most_tables: Tally = 128
    most_kinds: Tally = 800
    most_rank_kinds: Tally = 24
    grid: PositiveTally = 500
    sharpness: Annotated[Weight, Field(gt=0)] = 2e-3
    worth: Fraction = 1e-4
    program_s: Seconds = 2.0
    most_columns: PositiveTally = 800
    most_rounds: Tally = 60
    beam: PositiveTally = 96
    most_pieces: Tally = 16
    most_found: PositiveTally = 200
    spread: Annotated[Weight, Field(le=10)] = 0.3
    more: Fraction = 0.03


PACK_DEFAULTS = PackParams()
