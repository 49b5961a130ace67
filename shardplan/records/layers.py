"""Layers of a dense model that is written as blocks, and the axes that they run over.

Five kinds of layers are enough for recommendation models: what else has a name there
(cross layers, factorization machines, gates, transducers) is made of these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from shardplan.records.record import Flag, Integer, Name, Number, Record, Tally

Extent = Annotated[Integer, Field(ge=1, le=10**12)]
Length = Annotated[Number, Field(gt=0, le=1e9)]
SAMPLES = "samples"
"""The axis of the batch."""
TARGETS = ".targets"
"""Ends the name of the axis of a sequence's targets."""


class SequenceAxis(Record):
    """A jagged axis: how long the samples of a batch are on it.

    Attributes
    ----------
    description : str
        Where the lengths come from, and in which part of a training run they hold.
    mean : float
        Tokens of a sample, E[L]: rows of the layers, and memory.
    mean_square : float
        E[L^2], which attention goes by; at least the square of the mean, at most the
        longest times the mean.
    max : int
        The longest sample.
    mean_fourth : float or None
        E[L^4], by which attention differs between ranks; None takes that of a normal
        law of the same mean and mean square.
    targets : int
        Tokens at the end that are candidates: they see the history, not each other.
    context : int
        Tokens at the front that come from no table of `tables`.
    tables : tuple of str
        Tables with a lookup for every token but those of the context; one that several
        sequences name has the lookups of all.
    samples_alike : float
        Neighbours in a batch that are as long as each other, as where a user's samples
        follow one another; 1 for shuffled samples.
    """

    name: Name
    description: str = ""
    mean: Length
    mean_square: Annotated[Number, Field(gt=0, le=1e18)]
    max: Extent
    mean_fourth: Annotated[Number, Field(gt=0, le=1e36)] | None = None
    targets: Annotated[Integer, Field(ge=0, le=10**6)] = 0
    context: Annotated[Integer, Field(ge=0, le=10**6)] = 0
    tables: tuple[Name, ...] = ()
    samples_alike: Annotated[Number, Field(ge=1, le=1e9)] = 1.0

    @model_validator(mode="after")
    def _lengths_can_be(self) -> Self:
        mean, square, longest = self.mean, self.mean_square, float(self.max)
        limits = {
            "mean": (0.0, longest, "max"),
            "mean_square": (mean**2, longest * mean, "mean^2 to max * mean"),
            "mean_fourth": (
                square**2,
                longest**2 * square,
                "mean_square^2 to max^2 * mean_square",
            ),
        }
        for key, (low, high, rule) in limits.items():
            value = getattr(self, key)
            if value is not None and not low * _LOW <= value <= high * _HIGH:
                raise ValueError(
                    f"sequence {self.name!r}: {key} = {value:g} contradicts the other "
                    f"lengths: it lies in {low:g} to {high:g} ({rule})"
                )
        if len(set(self.tables)) < len(self.tables):
            raise ValueError(
                f"sequence {self.name!r}: tables must differ; one is there twice"
            )
        if self.targets + self.context > mean:
            raise ValueError(
                f"sequence {self.name!r}: {self.targets} targets and {self.context} "
                f"tokens of context are more than its mean of {mean:g}, in which they "
                "count"
            )
        return self


# Moments are printed with a few digits.
_LOW, _HIGH = 1.0 - 1e-6, 1.0 + 1e-6


class _Layer(Record):
    """What all layers have.

    Attributes
    ----------
    name : str
        What `recompute` calls it; may be left out.
    times : int
        Rows of the layer for each row of its block: 8 fields of a sample, say.
    """

    name: Annotated[str, Field(max_length=200)] = ""
    times: Extent = 1

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": getattr(self, "kind", None), **handler(self)}


class LinearLayer(_Layer):
    """A trained matrix product: `inputs` to `outputs` elements of every row.

    Attributes
    ----------
    bias : bool
        A trained number per output.
    residual : bool
        As many elements as there are outputs are read and added.
    matrices : int
        The rows are dealt out to this many matrices of their own (experts, fields).
    """

    kind: Literal["linear"] = "linear"
    inputs: Extent
    outputs: Extent
    bias: Flag = True
    residual: Flag = False
    matrices: Extent = 1


