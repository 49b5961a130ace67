"""The record of TorchRec's planner constants: the ruler that its users know.

Its formulas are the functions of :mod:`shardplan.costs.torchrec`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)

from shardplan.errors import InputError
from shardplan.records.brief import Brief
from shardplan.records.coefficient import (
    Coefficient,
    PositiveCoefficient,
    Section,
)
from shardplan.records.cost_model import CostModel, WidthPenalty
from shardplan.records.record import (
    Count,
    Flag,
    Name,
    Number,
    PositiveBandwidth,
    Record,
    SchemaVersion,
)


class TorchRecLookup(Section):
    """Bandwidths that kernels reach, and sizes that they read.

    Attributes
    ----------
    dense_bw_fraction : of device memory, kernel `dense`
    uvm_bw_fraction : of the link to host memory, kernels in host memory
    default_cache_load_factor : cached share of rows where none is set
    least_columns : rows of whole or column-cut tables count at least this wide
    id_bytes : bytes of an id
    narrow_rows : slow-down of whole or column-cut tables, the narrowest first
    """

    dense_bw_fraction: PositiveCoefficient
    uvm_bw_fraction: PositiveCoefficient
    default_cache_load_factor: PositiveCoefficient
    least_columns: Coefficient
    id_bytes: PositiveCoefficient
    narrow_rows: tuple[WidthPenalty, ...] = ()


class TorchRecBackward(Section):
    """The backward pass as multiples of the forward pass or of bytes.

    Attributes
    ----------
    compute_ratio : backward over forward lookup
    weighted_ratio : further factor for weighted features
    weights_gradient_ratio : gradient of the weights over the forward lookup
    batched_copy_ratio : passes over gathered gradients, row-cut tables
    dense_update_ratio : passes over the table, `data_parallel`
    """

    compute_ratio: PositiveCoefficient
    weighted_ratio: PositiveCoefficient
    weights_gradient_ratio: Coefficient
    batched_copy_ratio: Coefficient
    dense_update_ratio: Coefficient


class TorchRecMemory(Section):
    """What TorchRec counts as memory.

    Attributes
    ----------
    hbm_reserve_fraction : of HBM that embeddings may not use
    cache_bytes_per_row, cache_bytes_per_slot : state of a cache [bytes]
    key_value_cache_factor : cached share of rows of kernel `key_value`
    pipeline : the train pipeline that the storage estimator is told
    counts_outputs : outputs add to the peak (`run_embedding_at_peak_memory`)
    counts_optimizer : parameters carry their optimizer, so its state is counted
    """

    hbm_reserve_fraction: Coefficient
    cache_bytes_per_row: Coefficient
    cache_bytes_per_slot: Coefficient
    key_value_cache_factor: PositiveCoefficient
    pipeline: Literal["none", "base", "sparse_dist", "prefetch_sparse_dist"] = "none"
    counts_outputs: Flag = False
    counts_optimizer: Flag = True


ElementBytes = Annotated[Number, Field(gt=0)]
WireBytes = tuple[ElementBytes, ElementBytes]


class TorchRecWire(Record):
    """Bytes of an element on the wire, forward and backward; None: the table's own.

    These are the codecs of TorchRec's sharders (`qcomm_codecs_registry`).

    Attributes
    ----------
    pooled_all_to_all : outputs of whole tables and column shards
    sequence_all_to_all : outputs of sequence embeddings
    pooled_reduce_scatter : partial sums of row-cut tables
    """

    pooled_all_to_all: WireBytes | None = None
    sequence_all_to_all: WireBytes | None = None
    pooled_reduce_scatter: WireBytes | None = None


class TorchRecCollectives(Record):
    """Bandwidths that replace those of the topology [bytes/s]; None keeps them.

    Attributes
    ----------
    all_to_all_bw, reduce_scatter_bw, all_gather_bw, all_reduce_bw : over all ranks
    group_reduce_scatter_bw, group_all_gather_bw : inside a host group
    across_groups_bw : all-to-all of one rank per host group
    local_world_size : ranks of a machine, where host groups are pods of machines
    """

    all_to_all_bw: PositiveBandwidth | None = None
    reduce_scatter_bw: PositiveBandwidth | None = None
    all_gather_bw: PositiveBandwidth | None = None
    all_reduce_bw: PositiveBandwidth | None = None
    group_reduce_scatter_bw: PositiveBandwidth | None = None
    group_all_gather_bw: PositiveBandwidth | None = None
    across_groups_bw: PositiveBandwidth | None = None
    local_world_size: Count | None = None


class TorchRecCostModel(Brief, Record):
    """The constants of TorchRec's planner, and how it is set up.

    Attributes
    ----------
    lookup : rows that kernels read
    backward : the backward pass
    memory : what counts as memory
    wire : element types on the wire
    collectives : bandwidths that replace the topology's
    """

    kind: Literal["torchrec"] = "torchrec"
    schema_version: SchemaVersion
    name: Name
    description: str = ""
    lookup: TorchRecLookup
    backward: TorchRecBackward
    memory: TorchRecMemory
    wire: TorchRecWire = TorchRecWire()
    collectives: TorchRecCollectives = TorchRecCollectives()

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {"name": self.name, "kind": self.kind}

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}


def cost_model_kind(value: object) -> object:
    """Return the `kind` of a cost model, from data or a record."""
    if isinstance(value, dict):
        return value.get("kind", "measured")
    return getattr(value, "kind", "measured")


AnyCostModel = Annotated[
    Annotated[CostModel, Tag("measured")]
    | Annotated[TorchRecCostModel, Tag("torchrec")],
    Discriminator(cost_model_kind),
]
"""Either kind of cost model; `kind` tells which."""


def measured(model: AnyCostModel) -> CostModel:
    """Return a cost model that can time a step.

    Raises
    ------
    InputError
        For TorchRec's, which has no efficiencies, latencies or overheads.
    """
    if isinstance(model, CostModel):
        return model
    rule = "prices plans but cannot simulate a step; name a measured cost model"
    raise InputError.single(model.name, "cost_model", None, rule)
