"""The certificate record: prices from which anybody can recompute a lower bound."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.record import Flag, Integer, Number, Record

Price = Annotated[Number, Field(ge=0)]
"""A price: seconds of bound per second of load, per byte, or per unit of room."""


class PeakPrice(Record):
    """Price of the largest item of one bundle, which some rank must take.

    Attributes
    ----------
    bundle : int
    phases : tuple of float
        Seconds of bound per second of the item; one number per phase for `step`,
        a single one for `max-rank`.
    """

    bundle: Annotated[Integer, Field(ge=0)]
    phases: tuple[Price, ...]


class Prices(Record):
    """One set of prices: a Lagrangian relaxation of the planning problem.

    Attributes
    ----------
    ranks : tuple of tuples of float
        Per class of ranks: the price of a second on each rank of the class, in each
        phase for `step`, or in total (one number) for `max-rank`.
    hbm, ddr, ssd : tuples of float
        Per class: the price of a byte of HBM on each of its ranks, and of DDR and
        SSD on each of its hosts [s/byte].
    peaks : tuple of PeakPrice
    """

    ranks: tuple[tuple[Price, ...], ...]
    hbm: tuple[Price, ...]
    ddr: tuple[Price, ...]
    ssd: tuple[Price, ...]
    peaks: tuple[PeakPrice, ...] = ()


class Certificate(Record):
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
    rounds : tuple of Prices
        Each round bounds the plans that are left, and excludes the options that no
        plan below the threshold can use.
    """

    all_tiers: Flag = False
    num_options: Annotated[Integer, Field(ge=0)]
    threshold_s: Annotated[Number, Field(gt=0)] | None = None
    rounds: Annotated[tuple[Prices, ...], Field(min_length=1)]
