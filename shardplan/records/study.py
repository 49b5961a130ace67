"""The study file: which points to plan, and what to ask of their results.

A value of an axis is kept as the file has it, for what it sets is known only by its
path; units are read by the field that gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, JsonValue, model_serializer, model_validator

from shardplan.records.record import (
    Count,
    Factor,
    Flag,
    Integer,
    Name,
    Number,
    PositiveBandwidth,
    PositiveTally,
    Record,
    SchemaVersion,
    Seconds,
    Weight,
)
from shardplan.records.sharding import Objective, Target
from shardplan.records.workload import BatchSize

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MAX_POINTS = 1_000_000
"""Combinations of a study, before any is excluded."""
MAX_DESIGNS = 10_000
"""Points of a co-design: the optimiser looks at all of them for every new one."""

Seed = Annotated[Integer, Field(ge=0, lt=2**32)]
Money = Annotated[Number, Field(ge=0, le=1e12)]
"""An amount of the user's currency."""
Watts = Annotated[Number, Field(ge=0, le=1e9)]
"""Power at the plug [W]."""
Rule = Annotated[str, Field(min_length=1, max_length=200)]
"""A condition on a column, such as ``hbm_fill <= 0.9``."""
Key = Annotated[str, Field(min_length=1, max_length=1000)]
"""A field of [base], or a dotted path into an input."""
Ends = Annotated[tuple[JsonValue, ...], Field(min_length=2, max_length=2)]