class AttentionLayer(_Layer):
    """Every token weighs others by scores; projections are linear layers beside it.

    Attributes
    ----------
    heads, qk, v : int
        Heads, and the elements of a query and of a value in each.
    mask : str
        ``causal`` (a token sees itself and those before it, a target not the other
        targets), ``full``, or ``cross`` (targets see the history).
    score : str
        What makes weights of products: ``softmax``, ``silu`` or ``none``.
    """

    kind: Literal["attention"] = "attention"
    heads: Extent = 1
    qk: Extent
    v: Extent
    mask: Literal["causal", "full", "cross"] = "causal"
    score: Literal["softmax", "silu", "none"] = "softmax"


class ProductLayer(_Layer):
    """A matrix product within every row: (m, k) by (k, n), with nothing trained.

    Attributes
    ----------
    reads : int or None
        Elements of the factors; None for ``m k + k n``.
    symmetric : bool
        Both factors are the same vectors (dot products of all pairs).
    """

    kind: Literal["product"] = "product"
    m: Extent
    k: Extent
    n: Extent
    reads: Tally | None = None
    symmetric: Flag = False

    @property
    def factors(self) -> int:
        """Elements of the factors of a row."""
        if self.reads is not None:
            return self.reads
        return self.m * self.k + (0 if self.symmetric else self.k * self.n)


class NormLayer(_Layer):
    """Layer or RMS normalisation, with two trained numbers per element."""

    kind: Literal["norm"] = "norm"
    width: Extent


class ElementwiseLayer(_Layer):
    """Anything that only moves elements: activations, sums, gates, copies, lookups.

    Attributes
    ----------
    reads, writes : int
        Elements of a row.
    backward : int or None
        Elements that the backward pass moves; None for as many as the forward pass.
    stored : int or None
        Elements that are kept for the backward pass; None for those written.
    parameters : int
        Trained numbers, such as those of position embeddings.
    fused : bool
        Part of kernels that stream at the memory's rate; else a kernel of its own.
    """

    kind: Literal["elementwise"] = "elementwise"
    reads: Tally
    writes: Tally
    backward: Tally | None = None
    stored: Tally | None = None
    parameters: Tally = 0
    fused: Flag = False

    @property
    def moved_back(self) -> int:
        """Elements of a row that the backward pass moves."""
        return self.reads + self.writes if self.backward is None else self.backward


Layer = Annotated[
    LinearLayer | AttentionLayer | ProductLayer | NormLayer | ElementwiseLayer,
    Field(discriminator="kind"),
]
Part = Literal["bottom", "interaction", "top"]


class LayerBlock(Record):
    """Layers that follow one another, over the rows of one axis.

    Attributes
    ----------
    part : str
        Where in the step: ``bottom`` runs while embeddings are still under way,
        ``interaction`` and ``top`` behind them.
    rows : str
        The axis: ``samples``, the name of a sequence, or it and ``.targets``.
    repeat : int
        Times that the block comes, each with weights of its own.
    recompute : tuple of str
        Layers whose outputs are not kept, but computed again in the backward pass.
    """

    name: Name
    part: Part = "top"
    rows: Name = SAMPLES
    repeat: Annotated[Integer, Field(ge=1, le=10_000)] = 1
    recompute: tuple[Name, ...] = ()
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=100_000)]

    @model_validator(mode="after")
    def _recomputes_its_layers(self) -> Self:
        known = {layer.name for layer in self.layers}
        unknown = [name for name in self.recompute if name not in known]
        if unknown:
            raise ValueError(
                f"block {self.name!r}: recompute names no layer of it: {unknown[:10]}"
            )
        return self

    @property
    def sequence(self) -> str | None:
        """The sequence whose tokens or targets are the rows; None for samples."""
        return None if self.rows == SAMPLES else self.rows.removesuffix(TARGETS)
