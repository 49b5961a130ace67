"""What TorchRec knows about a table beyond the fields of our own record.

It is read from a live model and written back into an exported plan; the cost model
``torchrec`` prices from it. Names and meanings are those of TorchRec's
`ParameterConstraints`, `CacheParams` and `KeyValueParams`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from shardplan.records.quantity import Quantity
from shardplan.records.record import Flag, Fraction, Integer, Name, Number, Record
from shardplan.units import Dimension

TorchRecDType = Literal[
    "FP32", "FP16", "BF16", "NFP8", "INT64", "INT32", "INT8", "UINT8", "INT4", "INT2"
]
"""Names of TorchRec's data types."""
VIRTUAL_TABLES = (
    "is a virtual table: rows are made when their ids are first seen, so that nobody "
    "knows its bytes (TorchRec's planner counts 0 in DDR and on SSD); give it a number "
    "of rows that is kept, without use_virtual_table, for example with key_value"
)
"""Why plans have no virtual tables."""
STASHING = (
    "stash_weights: rows are counted as if they stayed in HBM, as TorchRec's planner "
    "counts them; what stashing frees between forward and backward is not used, and "
    "its copies over PCIe are in no time"
)
"""What the cost model ``torchrec`` does with stashed tables."""


class TorchRecCacheStats(Record):
    """How often a cache of a given size misses, as TorchRec's planner is told.

    Attributes
    ----------
    cacheability : float
        Area under the curve of miss ratios.
    expected_lookups : int
        Distinct ids per global batch.
    histogram : tuple of float
        Reuse distances in equal bins from 0 to `height` rows.
    height : int
        Rows of the table.
    """

    cacheability: Number
    expected_lookups: Annotated[Integer, Field(ge=0)]
    histogram: Annotated[tuple[Number, ...], Field(min_length=1)]
    height: Annotated[Integer, Field(ge=1)]


class TorchRecCache(Record):
    """TorchRec's `CacheParams`; what is None is left to TorchRec.

    Attributes
    ----------
    algorithm : str
        Which row leaves a full cache.
    load_factor : float
        Cached share of the rows.
    reserved_memory : float
        Memory that the cache leaves free [bytes].
    precision : str
        Type of cached rows.
    prefetch_pipeline : bool
        The cache is filled before the batch that needs it.
    num_passes, min_splitable_pass_size : int
        Passes of that prefetch, and ids of the smallest.
    stats : TorchRecCacheStats
        How often the cache misses.
    """

    algorithm: Literal["LRU", "LFU"] | None = None
    load_factor: Fraction | None = None
    reserved_memory: Annotated[float, Quantity(Dimension.BYTES)] | None = None
    precision: TorchRecDType | None = None
    prefetch_pipeline: Flag | None = None
    num_passes: Annotated[Integer, Field(ge=1)] | None = None
    min_splitable_pass_size: Annotated[Integer, Field(ge=1)] | None = None
    stats: TorchRecCacheStats | None = None


class TorchRecTable(Record):
    """A table in a TorchRec model; fields that are empty are left to TorchRec.

    Attributes
    ----------
    module : str
        Path of the module that owns the table, dotted; empty for the model itself.
    table : str
        Name of the table in its module, where that is not the workload's name.
    feature_names : tuple of str
        Features that look the table up.
    pooling_factors, num_poolings, batch_sizes : tuple of float
        Lookups per pooling, poolings per sample, and samples per rank of each
        input; they replace the workload's own numbers in TorchRec's estimate.
    cache : TorchRecCache
        Cache parameters.
    enforce_hbm, stochastic_rounding : bool
        Passed to the table's kernel.
    bounds_check_mode : str
        What the kernel does with ids out of range.
    output_dtype : str
        Type of the table's outputs.
    device_group : str
        Only ranks of this kind of device hold the table.
    key_value : dict
        Fields of `KeyValueParams` that are set.
    use_virtual_table : bool
        Rows are made when their ids are first seen; plans cannot have such tables.
    num_buckets : int
        Ids are hashed into rows bucket by bucket, and a rank has whole buckets: the
        ranks over which rows are cut must divide them.
    is_weighted : bool
        What TorchRec's planner takes for the table's `is_weighted`, where that is not
        so: it prices feature processors as if they made no weights.
    pooling : str
        How the rows of a bag become one; TorchRec does not fuse tables of both kinds.
    stash_weights : bool
        Rows leave HBM between forward and backward (TorchRec's embedding memory
        stashing). Only the cost model ``torchrec`` takes such tables, and counts them
        as if the rows stayed.
    """

    module: str = ""
    table: Name | None = None
    feature_names: tuple[str, ...] = ()
    pooling_factors: tuple[Annotated[Number, Field(ge=0)], ...] = ()
    num_poolings: tuple[Annotated[Number, Field(ge=0)], ...] = ()
    batch_sizes: tuple[Annotated[Integer, Field(ge=1)], ...] = ()
    cache: TorchRecCache | None = None
    enforce_hbm: Flag | None = None
    stochastic_rounding: Flag | None = None
    bounds_check_mode: Name | None = None
    output_dtype: TorchRecDType | None = None
    device_group: Name | None = None
    key_value: dict[str, JsonValue] = Field(default_factory=dict)
    use_virtual_table: Flag = False
    num_buckets: Annotated[Integer, Field(ge=1)] | None = None
    is_weighted: Flag | None = None
    pooling: Literal["SUM", "MEAN"] = "SUM"
    stash_weights: Flag = False

    @field_validator("use_virtual_table")
    @classmethod
    def _has_rows(cls, value: bool) -> bool:
        if value:
            raise ValueError(VIRTUAL_TABLES)
        return value

    @field_validator("key_value")
    @classmethod
    def _cache_size_is_whole(cls, value: dict[str, Any]) -> dict[str, Any]:
        size = value.get("max_l1_cache_size")
        if size is not None and (not isinstance(size, int) or size < 0):
            raise ValueError("max_l1_cache_size must be a whole number >= 0 [MiB]")
        return value

    @model_validator(mode="after")
    def _inputs_match(self) -> Self:
        count = len(self.pooling_factors)
        for name in ("num_poolings", "batch_sizes"):
            given = len(getattr(self, name))
            if given and given != count:
                raise ValueError(f"{name} has {given} entries, pooling_factors {count}")
        return self
