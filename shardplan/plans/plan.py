"""The plan record: where every cell of every table lives, and why to believe it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from shardplan.io.file_kind import require_kind
from shardplan.io.json_file import read_json
from shardplan.io.validate import validate
from shardplan.plans.plan_file import write_plan
from shardplan.records.brief import Brief
from shardplan.records.certificate import Certificate
from shardplan.records.inputs import Fingerprints, Inputs
from shardplan.records.placement import TablePlacement
from shardplan.records.record import Number, Record, SchemaVersion
from shardplan.records.sharding import Objective, Target
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    import pandas as pd


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
    params : dict
        Parameters of solvers that were not at their defaults, by dotted name.
    """

    solver: str
    seed: int
    status: Literal["optimal", "feasible", "time_limit"]
    objective_s: Annotated[Number, Field(ge=0)]
    lower_bound_s: Annotated[Number, Field(ge=0)]
    gap: Annotated[Number, Field(ge=0)] | None
    claimed_bound_s: Annotated[Number, Field(ge=0)] | None = None
    warnings: tuple[str, ...] = ()
    params: dict[str, JsonValue] = Field(default={})


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
        where = os.fspath(path)
        data = read_json(Path(where), where)
        require_kind(data, "plan", where)
        return validate(cls, data, where)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan file, whole or not at all."""
        write_plan(self, path)

    def to_frame(self) -> pd.DataFrame:
        """One row per shard and rank that has it."""
        from shardplan.plans.frames import shard_frame

        return shard_frame(self)

    def to_rank_frame(self) -> pd.DataFrame:
        """One row per rank: seconds of its phases, bytes of memory used and there."""
        from shardplan.plans.frames import rank_frame

        return rank_frame(self)
