"""The file of a model without its weights, as TorchRec 1.9's `ModelArch` has it.

Names and meanings are those of TorchRec's `ModelArch`, `TableArch` and `SharderArch`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shardplan.records.record import Integer, Name, Number, Record, SchemaVersion
from shardplan.records.torchrec_table import TorchRecDType


class ArchTable(Record):
    """A table of a model.

    Attributes
    ----------
    pooling : str
        ``SUM``, ``MEAN`` or ``NONE``; null for a table of sequences.
    data_type : str
        Of its rows.
    sharder_type : str
        Class of the sharder that shards it.
    """

    name: Name
    num_embeddings: Annotated[Integer, Field(ge=1)]
    embedding_dim: Annotated[Integer, Field(ge=1)]
    feature_names: tuple[str, ...] = ()
    pooling: Literal["SUM", "MEAN", "NONE"] | None = None
    data_type: TorchRecDType | None = None
    sharder_type: Name | None = None


class ArchSharder(Record):
    """A sharder's optimizer, null where it sets none.

    Attributes
    ----------
    weight_decay_mode : str or int
        TorchRec 1.9.2 has FBGEMM's number there.
    """

    sharder_type: Name
    optimizer: Name | None = None
    learning_rate: Number | None = None
    eps: Number | None = None
    weight_decay: Number | None = None
    weight_decay_mode: Integer | Name | None = None
    beta1: Number | None = None
    beta2: Number | None = None


class ModelArchFile(Record):
    """All tables of a model, and what shards them."""

    schema_version: SchemaVersion
    tables: Annotated[tuple[ArchTable, ...], Field(min_length=1)]
    sharder_types: tuple[Name, ...]
    sharders: tuple[ArchSharder, ...] = ()
