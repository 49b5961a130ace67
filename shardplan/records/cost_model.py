"""The cost model record: what software achieves on the hardware.

Every coefficient carries its unit and source; the formulas that use them are the
functions of :mod:`shardplan.costs` that a section's `formula` names.
"""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shardplan.records.brief import Brief
from shardplan.records.quantity import Quantity, Text
from shardplan.records.record import Flag, Integer, Name, Record, SchemaVersion
from shardplan.units import Dimension

_MEASURES = {
    "fraction": Quantity(
        Dimension.FRACTION, 1e-6, 2, "a share is 1 at most, or hardly above", ("%",)
    ),
    "s": Quantity(
        Dimension.SECONDS,
        1e-10,
        1,
        "kernels, messages and steps take 1 us to 10 ms",
        ("us", "ms", "ns"),
    ),
    "s/id": Quantity(
        Dimension.SECONDS_PER_ID,
        1e-13,
        1e-4,
        "an id takes 0.1 ns to 1 us",
        ("ns/id", "us/id"),
    ),
    "bytes/s": Quantity(Dimension.BANDWIDTH),
    "bytes": Quantity(Dimension.BYTES),
    "count": Quantity(Dimension.COUNT),
}
"""How a coefficient's value is read, and what is believed, by its unit."""
_PURE = Quantity()
_Value = Annotated[float, Field(ge=0, le=1e18)]


class Coefficient(Record):
    """One number with its unit and where it comes from ("assumed" if nowhere).

    Attributes
    ----------
    value : float
        In `unit`, or text with a unit of the same dimension: "20 us" where it is "s".
    """

    unit: Literal[
        "fraction", "s", "s/id", "bytes/s", "bytes", "ratio", "exponent", "count"
    ]
    value: _Value
    source: Name
    date: datetime.date | None = None

    def __repr__(self) -> str:
        """Show the number and its unit."""
        return f"<{type(self).__name__} {self.value:g} {self.unit}>"

    @field_validator("value", mode="before", json_schema_input_type=_Value | Text)
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        return _MEASURES.get(info.data.get("unit", ""), _PURE).read(value)


class PositiveCoefficient(Coefficient):
    """A coefficient that divides, so it must be above 0."""

    value: Annotated[float, Field(gt=0, le=1e18)]


class Curve(Record):
    """Measured times over message sizes, interpolated in log-log.

    Attributes
    ----------
    num_ranks : int
        Ranks that took part.
    message_bytes, time_s : tuple of float
        Sizes (NCCL's convention) and times [s]; sizes increase.
    """

    num_ranks: Annotated[Integer, Field(ge=2)]
    message_bytes: tuple[Annotated[float, Field(gt=0), Quantity(Dimension.BYTES)], ...]
    time_s: tuple[Annotated[float, Field(gt=0), _MEASURES["s"]], ...]
    source: Name
    date: datetime.date | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.message_bytes) != len(self.time_s) or len(self.time_s) < 2:
            raise ValueError(
                "message_bytes and time_s need the same length, at least 2"
            )
        return self

    @field_validator("message_bytes")
    @classmethod
    def _increasing(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(sizes)):
            raise ValueError("message_bytes must increase strictly")
        return sizes


_UNITS_OF_NAMES = {
    "_s_per_id": ("s/id",),
    "_s": ("s",),
    "_bytes": ("bytes",),
    "_fraction": ("fraction",),
    "_efficiency": ("fraction", "ratio"),
}


