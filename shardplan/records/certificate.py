"""The certificate record: prices from which anybody can recompute a lower bound."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shardplan.records.brief import Brief
from shardplan.records.record import Flag, Integer, Number, Record
from shardplan.units import plural

Price = Annotated[Number, Field(ge=0)]
"""A price: seconds of bound per second of load, per byte, or per unit of room."""
Index = Annotated[Integer, Field(ge=0)]
"""The place of something in a list."""
Pieces = Annotated[Integer, Field(ge=1)]
"""How many pieces fit on a rank."""
Positive = Annotated[Number, Field(gt=0)]
"""A number above 0."""


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
    longest : tuple of (int, int, float)
        Bundle, phase, and the price of a second of the rank that holds the longest
        item of the bundle in the phase.
    """

    ranks: tuple[tuple[Price, ...], ...]
    hbm: tuple[Price, ...]
    ddr: tuple[Price, ...]
    ssd: tuple[Price, ...]
    longest: tuple[tuple[Index, Index, Price], ...] = ()


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


class Circuit(Record):
    """A path through a step that comes back to where it began some steps later.

    Attributes
    ----------
    operations : tuple of str
        Each waits for the one before, the first one for the last.
    share : float
        Its weight among others.
    """

    operations: Annotated[tuple[str, ...], Field(min_length=1)]
    share: Annotated[Number, Field(ge=0, le=1)]


class StepCase(Record):
    """One case of a proof about the predicted step; two cases follow if it is split.

    Attributes
    ----------
    split : str or None
        The next case of the list, with all that follow from it, is about plans in which
        this operation has a pressure of at most `at_s`, or nothing to do where that is
        0; the one after about the others. None: this is a case by itself, with what
        follows.
    at_s : float
        [s].
    options : tuple of int
        Split by these options of one table, indices of the menu, in place of `split`:
        the next case is about plans that take one of them, the one after about the
        others. Empty for no such split.
    circuits : tuple of Circuit
        The step is at least their mean by shares.
    slopes : tuple of str and float
        Of operations: seconds per second of pressure of the line that is put below
        what they take.
    counts : tuple of str, int and float
        Of operations: how many pieces fit on a rank, and the price of a rank that they
        fill [s].
    filling : tuple of str, int, float, str and float
        The same, then another operation and a pressure [s]: a piece that leaves less of
        this operation fills its rank, and one that presses less on it counts as none.
    threshold_s : float or None
        Of the proof about the sum of what tables add to the circuits; None for what the
        certificate's threshold leaves of it [s].
    cases : tuple of Case
        That proof; empty if tables count for nothing.
    """

    split: str | None = None
    at_s: Annotated[Number, Field(ge=0)] = 0.0
    options: tuple[Index, ...] = ()
    circuits: tuple[Circuit, ...] = ()
    slopes: tuple[tuple[str, Price], ...] = ()
    counts: tuple[tuple[str, Pieces, Price], ...] = ()
    filling: tuple[tuple[str, Pieces, Price, str, Positive], ...] = ()
    threshold_s: Annotated[Number, Field(gt=0)] | None = None
    cases: tuple[Case, ...] = ()


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
        The first is about all plans; cases of a split follow it directly. Empty for
        objective `time`.
    steps : tuple of StepCase
        The same for `time`, each with cases of its own; empty for other objectives.
    """

    all_tiers: Flag = False
    num_options: Annotated[Integer, Field(ge=0)]
    threshold_s: Annotated[Number, Field(gt=0)] | None = None
    cases: tuple[Case, ...] = ()
    steps: tuple[StepCase, ...] = ()

    @model_validator(mode="after")
    def _has_one_proof(self) -> Self:
        if bool(self.cases) == bool(self.steps):
            raise ValueError("needs cases, or steps for objective 'time', not both")
        return self

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        cases = [*self.cases, *(case for step in self.steps for case in step.cases)]
        return {
            "cases": plural(len(cases), "case"),
            "rounds": plural(sum(len(c.rounds) for c in cases), "round"),
            "menu": plural(self.num_options, "option"),
        }
