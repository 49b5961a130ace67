"""Embedding tables: shape, use, access distribution and constraints."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from shardplan.records.miss_ratio import MissRatio
from shardplan.records.record import (
    Flag,
    Fraction,
    Integer,
    Name,
    Number,
    PositiveFraction,
    RankIndex,
    Record,
    Rows,
)
from shardplan.records.row_heat import BlockHeat, RowRouting, RowSkew
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.torchrec_table import TorchRecTable
from shardplan.records.unique_ids import UniqueIds


class DType(StrEnum):
    """Element types of rows, messages and layers; tf32 only computes."""

    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    MXFP8 = "mxfp8"
    MXFP6 = "mxfp6"
    MXFP4 = "mxfp4"


def _is_stored(dtype: DType) -> DType:
    if dtype is DType.TF32:
        raise ValueError("tf32 is a type to compute in; rows and messages are fp32")
    return dtype


StoredDType = Annotated[DType, AfterValidator(_is_stored)]
"""A type that rows and messages can have."""


class _Access(Record):
    """A distribution of lookups over rows; always written with its kind."""

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": getattr(self, "kind", None), **handler(self)}


class UniformAccess(_Access):
    """Every row is equally likely."""

    kind: Literal["uniform"] = "uniform"


class ZipfAccess(_Access):
    """Id of rank k is drawn with probability proportional to k^-alpha.

    Attributes
    ----------
    rows_per_draw : int
        Rows that an id stands for: each is spread over this many rows, which were
        drawn evenly once and for all (the synthetic multi-hot data of MLPerf).
    """

    kind: Literal["zipf"] = "zipf"
    alpha: Annotated[Number, Field(ge=0, le=10)]
    rows_per_draw: Annotated[Integer, Field(ge=1, le=100_000)] = 1


class CdfAccess(_Access):
    """A measured distribution: share of lookups that go to the hottest rows.

    Attributes
    ----------
    points : tuple of (row_fraction, lookup_fraction)
        Increasing in both, hottest rows first; (0, 0) and (1, 1) are implied.
    """

    kind: Literal["cdf"] = "cdf"
    points: Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=1)]

    @field_validator("points")
    @classmethod
    def _increasing(
        cls, points: tuple[tuple[float, float], ...]
    ) -> tuple[tuple[float, float], ...]:
        for (x0, y0), (x1, y1) in pairwise(points):
            if x1 <= x0 or y1 < y0:
                raise ValueError("points must increase: row fractions strictly")
        return points


AccessDistribution = Annotated[
    UniformAccess | ZipfAccess | CdfAccess, Field(discriminator="kind")
]


class TableConstraints(Record):
    """What a plan may do with a table; an empty field constrains nothing.

    Attributes
    ----------
    forbidden_sharding_types : tuple of ShardingType
        A plan may not use these.
    sharding_types, compute_kernels : tuple
        The allowed ones. `fused_uvm_split` is only used where named here.
    ranks, hosts : tuple of int
        Shards may only be on these ranks, or on ranks of these hosts.
    forbidden_ranks : tuple of int
        Shards may not be on these ranks.
    min_column_width : int
        The least number of columns of a column shard.
    cache_load_factor : float
        Fixes the cached share of the rows for kernels with a cache.
    dtypes : tuple of DType
        Row types that may replace the table's own (low precision rows).
    """

    sharding_types: tuple[ShardingType, ...] = ()
    forbidden_sharding_types: tuple[ShardingType, ...] = ()
    compute_kernels: tuple[ComputeKernel, ...] = ()
    ranks: tuple[RankIndex, ...] = ()
    hosts: tuple[RankIndex, ...] = ()
    forbidden_ranks: tuple[RankIndex, ...] = ()
    min_column_width: Annotated[Integer, Field(ge=1, le=65_536)] | None = None
    cache_load_factor: PositiveFraction | None = None
    dtypes: tuple[StoredDType, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Compare also which fields are set: a set field hides the default."""
        return (
            isinstance(other, TableConstraints)
            and self.model_fields_set == other.model_fields_set
            and super().__eq__(other)
        )

    @model_serializer
    def _only_what_is_set(self) -> dict[str, Any]:
        names = type(self).model_fields
        return {n: getattr(self, n) for n in names if n in self.model_fields_set}

    @property
    def usable_types(self) -> tuple[ShardingType, ...]:
        """The sharding types that are allowed and not forbidden."""
        forbidden = self.forbidden_sharding_types
        allowed = self.sharding_types or tuple(ShardingType)
        return tuple(kind for kind in allowed if kind not in forbidden)

    def over(self, default: TableConstraints) -> TableConstraints:
        """Return these constraints, with `default` for every field not set here."""
        if not self.model_fields_set:
            return default
        merged = {name: getattr(default, name) for name in type(default).model_fields}
        merged.update({name: getattr(self, name) for name in self.model_fields_set})
        return TableConstraints.model_construct(**merged)