class Section(Record):
    """Coefficients whose units are those that their names end in."""

    @model_validator(mode="after")
    def _units_follow_names(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            ends = [end for end in _UNITS_OF_NAMES if name.endswith(end)]
            if not ends or not isinstance(value, Coefficient):
                continue
            units = _UNITS_OF_NAMES[ends[0]]
            if value.unit not in units:
                known = " or ".join(map(repr, units))
                raise ValueError(f"{name} must have unit {known}, not {value.unit!r}")
        return self


class WidthPenalty(Record):
    """Slow-down of narrow rows: the ratio applies to rows of at most `max_dim`."""

    max_dim: Annotated[Integer, Field(ge=1)]
    ratio: PositiveCoefficient


class LookupModel(Section):
    """Rows in device memory; formula in :mod:`shardplan.costs.memory.lookup`.

    Attributes
    ----------
    forward_efficiency, backward_efficiency : fraction of peak bandwidth
    narrow_rows : penalties, the narrowest first
    sort_s_per_id : sorting ids before the backward pass [s/id]
    forward_floor_s, backward_floor_s : least time of a fused kernel [s]
    """

    formula: Literal["memory_roofline"] = "memory_roofline"
    forward_efficiency: PositiveCoefficient
    backward_efficiency: PositiveCoefficient
    narrow_rows: tuple[WidthPenalty, ...] = ()
    sort_s_per_id: Coefficient
    forward_floor_s: Coefficient
    backward_floor_s: Coefficient


class HostMemoryModel(Section):
    """Rows in host memory and caches over it.

    Formula in :mod:`shardplan.costs.memory.lookup`.

    Attributes
    ----------
    uvm_forward_efficiency, uvm_backward_efficiency : fraction of a PCIe link
    cache_upkeep_s_per_id : finding and moving rows of a cache [s/id]
    miss_efficiency : fraction of a PCIe link that fetched rows reach
    ddr_efficiency : fraction of the host's peak memory bandwidth
    ssd_block_bytes : bytes read for one row
    ssd_efficiency : fraction of the SSD's IOPS and bandwidth
    """

    formula: Literal["uvm_and_cache"] = "uvm_and_cache"
    uvm_forward_efficiency: PositiveCoefficient
    uvm_backward_efficiency: PositiveCoefficient
    cache_upkeep_s_per_id: Coefficient
    miss_efficiency: PositiveCoefficient
    ddr_efficiency: PositiveCoefficient
    ssd_block_bytes: PositiveCoefficient
    ssd_efficiency: PositiveCoefficient


class LinkModel(Section):
    """One operation on one kind of link: t = (alpha^p + (V/beta)^p)^(1/p).

    Attributes
    ----------
    latency_s : time alpha of an empty operation [s]
    link_latency_s : of it, one message's way over the link that was measured; the
        topology's own latency takes its place. Without it, that makes no difference
    bw_efficiency : beta as a fraction of the line rate
    exponent : p
    """

    latency_s: Coefficient
    link_latency_s: Coefficient | None = None
    bw_efficiency: PositiveCoefficient
    exponent: PositiveCoefficient


class CollectiveModel(Section):
    """Collectives; formulas in :mod:`shardplan.costs.communication.collectives`.

    Attributes
    ----------
    all_reduce_scale_up : LinkModel or None
        Where switches or algorithms make an all-reduce differ from a reduce-scatter
        and an all-gather; only the simulator uses it.
    latency_growth : Coefficient or None
        Share by which the latency inside a domain grows with every doubling of its
        ranks beyond 8, which were measured.
    """

    formula: Literal["p_norm"] = "p_norm"
    all_to_all_scale_up: LinkModel
    all_to_all_scale_out: LinkModel
    reduce_scale_up: LinkModel
    reduce_scale_out: LinkModel
    all_reduce_scale_up: LinkModel | None = None
    latency_growth: Coefficient | None = None
    all_to_all_curve: Curve | None = None
    all_reduce_curve: Curve | None = None
    reduce_scatter_curve: Curve | None = None


class DenseCostModel(Section):
    """GEMMs and element-wise work; formula in :mod:`shardplan.costs.layers.times`."""

    formula: Literal["tiled_gemm"] = "tiled_gemm"
    gemm_efficiency: PositiveCoefficient
    gemm_tile: PositiveCoefficient
    gemm_launch_s: Coefficient
    memory_efficiency: PositiveCoefficient


class RuntimeModel(Section):
    """Overheads of the program that runs the step.

    Attributes
    ----------
    step_overhead_s : launch and framework overhead of a step [s]
    overlap_slowdown_scale_up, overlap_slowdown_scale_out : fraction by which
        communication slows computation that runs beside it
    gradient_bucket_bytes : dense gradients that are all-reduced at once; without
        it, the 25 MiB of PyTorch [bytes]
    elementwise_passes : times that unfused layers move what fused ones move once
    lookup_passes : times that lookups and updates take what fused kernels take
    async_weight_gradients : gradients of weights are put off, so that the exchange
        of embedding gradients starts earlier
    separate_all_reduce : all-reduces have a communicator of their own, so that they
        run beside other exchanges and share links with them
    """

    step_overhead_s: Coefficient
    overlap_slowdown_scale_up: Coefficient
    overlap_slowdown_scale_out: Coefficient
    gradient_bucket_bytes: PositiveCoefficient | None = None
    elementwise_passes: PositiveCoefficient | None = None
    lookup_passes: PositiveCoefficient | None = None
    async_weight_gradients: Flag = False
    separate_all_reduce: Flag = False


_RESERVE = Quantity(
    Dimension.BYTES, 1e6, 1e12, "context and libraries take 0.1 to 10 GB", ("GB", "MB")
)


class MemoryModel(Section):
    """What a rank or host cannot use for embeddings.

    Attributes
    ----------
    hbm_reserve_fraction : fraction kept free (fragmentation, work space)
    hbm_reserve_bytes : context and libraries per rank [bytes]
    ddr_reserve_fraction : fraction of a host's memory kept for the job itself
    cache_metadata_bytes_per_row : per row of a cached table, in HBM [bytes]
    cache_metadata_bytes_per_slot : per cached row, in HBM [bytes]
    split_metadata_bytes_per_row : remapping of a static split, in HBM [bytes]
    """

    hbm_reserve_fraction: Coefficient
    hbm_reserve_bytes: Coefficient
    ddr_reserve_fraction: Coefficient
    cache_metadata_bytes_per_row: Coefficient
    cache_metadata_bytes_per_slot: Coefficient
    split_metadata_bytes_per_row: Coefficient

    @field_validator("hbm_reserve_bytes")
    @classmethod
    def _reserve_is_bytes(cls, reserve: Coefficient) -> Coefficient:
        if reserve.unit == "bytes":
            _RESERVE.check(reserve.value)
        return reserve


class CostModel(Brief, Record):
    """All coefficients for one kind of device and software stack.

    Attributes
    ----------
    runtime : RuntimeModel
        The program that a simulation assumes unless it names another.
    runtimes : dict of str to RuntimeModel
        Other programs, by name.
    """

    kind: Literal["measured"] = "measured"
    schema_version: SchemaVersion
    name: Name
    description: str = ""
    lookup: LookupModel
    host_memory: HostMemoryModel
    collectives: CollectiveModel
    dense: DenseCostModel
    runtime: RuntimeModel
    runtimes: dict[Name, RuntimeModel] = Field(default_factory=dict)
    memory: MemoryModel

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {"name": self.name, "kind": self.kind}

    def runtime_named(self, name: str | None) -> RuntimeModel:
        """Return a runtime by name, or the default one.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name is None:
            return self.runtime
        if name not in self.runtimes:
            known = ", ".join(self.runtimes) or "none"
            raise ValueError(
                f"cost model {self.name} has no runtime {name!r} (known: {known})"
            )
        return self.runtimes[name]
