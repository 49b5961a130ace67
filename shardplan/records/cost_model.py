"""The cost model record: what software achieves on the hardware.

Every coefficient carries its unit and source; the formulas that use them are the
functions of :mod:`shardplan.costs` that a section's `formula` names.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from shardplan.records.brief import Brief
from shardplan.records.coefficient import (
    Coefficient,
    Curve,
    PositiveCoefficient,
    Section,
    Spread,
)
from shardplan.records.network import LinkModel, NetworkModel
from shardplan.records.quantity import Quantity
from shardplan.records.record import Flag, Integer, Name, Record, SchemaVersion
from shardplan.units import Dimension


class WidthPenalty(Record):
    """Slow-down of narrow rows: the ratio applies to rows of at most `max_dim`."""

    max_dim: Annotated[Integer, Field(ge=1)]
    ratio: PositiveCoefficient


class LookupModel(Section):
    """Rows in device memory; formula in :mod:`shardplan.costs.memory.lookup`.

    Attributes
    ----------
    forward_efficiency, backward_efficiency : fraction of peak bandwidth
    l2_forward_efficiency, l2_backward_efficiency : fraction of the last-level cache's
        bandwidth at which rows and gradients come that were read before; without
        them, every read comes from memory
    narrow_rows : penalties, the narrowest first
    sort_s_per_id : sorting ids before the backward pass [s/id]
    forward_floor_s, backward_floor_s : least time of a fused kernel [s]
    spread : of the rates of lookups and updates in other programs
    """

    formula: Literal["memory_roofline"] = "memory_roofline"
    forward_efficiency: PositiveCoefficient
    backward_efficiency: PositiveCoefficient
    l2_forward_efficiency: PositiveCoefficient | None = None
    l2_backward_efficiency: PositiveCoefficient | None = None
    narrow_rows: tuple[WidthPenalty, ...] = ()
    sort_s_per_id: Coefficient
    forward_floor_s: Coefficient
    backward_floor_s: Coefficient
    spread: Spread | None = None

    def scaled(self, factor: float) -> Self:
        """Return lookups and updates at `factor` times their rates."""
        rates = {
            name: getattr(self, name).model_copy(
                update={"value": factor * getattr(self, name).value}
            )
            for name in ("forward_efficiency", "backward_efficiency")
        }
        return self.model_copy(update=rates)


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
    ssd_efficiency : fraction of the SSD's bandwidth
    ssd_iops_efficiency : fraction of its random reads per second; without it, that of
        the bandwidth
    """

    formula: Literal["uvm_and_cache"] = "uvm_and_cache"
    uvm_forward_efficiency: PositiveCoefficient
    uvm_backward_efficiency: PositiveCoefficient
    cache_upkeep_s_per_id: Coefficient
    miss_efficiency: PositiveCoefficient
    ddr_efficiency: PositiveCoefficient
    ssd_block_bytes: PositiveCoefficient
    ssd_efficiency: PositiveCoefficient
    ssd_iops_efficiency: PositiveCoefficient | None = None


class CollectiveModel(Section):
    """Collectives; formulas in :mod:`shardplan.costs.communication.collectives`.

    A cost model that gives them itself is of release 0.2 or before, or means that they
    hold on whatever network: they take the place of what a topology names.

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


class Networks(Record):
    """The networks of a topology that names none."""

    scale_up: NetworkModel
    scale_out: NetworkModel


class DenseCostModel(Section):
    """GEMMs, attention and element-wise work.

    Formulas in :mod:`shardplan.costs.layers`.

    Attributes
    ----------
    attention_efficiency, attention_backward_efficiency : fraction of peak FLOP/s that
        the products of attention reach, forward and backward; without them, that of
        GEMMs, and forward's
    score_rate, score_backward_rate : scores (softmax, SiLU) per second beside them;
        without them scores take no time of their own, and forward's [1/s]
    elementwise_efficiency : fraction of peak memory bandwidth of normalisations and
        element-wise kernels that are not fused; without it, `memory_efficiency`
    """

    formula: Literal["tiled_gemm"] = "tiled_gemm"
    gemm_efficiency: PositiveCoefficient
    gemm_tile: PositiveCoefficient
    gemm_launch_s: Coefficient
    memory_efficiency: PositiveCoefficient
    attention_efficiency: PositiveCoefficient | None = None
    attention_backward_efficiency: PositiveCoefficient | None = None
    score_rate: PositiveCoefficient | None = None
    score_backward_rate: PositiveCoefficient | None = None
    elementwise_efficiency: PositiveCoefficient | None = None

    def with_attention_in(self, passes: float) -> Self:
        """Return the model where attention takes `passes` times as long."""
        given = {
            "attention_efficiency": self.attention_efficiency or self.gemm_efficiency,
            "attention_backward_efficiency": self.attention_backward_efficiency,
            "score_rate": self.score_rate,
            "score_backward_rate": self.score_backward_rate,
        }
        slower = {
            name: rate.model_copy(update={"value": rate.value / passes})
            for name, rate in given.items()
            if rate is not None
        }
        return self.model_copy(update=slower)


class SequenceModel(Section):
    """Passes over outputs that are not pooled, before and after their exchange.

    Formula in :mod:`shardplan.costs.sequence_passes`.

    Attributes
    ----------
    pass_efficiency : fraction of peak bandwidth that kernels reach that copy vectors
    scatter_efficiency : the same of sums of vectors by atomic operations in fp32,
        which read and write 8 bytes per element
    """

    formula: Literal["vector_passes"] = "vector_passes"
    pass_efficiency: PositiveCoefficient
    scatter_efficiency: PositiveCoefficient


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
    attention_passes : times that attention takes what the cost model's kernels take
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
    attention_passes: PositiveCoefficient | None = None
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
    networks : Networks or None
        Taken where a topology names no network of its own.
    collectives : CollectiveModel or None
        Given here, they hold on whatever network.
    sequences : SequenceModel or None
        Without it, vectors are copied as fast as lookups read, and summed as updates.
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
    networks: Networks | None = None
    collectives: CollectiveModel | None = None
    dense: DenseCostModel
    sequences: SequenceModel | None = None
    runtime: RuntimeModel
    runtimes: dict[Name, RuntimeModel] = Field(default_factory=dict)
    memory: MemoryModel

    @model_validator(mode="after")
    def _has_networks(self) -> Self:
        if self.networks is None and self.collectives is None:
            raise ValueError(
                "needs networks: the network models for topologies that name none"
            )
        return self

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