class EmbeddingTable(Record):
    """One embedding table and how a batch uses it.

    Attributes
    ----------
    name : str
        Unique within a workload.
    num_embeddings, embedding_dim : int
        Rows and columns.
    dtype : DType
        Type of a row's elements.
    pooling_factor : float
        Lookups per sample, summed over the features that share the table, for
        samples in which the features are present; 0 for a table that is not used.
    coverage : float
        Share of the samples in which the features are present.
    num_outputs : int
        Number of features that share the table (F), or of poolings: output vectors
        per sample.
    batch_factor : float
        The features' batch over the workload's: 1/64 where 64 samples share one
        request, 3 where every item comes with two negatives.
    key_bytes : int
        Bytes that a shard keeps beside each row of a hash table: its key, score and
        such. Frameworks that keep keys of their own need none here.
    is_pooled : bool
        False for sequence embeddings: one output row per lookup.
    is_weighted : bool
        Every lookup carries a weight.
    access : AccessDistribution or None
        None takes the workload's default.
    unique_ids : tuple of (ids, unique)
        Different ids among so many of a rank's batch, measured; without points they
        follow from `access`.
    miss_ratio : tuple of (rows, ratio)
        Share of the lookups that an LRU cache of so many rows misses, measured in the
        order of training; without points it follows from `access`.
    row_routing : RowRouting or None
        Which rows `access` means, so how hot row shards are; None takes the
        workload's default.
    block_heat : tuple of float
        Measured shares of the lookups that equal blocks of rows get, in order.
    row_skew : RowSkew or None
        Measured load of the hottest row shard, where no more is known.
    torchrec : TorchRecTable or None
        What TorchRec knows beyond these fields, of an imported model.
    """

    name: Name
    num_embeddings: Rows
    embedding_dim: Annotated[Integer, Field(ge=1, le=65_536)]
    dtype: StoredDType = DType.FP32
    pooling_factor: Annotated[Number, Field(ge=0, le=1e6)] = 1.0
    coverage: Fraction = 1.0
    num_outputs: Annotated[Integer, Field(ge=1, le=10_000)] = 1
    batch_factor: Annotated[Number, Field(gt=0, le=1e6)] = 1.0
    key_bytes: Annotated[Integer, Field(ge=0, le=1024)] = 0
    is_pooled: Flag = True
    is_weighted: Flag = False
    access: AccessDistribution | None = None
    unique_ids: UniqueIds = ()
    miss_ratio: MissRatio = ()
    row_routing: RowRouting | None = None
    block_heat: BlockHeat = ()
    row_skew: RowSkew | None = None
    constraints: TableConstraints = TableConstraints()
    torchrec: TorchRecTable | None = None

    @model_validator(mode="after")
    def _shape_is_sane(self) -> EmbeddingTable:
        if self.num_embeddings * self.embedding_dim > 10**16:
            raise ValueError("num_embeddings * embedding_dim must be <= 10^16 elements")
        return self

    @model_validator(mode="after")
    def _unique_ids_are_rows(self) -> EmbeddingTable:
        if self.unique_ids and self.unique_ids[-1][1] > self.num_embeddings:
            raise ValueError(
                f"unique_ids reaches {self.unique_ids[-1][1]:g} unique ids, but the "
                f"table has {self.num_embeddings:,} rows: must be at most "
                "num_embeddings"
            )
        return self

    @model_validator(mode="after")
    def _heat_is_one_thing(self) -> EmbeddingTable:
        given = {
            "row_routing": self.row_routing is not None,
            "block_heat": bool(self.block_heat),
            "row_skew": self.row_skew is not None,
        }
        names = [name for name, is_given in given.items() if is_given]
        if len(names) > 1:
            raise ValueError(f"give only one of {' and '.join(names)}")
        if len(self.block_heat) > self.num_embeddings:
            raise ValueError("block_heat has more blocks than the table has rows")
        return self

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of what is known of its lookups beyond a distribution."""
        known = ("unique_ids", "miss_ratio", "block_heat", "row_skew")
        return tuple(name for name in known if getattr(self, name))

    @property
    def torchrec_module(self) -> str:
        """Path of the TorchRec module that owns the table, or a usual one."""
        if self.torchrec is not None:
            return self.torchrec.module
        if not self.is_pooled:  # a collection of sequence embeddings has one width
            return f"ec{self.embedding_dim}"
        return "weighted_ebc" if self.is_weighted else "ebc"

    @property
    def torchrec_name(self) -> str:
        """Name of the table in its TorchRec module."""
        return (self.torchrec and self.torchrec.table) or self.name
