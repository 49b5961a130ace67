"""Network models: what collectives reach on a kind of network, whatever the device.

A topology names one for its scale-up domains and one for what is between them.
"""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from shardplan.records.brief import Brief
from shardplan.records.coefficient import (
    MEASURES,
    Coefficient,
    PositiveCoefficient,
    Section,
    Spread,
)
from shardplan.records.quantity import Quantity
from shardplan.records.record import Integer, Name, Record, SchemaVersion
from shardplan.units import Dimension


class LinkCurve(Record):
    """Measured times of one operation on `num_ranks` ranks, over what links carry.

    Attributes
    ----------
    num_ranks : int
    line_bw : float
        Line rate of one rank and one direction of what was measured [bytes/s].
    bw_efficiency : float
        Share of it that bytes beyond a latency reach; the curve is never faster.
    sent_bytes, time_s : tuple of float
        Bytes that the busiest link carried in one direction (nccl-tests' bus bytes)
        and times [s]; both increase.
    """

    num_ranks: Annotated[Integer, Field(ge=2)]
    line_bw: Annotated[float, Field(gt=0, le=1e16), Quantity(Dimension.BANDWIDTH)]
    bw_efficiency: Annotated[float, Field(gt=0, le=10)]
    sent_bytes: tuple[Annotated[float, Field(gt=0), Quantity(Dimension.BYTES)], ...]
    time_s: tuple[Annotated[float, Field(gt=0), MEASURES["s"]], ...]
    source: Name
    date: datetime.date | None = None

    @field_validator("sent_bytes", "time_s")
    @classmethod
    def _increasing(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) < 2 or any(b < a for a, b in pairwise(values)):
            raise ValueError("must have at least 2 values, none below the one before")
        return values

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.sent_bytes) != len(self.time_s):
            raise ValueError("sent_bytes and time_s need the same length")
        return self


class LinkModel(Section):
    """One operation on one kind of link: t = (alpha^p + (V/beta)^p)^(1/p).

    Attributes
    ----------
    latency_s : time alpha of an empty operation [s]
    link_latency_s : of it, one message's way over the link that was measured; the
        topology's own latency takes its place. Without it, that makes no difference
    hop_s : of a reduction between hosts, what each step of a tree adds to the latency
        inside a host; `latency_s` is then what is left [s]
    bw_efficiency : beta as a fraction of the line rate
    exponent : p
    curves : measured times, by ascending ranks; they take the place of the formula
    """

    latency_s: Coefficient
    link_latency_s: Coefficient | None = None
    hop_s: Coefficient | None = None
    bw_efficiency: PositiveCoefficient
    exponent: PositiveCoefficient
    curves: tuple[LinkCurve, ...] = ()

    def scaled(self, factor: float) -> Self:
        """Return a link with `factor` times the bandwidth, and the same latency."""
        rate = self.bw_efficiency
        faster = rate.model_copy(update={"value": factor * rate.value})
        curves = tuple(
            curve.model_copy(
                update={
                    "bw_efficiency": factor * curve.bw_efficiency,
                    "sent_bytes": tuple(factor * size for size in curve.sent_bytes),
                }
            )
            for curve in self.curves
        )
        return self.model_copy(update={"bw_efficiency": faster, "curves": curves})

    @field_validator("curves")
    @classmethod
    def _ascending(cls, curves: tuple[LinkCurve, ...]) -> tuple[LinkCurve, ...]:
        ranks = [curve.num_ranks for curve in curves]
        if ranks != sorted(set(ranks)):
            raise ValueError("curves must have ascending num_ranks")
        return curves


class NetworkModel(Brief, Record):
    """What collectives reach on one kind of network.

    Attributes
    ----------
    all_to_all : LinkModel
    reduce : LinkModel
        Reduce-scatter, and all-gather.
    all_reduce : LinkModel or None
        In a domain where switches or algorithms make an all-reduce differ from a
        reduce-scatter and an all-gather; only the simulator uses it.
    latency_growth : Coefficient or None
        Share by which the latency inside a domain grows with every doubling of its
        ranks beyond those that were measured.
    spread : Spread or None
        Of all its rates, where a description leaves the links open; a network that
        was measured has none.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    all_to_all: LinkModel
    reduce: LinkModel
    all_reduce: LinkModel | None = None
    latency_growth: Coefficient | None = None
    spread: Spread | None = None

    def scaled(self, factor: float) -> Self:
        """Return a network whose links carry `factor` times as many bytes a second."""
        links = {
            "all_to_all": self.all_to_all.scaled(factor),
            "reduce": self.reduce.scaled(factor),
        }
        if self.all_reduce is not None:
            links["all_reduce"] = self.all_reduce.scaled(factor)
        return self.model_copy(update=links)

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {"name": self.name, "description": self.description}
