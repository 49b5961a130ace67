"""The dense part of a workload: blocks of layers, or the keys of a DLRM."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shardplan.records.layers import (
    SAMPLES,
    TARGETS,
    AttentionLayer,
    LayerBlock,
    SequenceAxis,
)
from shardplan.records.optimizers import Optimizer
from shardplan.records.record import Integer, Record
from shardplan.records.tables import DType

Width = Annotated[Integer, Field(ge=1, le=1_000_000)]
_SUGAR = (
    "bottom_mlp",
    "top_mlp",
    "interaction",
    "dcn_num_layers",
    "dcn_low_rank_dim",
    "avg_pool_stride",
)
_ORDER = ("bottom", "interaction", "top")


class DenseModel(Record):
    """The dense (data-parallel) part of the model.

    A DLRM is described by its widths, any other model by `blocks`; not by both.

    Attributes
    ----------
    num_dense : int
        Dense input features.
    bottom_mlp, top_mlp : tuple of int
        Output widths of the layers.
    interaction : str
        ``dot`` (pairwise dot products), ``cat`` (concatenation), ``dcn_v2``
        (low-rank cross layers), ``avg_pool`` (concatenation, then average pooling)
        or ``none`` (the top MLP reads the bottom MLP's output).
    dcn_num_layers, dcn_low_rank_dim, avg_pool_stride : int
        Parameters of the interaction.
    dtype : DType
        Type in which the layers compute.
    optimizer : Optimizer or None
        Of the dense weights; None takes that of the tables.
    sequences : tuple of SequenceAxis
        Axes on which samples differ in length.
    blocks : tuple of LayerBlock
        In the order of the forward pass.
    """

    num_dense: Annotated[Integer, Field(ge=0, le=1_000_000)] = 0
    bottom_mlp: tuple[Width, ...] = ()
    top_mlp: tuple[Width, ...] = ()
    interaction: Literal["dot", "cat", "dcn_v2", "avg_pool", "none"] = "cat"
    dcn_num_layers: Annotated[Integer, Field(ge=0, le=1000)] = 0
    dcn_low_rank_dim: Annotated[Integer, Field(ge=0, le=100_000)] = 0
    avg_pool_stride: Annotated[Integer, Field(ge=1, le=100_000)] = 1
    dtype: DType = DType.BF16
    optimizer: Optimizer | None = None
    sequences: tuple[SequenceAxis, ...] = ()
    blocks: Annotated[tuple[LayerBlock, ...], Field(max_length=100_000)] = ()

    @model_validator(mode="after")
    def _dcn_is_complete(self) -> Self:
        if self.interaction == "dcn_v2" and not (
            self.dcn_num_layers and self.dcn_low_rank_dim
        ):
            raise ValueError(
                "interaction 'dcn_v2' needs dcn_num_layers and dcn_low_rank_dim"
            )
        return self

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        fields = type(self).model_fields
        if self.blocks:
            also = [n for n in _SUGAR if getattr(self, n) != fields[n].default]
            if also:
                raise ValueError(
                    f"blocks are the whole dense part: {also} cannot stand beside "
                    "them; write those layers as blocks too, or leave blocks out"
                )
        elif self.sequences:
            raise ValueError("sequences are the axes of blocks, and there are none")
        return self

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        for kind in ("sequences", "blocks"):
            counts = Counter(part.name for part in getattr(self, kind))
            twice = [name for name, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"names of {kind} must be unique: {twice[:10]}")
        for name in (sequence.name for sequence in self.sequences):
            if name == SAMPLES or name.endswith(TARGETS):
                raise ValueError(
                    f"sequence {name!r}: {SAMPLES!r} and names that end in {TARGETS!r} "
                    "mean other axes; choose another name"
                )
        parts = [_ORDER.index(block.part) for block in self.blocks]
        if parts != sorted(parts):
            raise ValueError(f"blocks must be in the order of parts: {_ORDER}")
        for block in self.blocks:
            self._require_axis(block)
        return self

    def _require_axis(self, block: LayerBlock) -> None:
        """Raise ValueError for a block over an axis that there is not."""
        axes = {sequence.name: sequence for sequence in self.sequences}
        name = block.sequence
        if name is not None and name not in axes:
            known = ", ".join(["samples", *axes])
            raise ValueError(
                f"block {block.name!r}: rows = {block.rows!r} is no axis ({known})"
            )
        tokens = name is not None and not block.rows.endswith(TARGETS)
        attention = [x for x in block.layers if isinstance(x, AttentionLayer)]
        if attention and not tokens:
            raise ValueError(
                f"block {block.name!r}: attention needs rows that are a sequence"
            )
        crosses = any(layer.mask == "cross" for layer in attention)
        if name and (crosses or not tokens) and not axes[name].targets:
            raise ValueError(f"block {block.name!r} needs targets of sequence {name!r}")
