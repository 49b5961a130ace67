"""The certificate record: prices from which anybody can recompute a lower bound."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.records.brief import Brief
from shardplan.records.record import Flag, Integer, Number, Record
from shardplan.units import plural

Price = Annotated[Number, Field(ge=0)]
"""A price: seconds of bound per second of load, per byte, or per unit of room."""


class Prices(Record):
    """One set of prices: a Lagrangian relaxation of the planning problem.

    Attributes
    ----------
    ranks : tuple of tuples of float
        Per class of ranks: the price of a second on each rank of the class, in each
        phase for `step`, or in total (one number) for `max-rank`. What is missing to
        a sum of 1 over ranks weighs on the slowest rank, whichever that is.
    hbm, ddr, ssd : tuple of float
        Per class: the price of a byte of HBM on each of its ranks, and of DDR and
        SSD on each of its hosts [s/byte].
    """

    ranks: tuple[tuple[Price, ...], ...]
    hbm: tuple[Price, ...]
    ddr: tuple[Price, ...]
    ssd: tuple[Price, ...]


class PatternPrices(Record):
    """Prices of items, for proofs about what a single rank can hold.

    Attributes
    ----------
    items : tuple of int
        Indices of items of the menu; others are free.
    prices : tuple of float
        Price of each on a rank, in units of which the dearest set of items that a
        rank can hold costs about 1.
    hbm : float
        Price of a whole rank's HBM.
    ddr, ssd : float
        Price of the DDR and SSD of all hosts.
    """

    items: tuple[Annotated[Integer, Field(ge=0)], ...]
    prices: tuple[Price, ...]
    hbm: Price = 0.0
    ddr: Price = 0.0
    ssd: Price = 0.0


class Case(Record):
    """One case of a proof; two cases follow it if it is split.

    Attributes
    ----------
    rounds : tuple of Prices
        Each round bounds the plans that are left, and excludes the options that no
        plan below the threshold can use.
    patterns : tuple of PatternPrices
        Used after the rounds.
    phase : int or None
        Split by the slowest rank of this phase; None for no split.
    at_s : float
        The next case of the list, with all that follow from it, is about plans whose
        slowest rank takes at most this in the phase; the one after about the others.
    """

    rounds: tuple[Prices, ...] = ()
    patterns: tuple[PatternPrices, ...] = ()
    phase: Annotated[Integer, Field(ge=0)] | None = None
    at_s: Annotated[Number, Field(ge=0)] = 0.0


class Certificate(Brief, Record):
    """Why no plan is better than a value: prices, used one after the other.

    Attributes
    ----------
    all_tiers : bool
        Which menu the prices are for; see `build_problem`.
    num_options : int
        Size of that menu, so that a certificate of another menu is noticed.
    threshold_s : float or None
        The proof is by contradiction: suppose a plan is faster than this [s]. None
        supposes nothing.
    cases : tuple of Case
        The first is about all plans; cases of a split follow it directly.
    """

    all_tiers: Flag = False
    num_options: Annotated[Integer, Field(ge=0)]
    threshold_s: Annotated[Number, Field(gt=0)] | None = None
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {
            "cases": plural(len(self.cases), "case"),
            "rounds": plural(sum(len(c.rounds) for c in self.cases), "round"),
            "menu": plural(self.num_options, "option"),
        }
