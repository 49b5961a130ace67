"""Measurement files: what was measured, on what, and how near a prediction must be."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shardplan.records.record import (
    Count,
    Flag,
    Integer,
    Name,
    Number,
    Record,
    Rows,
    SchemaVersion,
)
from shardplan.records.sharding import CACHING_KERNELS, ComputeKernel
from shardplan.records.tables import DType
from shardplan.records.workload import Optimizer
from shardplan.validation.plans import MeasuredPlan

Time = Annotated[Number, Field(gt=0, le=3600)]
Size = Annotated[Integer, Field(ge=1)]
Confidence = Literal["high", "medium", "low"]
"""How far to trust a measurement: low ones are shown, but neither pass nor fail."""


class Tolerance(Record):
    """Largest relative errors of a measurement; what is not given is not required.

    Attributes
    ----------
    each : of every value
    mean, median : of the values' absolute errors
    """

    each: Annotated[Number, Field(gt=0)] | None = None
    mean: Annotated[Number, Field(gt=0)] | None = None
    median: Annotated[Number, Field(gt=0)] | None = None


class System(Record):
    """A cluster: a topology, and what was different.

    Attributes
    ----------
    topology : str
        Shipped name or path, with ``:HOSTS`` for another number of hosts.
    cost_model : str or None
        Shipped name or path; None takes the one that the topology names.
    network : str or None
        Shipped name or path of the network between hosts; None takes the topology's.
    ranks_per_host : int or None
        Ranks of each host that took part; None for all.
    in_network_reduction : bool
        All-reduces used switches that add up.
    runtime : str or None
        Runtime of the cost model; None takes its default.
    release : str or None
        Release of the software, as NCCL or HugeCTR; predictions do not use it.
    """

    topology: str
    cost_model: str | None = None
    network: str | None = None
    ranks_per_host: Count | None = None
    in_network_reduction: Flag = False
    runtime: Name | None = None
    release: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class _Measured(Record):
    """What all kinds of measurements have.

    Attributes
    ----------
    id : str
        Unique among all files.
    group : str
        Measurements that are summed up together.
    source : str
        Repository with commit and path, or publication.
    confidence : str
        ``high``, ``medium``, or ``low`` where hardware, plan or operation is not said.
    notes : str
        What was assumed, where the source does not say all.
    """

    id: Name
    group: Name
    source: Annotated[str, Field(min_length=1, max_length=500)]
    confidence: Confidence = "high"
    notes: Annotated[str, Field(max_length=1000)] = ""
    system: System
    tolerance: Tolerance


class StepMeasurement(_Measured):
    """The time of a training step.

    Attributes
    ----------
    workload : str
        Shipped name or path.
    num_embeddings : tuple of int
        Rows of the tables, where they differ from the workload's.
    dense_dtype, comm_dtype : DType or None
        Types of the layers and of what is exchanged, where they differ from the
        workload's.
    dedup : bool or None
        Whether ids of sequences were sent once, where that differs from the workload's.
    input_copy : bool
        False where the inputs were on the device already.
    id_exchange : bool
        False where the ids came to the ranks that hold the tables (model-parallel
        input), so that no ids were exchanged.
    plan : MeasuredPlan
    step_s : float
        [s].
    """

    kind: Literal["step"] = "step"
    workload: str
    global_batch_size: Size
    num_embeddings: tuple[Rows, ...] = ()
    dense_dtype: DType | None = None
    comm_dtype: DType | None = None
    dedup: Flag | None = None
    input_copy: Flag = True
    id_exchange: Flag = True
    plan: MeasuredPlan
    step_s: Time


class DedupMeasurement(_Measured):
    """What a training step saves where ids of sequences are sent once.

    Attributes
    ----------
    workload : str
        Shipped name or path.
    plain_step_s, dedup_step_s : float
        Steps with every id sent, and with each once [s].
    """

    kind: Literal["dedup"] = "dedup"
    workload: str
    global_batch_size: Size
    plan: MeasuredPlan
    plain_step_s: Time
    dedup_step_s: Time

    def step(self, *, dedup: bool) -> StepMeasurement:
        """Return one of both steps."""
        shared = {
            name: getattr(self, name)
            for name in ("id", "group", "source", "system", "tolerance")
        }
        return StepMeasurement(
            **shared,
            workload=self.workload,
            global_batch_size=self.global_batch_size,
            plan=self.plan,
            dedup=dedup,
            step_s=self.dedup_step_s if dedup else self.plain_step_s,
        )


class CollectiveMeasurement(_Measured):
    """The time of a collective over message sizes, all ranks taking part.

    Attributes
    ----------
    message_bytes : tuple of float
        NCCL's size: send buffer of a rank for an all-to-all, else the whole array.
    time_s : tuple of float [s]
    """

    kind: Literal["collective"] = "collective"
    operation: Literal["all_to_all", "all_reduce", "reduce_scatter", "all_gather"]
    message_bytes: Annotated[tuple[Size, ...], Field(min_length=1)]
    time_s: tuple[Time, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.message_bytes) != len(self.time_s):
            raise ValueError("message_bytes and time_s need the same length")
        return self


class GemmMeasurement(_Measured):
    """The times of matrix products, (m, k) by (k, n).

    Attributes
    ----------
    clock_ratio : float
        Clock of the measurement over the clock that the device sustains.
    """

    kind: Literal["gemm"] = "gemm"
    dtype: DType
    clock_ratio: Annotated[Number, Field(gt=0)] = 1.0
    shapes_mnk: Annotated[tuple[tuple[Size, Size, Size], ...], Field(min_length=1)]
    time_s: tuple[Time, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.shapes_mnk) != len(self.time_s):
            raise ValueError("shapes_mnk and time_s need the same length")
        return self


class LookupMeasurement(_Measured):
    """The times of an embedding kernel on one rank.

    Attributes
    ----------
    embedding_dim : int
    embedding_dims : tuple of int
        Columns of each table, in place of `embedding_dim`, where they differ.
    lookups_per_table : int
        Of the whole batch.
    pooling_factor : float or None
        Lookups that are summed up to one output; None without pooling.
    weighted : bool
        Each lookup has a weight.
    alpha : float
        Exponent of the ids' Zipf law; 0 for even ids.
    cache_load_factor : float or None
        Cached share of the rows for kernels with a cache.
    forward_s, backward_s : float
        [s]; the forward pass includes filling a cache, the backward the update.
    """

    kind: Literal["lookup"] = "lookup"
    num_tables: Count
    num_embeddings: Rows
    embedding_dim: Size | None = None
    embedding_dims: tuple[Size, ...] = ()
    dtype: DType = DType.FP32
    lookups_per_table: Size
    pooling_factor: Annotated[Number, Field(ge=1)] | None = None
    weighted: Flag = False
    alpha: Annotated[Number, Field(ge=0, le=10)] = 0.0
    optimizer: Optimizer
    compute_kernel: ComputeKernel
    cache_load_factor: Annotated[Number, Field(gt=0, le=1)] | None = None
    forward_s: Time | None = None
    backward_s: Time | None = None

    @model_validator(mode="after")
    def _one_width_each(self) -> Self:
        if (self.embedding_dim is None) == (not self.embedding_dims):
            raise ValueError("give embedding_dim or embedding_dims")
        if self.embedding_dims and len(self.embedding_dims) != self.num_tables:
            raise ValueError("embedding_dims needs one number for each of num_tables")
        if self.cache_load_factor and self.compute_kernel not in CACHING_KERNELS:
            raise ValueError(f"{self.compute_kernel} has no cache to load")
        if self.forward_s is None and self.backward_s is None:
            raise ValueError("give forward_s, backward_s or both")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns of each table."""
        return self.embedding_dims or (self.embedding_dim or 0,) * self.num_tables


class BandwidthMeasurement(_Measured):
    """The rate of a rank's device memory or of its link to the host [bytes/s]."""

    kind: Literal["bandwidth"] = "bandwidth"
    link: Literal["hbm", "host_to_device"]
    bytes_per_s: Annotated[Number, Field(gt=0)]


class CapacityMeasurement(_Measured):
    """The memory that a device reports [bytes], against the topology's."""

    kind: Literal["capacity"] = "capacity"
    num_bytes: Size


Measurement = Annotated[
    StepMeasurement
    | DedupMeasurement
    | CollectiveMeasurement
    | GemmMeasurement
    | LookupMeasurement
    | BandwidthMeasurement
    | CapacityMeasurement,
    Field(discriminator="kind"),
]


class MeasurementFile(Record):
    """A file of measurements."""

    schema_version: SchemaVersion
    description: str = ""
    measurements: Annotated[tuple[Measurement, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [measurement.id for measurement in self.measurements]
        if len(set(ids)) < len(ids):
            raise ValueError("ids of measurements must be unique")
        return self