class Axis(Record):
    """The values of an axis: a list, or a rule that makes one.

    Attributes
    ----------
    values : tuple
        The values themselves; a file has this list in place of the group.
    scale : tuple of float
        Factors by which the input's own number is multiplied.
    geometric : tuple of two numbers
        First and greatest value; each is `factor` times the one before.
    factor : float
        Above 1.
    linear : tuple of two numbers
        First and greatest value; each is the one before plus `step`.
    step : number
        Above 0; with a unit where the ends have one.
    """

    values: tuple[JsonValue, ...] | None = None
    scale: tuple[Factor, ...] | None = None
    geometric: Ends | None = None
    factor: Annotated[Number, Field(gt=1, le=1e9)] | None = None
    linear: Ends | None = None
    step: JsonValue = None

    @model_validator(mode="before")
    @classmethod
    def _list_is_values(cls, data: object) -> object:
        return {"values": data} if isinstance(data, (list, tuple)) else data

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [
            name
            for name in ("values", "scale", "geometric", "linear")
            if getattr(self, name) is not None
        ]
        if len(kinds) != 1:
            raise ValueError(
                "must be a list of values, or a group of one of scale = [FACTORS], "
                "geometric = [FIRST, LAST] with factor, linear = [FIRST, LAST] with "
                "step"
            )
        for kind, extra in (("geometric", "factor"), ("linear", "step")):
            if (kind in kinds) != (getattr(self, extra) is not None):
                raise ValueError(f"{kind} and {extra} come together")
        if not (self.values or self.scale or self.geometric or self.linear):
            raise ValueError("has no values: leave the axis out, or give it some")
        return self

    @model_serializer
    def _as_written(self) -> object:
        if self.values is not None:
            return list(self.values)
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the list in place of the group."""
        group = handler(schema)
        return {"anyOf": [{"type": "array", "minItems": 1}, group]}


class StudyBase(Record):
    """What every point begins with: the arguments of a solve.

    Attributes
    ----------
    kind : str
        ``plan``, the simulated step of a plan, or ``parameter-servers``, workers and
        servers on hosts of the topology.
    workload, topology, cost_model : str
        Shipped names, or paths relative to the file; a topology may end in ``:HOSTS``.
        The cost model is by default the one that the topology names.
    hosts : int
        Hosts instead of the topology's own number.
    target, objective, solver : str
        As in `shardplan solve`. `auto` needs `work_limit`: time would end it elsewhere
        on every machine.
    seed : int
        Of solvers that draw random numbers; by default it follows from the inputs.
    work_limit : int
        Evaluated moves after which the search stops.
    gap : float
        Stop at a plan whose gap is at most this.
    rounds : int
        Times to solve again with what phases cost in the simulated step.
    """

    kind: Literal["plan", "parameter-servers"] = "plan"
    workload: Name
    topology: Name
    cost_model: Name | None = None
    hosts: Count | None = None
    target: Target = Target.ANY
    objective: Objective = Objective.STEP
    solver: Name = "greedy"
    seed: Seed | None = None
    work_limit: PositiveTally | None = None
    gap: Weight = 0.0
    rounds: Annotated[Integer, Field(ge=0, le=100)] = 0


class StudySearch(Record):
    """Walk along one axis to the best value instead of running all of it.

    Attributes
    ----------
    minimise, maximise : str
        The axis; one of both is given.
    subject_to : tuple of str
        What a point must meet, beside the conditions of the whole study.
    """

    minimise: Key | None = None
    maximise: Key | None = None
    subject_to: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if (self.minimise is None) == (self.maximise is None):
            raise ValueError("give exactly one of minimise and maximise")
        return self


class HostPrice(Record):
    """What a host of a topology costs: the user's own numbers.

    Attributes
    ----------
    per_host_hour : float
        Price of a host for an hour, in any currency; without it the columns of cost
        stay empty.
    watts_per_host : float
        Power of a host with its share of the network [W]; without it the columns of
        energy stay empty.
    per_host_hour_per, watts_per_host_per : dict of str to float
        More for each unit of an axis: the coefficient times the number that the axis
        sets is added.
    """

    per_host_hour: Money | None = None
    watts_per_host: Watts | None = None
    per_host_hour_per: dict[Key, Number] = Field(default_factory=dict)
    watts_per_host_per: dict[Key, Number] = Field(default_factory=dict)


class Failures(Record):
    """How often hosts fail, and what a checkpoint costs; without it goodput is empty.

    Attributes
    ----------
    mtbf_hours_per_host : float
        Mean time between failures of one host [h].
    checkpoint_bw : float
        Of the whole cluster to its storage [bytes/s].
    restart_s : float
        From a failure to the first new step [s].
    """

    mtbf_hours_per_host: Annotated[Number, Field(gt=0, le=1e9)]
    checkpoint_bw: PositiveBandwidth
    restart_s: Seconds = 0.0


class ParetoAxes(Record):
    """The two columns between which a front is drawn.

    Attributes
    ----------
    x, y : str
        Columns that have a better end.
    """

    x: Name
    y: Name


class ServerSettings(Record):
    """Workers and parameter servers, for points of that kind.

    Attributes
    ----------
    mode : str
        ``synchronous``, ``bounded_staleness`` or ``asynchronous``.
    workers, servers : int
        Hosts of each kind; as many servers as workers by default.
    batch_size : int
        Samples per step and worker.
    noise : float
        Standard deviation of a worker's step over its mean.
    staleness : int
        Steps that a worker may be ahead, for bounded staleness.
    overlaps : bool
        The next batch is pulled while this one is computed.
    """

    mode: Literal["synchronous", "bounded_staleness", "asynchronous"] = "asynchronous"
    workers: Count = 16
    servers: Count | None = None
    batch_size: BatchSize
    noise: Annotated[Number, Field(ge=0, le=10)] = 0.1
    staleness: Annotated[Integer, Field(ge=0, le=10**6)] = 1
    overlaps: Flag = True


class Knob(Record):
    """A range from which a search over designs draws.

    Attributes
    ----------
    low, high : number
        Its ends; text with a unit where the field has one.
    log : bool
        Drawn evenly in the logarithm.
    step : number
        Only `low` and so many steps more; by default any value, rounded to three
        digits.
    integer : bool
        Whole numbers only: a step of 1, unless another is given.
    choices : tuple
        The values, instead of a range.
    """

    low: JsonValue = None
    high: JsonValue = None
    log: Flag = False
    step: JsonValue = None
    integer: Flag = False
    choices: tuple[JsonValue, ...] = ()

    @model_validator(mode="after")
    def _range_or_choices(self) -> Self:
        if self.choices:
            if self.model_fields_set - {"choices"}:
                raise ValueError("choices stand alone: leave low, high and others out")
        elif self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices")
        return self


class Codesign(Record):
    """A search over hardware and model together, instead of the product of axes.

    Attributes
    ----------
    points : int
        Points to run.
    batch : int
        Points that are chosen at once, and run beside each other.
    seed : int
        Of the optimiser.
    minimise, maximise : tuple of str
        Columns that are objectives, one or two in all.
    reference : dict of str to float
        By objective the worst value that counts for the hypervolume; by default the
        worst of the first batch.
    knobs : dict of str to Knob
        By field of [base] or dotted path.
    """

    points: Annotated[Integer, Field(ge=1, le=MAX_DESIGNS)]
    batch: Annotated[Integer, Field(ge=1, le=1024)] = 8
    seed: Seed = 0
    minimise: tuple[Name, ...] = ()
    maximise: tuple[Name, ...] = ()
    reference: dict[Name, Number] = Field(default_factory=dict)
    knobs: Annotated[dict[Key, Knob], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_objectives(self) -> Self:
        named = [*self.minimise, *self.maximise]
        if not named:
            raise ValueError("needs a column in minimise or maximise")
        if len(set(named)) < len(named):
            raise ValueError("minimise and maximise name a column twice")
        if len(named) > 2:
            raise ValueError(
                f"has {len(named)} objectives, and two are the most: put conditions "
                "on the others into subject_to"
            )
        if self.reference and (len(named) < 2 or {*self.reference} != {*named}):
            raise ValueError("reference is for two objectives, and has both of them")
        return self


Changes = Annotated[dict[Key, JsonValue], Field(min_length=1)]


class StudyFile(Record):
    """A whole study.

    Attributes
    ----------
    subject_to : tuple of str
        Conditions on columns: points that break one are shown, and are never best.
    base : StudyBase
        Every point begins with it.
    axes : dict of str to Axis
        All values of each with all of the others.
    zip : dict of str to dict
        Axes that move together, and are one by that.
    overrides : dict of str to dict
        Named changes of inputs: path to value, or to ``{ scale = FACTOR }``.
    scenarios : dict of str to tuple of str
        An axis of lists of overrides, which are applied before the axes.
    exclude : tuple of dict
        Points that have all of an entry's values are left out; a list of values means
        any of them.
    search : StudySearch
        Walk along an axis instead of running it.
    prices : dict of str to HostPrice
        By topology.
    failures : Failures
        For goodput.
    pareto : ParetoAxes
        Of the front.
    parameter_servers : ServerSettings
        For points of that kind.
    codesign : Codesign
        Instead of the product of axes.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    subject_to: tuple[Rule, ...] = ()
    base: StudyBase
    axes: dict[Key, Axis] = Field(default_factory=dict)
    zip: dict[Name, Annotated[dict[Key, Axis], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    overrides: dict[Name, Changes] = Field(default_factory=dict)
    scenarios: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    exclude: tuple[Changes, ...] = ()
    search: StudySearch | None = None
    prices: dict[Name, HostPrice] = Field(default_factory=dict)
    failures: Failures | None = None
    pareto: ParetoAxes | None = None
    parameter_servers: ServerSettings | None = None
    codesign: Codesign | None = None
