"""The plan record: where every cell of every table lives, and why to believe it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from shardplan.brief import Brief
from shardplan.certificate import Certificate
from shardplan.errors import shorten
from shardplan.record import (
    MAX_RANKS,
    Fraction,
    Integer,
    Name,
    Number,
    Record,
    SchemaVersion,
)
from shardplan.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.tables import DType
from shardplan.topology import Topology
from shardplan.torchrec_cost_model import AnyCostModel
from shardplan.units import format_seconds, plural
from shardplan.workload import Workload

if TYPE_CHECKING:
    import os

    import pandas as pd


_LONGEST_RANGE = 100
"""Digits, zeros in front included."""


@lru_cache(maxsize=1024)
def parse_ranks(text: str) -> tuple[int, ...]:
    """Read a rank list such as ``"0-7,12"``; equal texts share one tuple."""
    ranks: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError("ranks must look like '0-7,12'")
        is_long = len(part) > _LONGEST_RANGE
        low, high = (0, MAX_RANKS) if is_long else (int(first), int(last or first))
        if high < low or high >= MAX_RANKS:
            raise ValueError(
                f"rank range {shorten(part)} must grow and end below {MAX_RANKS}"
            )
        if len(ranks) + high - low >= MAX_RANKS:
            raise ValueError(f"names more than {MAX_RANKS} ranks")
        ranks.extend(range(low, high + 1))
    return tuple(ranks)


def _read_ranks(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    """Text is checked as a whole: a rank at a time, 65,536 would take 0.1 s."""
    return parse_ranks(value) if isinstance(value, str) else handler(value)


def format_ranks(ranks: tuple[int, ...]) -> str:
    """Write ranks in order, runs of consecutive ones as ``first-last``."""
    first, last = ranks[0], ranks[-1]
    if len(ranks) > 1 and ranks == tuple(range(first, last + 1)):
        return f"{first}-{last}"
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


Ranks = Annotated[
    tuple[Annotated[Integer, Field(ge=0, lt=MAX_RANKS)], ...],
    Field(min_length=1, max_length=MAX_RANKS),
    WrapValidator(_read_ranks, json_schema_input_type=str),
    PlainSerializer(format_ranks, return_type=str),
]
"""Ranks in order, written as text: ``"0-7"``, ``"3"``, ``"5,1,8-11"``."""


class ColumnBlock(Record):
    """A run of columns and the ranks that hold it.

    The rows of a block are cut over its ranks in order, ceil(rows / ranks) each
    (the last may hold fewer), unless `row_sizes` says otherwise; for
    `data_parallel` every rank holds all rows.

    Attributes
    ----------
    column_offset, num_columns : int
    ranks : tuple of int
    row_sizes : tuple of int or None
        Rows on each of `ranks`, for plans made elsewhere.
    """

    column_offset: Annotated[Integer, Field(ge=0)] = 0
    num_columns: Annotated[Integer, Field(ge=1)]
    ranks: Ranks
    row_sizes: tuple[Annotated[Integer, Field(ge=0)], ...] | None = None


class TierSplit(Record):
    """Share of a table's rows in each tier; shares of caches come on top of 1."""

    hbm: Fraction = 0.0
    ddr: Fraction = 0.0
    ssd: Fraction = 0.0


class TablePlacement(Record):
    """What a plan decides for one table."""

    name: Name
    sharding_type: ShardingType
    compute_kernel: ComputeKernel
    dtype: DType
    tiers: TierSplit
    blocks: Annotated[tuple[ColumnBlock, ...], Field(min_length=1)]


class Inputs(Record):
    """The resolved inputs, so that a plan file can be checked alone."""

    workload: Workload
    topology: Topology
    cost_model: AnyCostModel


class Fingerprints(Record):
    """SHA-256 of the canonical JSON of each input."""

    workload: str
    topology: str
    cost_model: str


class Outcome(Record):
    """What the solver claims; `check` recomputes it.

    Attributes
    ----------
    status : str
        ``optimal`` (within the menu of options), ``feasible`` (a gap remains), or
        ``time_limit`` (stopped with its best plan).
    objective_s, lower_bound_s : float
        Value of the plan, and a value that no plan of the menu goes below [s]:
        proven if the plan has a certificate, else only claimed.
    gap : float
        objective_s / lower_bound_s - 1.
    claimed_bound_s : float or None
        A larger bound that the solver claims without a certificate, such as that of
        the integer program [s]; `optimal` may rest on it.
    warnings : tuple of str
        What failed while the plan was made, such as a library, in its own words. The
        plan holds, but might be better, or its bound higher.
    """

    solver: str
    seed: int
    status: Literal["optimal", "feasible", "time_limit"]
    objective_s: Annotated[Number, Field(ge=0)]
    lower_bound_s: Annotated[Number, Field(ge=0)]
    gap: Annotated[Number, Field(ge=0)] | None
    claimed_bound_s: Annotated[Number, Field(ge=0)] | None = None
    warnings: tuple[str, ...] = ()


class Plan(Brief, Record):
    """A complete shard plan with the inputs it was made for.

    Attributes
    ----------
    certificate : Certificate or None
        Proves the outcome's lower bound.
    """

    schema_version: SchemaVersion
    shardplan_version: str
    target: Target
    objective: Objective
    outcome: Outcome
    fingerprints: Fingerprints
    tables: tuple[TablePlacement, ...]
    inputs: Inputs
    certificate: Certificate | None = None

    @model_validator(mode="after")
    def _one_decision_per_table(self) -> Self:
        names = [placement.name for placement in self.tables]
        if len(set(names)) < len(names):
            raise ValueError("a table has more than one placement")
        return self

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        outcome, inputs = self.outcome, self.inputs
        proof = "with" if self.certificate else "without"
        return {
            "workload": f"{inputs.workload.name}: {plural(len(self.tables), 'table')}",
            "topology": f"{inputs.topology.name}: {plural(self.world_size, 'rank')}",
            "status": outcome.status,
            "objective": f"{format_seconds(outcome.objective_s)} "
            f"({self.objective.value})",
            "lower bound": f"bound {format_seconds(outcome.lower_bound_s)} "
            f"{proof} certificate",
        }

    @property
    def world_size(self) -> int:
        """Ranks that the plan is for."""
        return self.inputs.topology.world_size

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan file; raises `InputError` with everything wrong in it."""
        from shardplan.io.plan_file import read_plan

        return read_plan(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan file, whole or not at all."""
        from shardplan.io.plan_file import write_plan

        write_plan(self, path)

    def to_frame(self) -> pd.DataFrame:
        """One row per shard; see :func:`shardplan.frames.shard_frame`."""
        from shardplan.frames import shard_frame

        return shard_frame(self)

    def to_rank_frame(self) -> pd.DataFrame:
        """One row per rank; see :func:`shardplan.frames.rank_frame`."""
        from shardplan.frames import rank_frame

        return rank_frame(self)


def dump(record: Record) -> dict[str, Any]:
    """Return a record as JSON-able data, without the defaults of a schema."""
    return record.model_dump(mode="json", exclude_defaults=True)
