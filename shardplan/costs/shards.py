"""Shards to price, and the volumes that their times and bytes share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.memory import storage
from shardplan.records.sharding import ComputeKernel
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Floats, Ints


KERNELS = tuple(ComputeKernel)
DTYPES = tuple(DType)


@dataclass(frozen=True, eq=False)
class ShardArrays:
    """N shards to price; all attributes are arrays of shape (N,).

    Attributes
    ----------
    table : int
        Index into the workload's tables.
    sharding_type : int
        Index into the members of `ShardingType`.
    kernel, dtype : int
        Index into `KERNELS` and `DTYPES`.
    scope : int
        A `Scope`.
    columns, rows : int
        Size of the shard.
    row_share : float
        Share of the table's rows (1 unless rows are cut).
    id_share, unique_share : float
        Share of the table's ids that reach the shard, and of the distinct rows among
        them: `row_share`, unless rows are known not to be equally hot.
    is_partial : bool
        Rows are cut, so the shard's pooled outputs are partial sums.
    is_replicated : bool
        `data_parallel`: `rows` are all rows, and every rank works on its own ids.
    hbm_share, ddr_share : float
        Share of the rows cached or placed in each tier.
    """

    table: Ints
    sharding_type: Ints
    kernel: Ints
    dtype: Ints
    scope: Ints
    columns: Ints
    rows: Ints
    row_share: Floats
    id_share: Floats
    unique_share: Floats
    is_partial: Bools
    is_replicated: Bools
    hbm_share: Floats
    ddr_share: Floats

    def __len__(self) -> int:
        """Return the number of shards N."""
        return len(self.table)

    def take(self, index: Ints | Bools) -> Self:
        """Select shards by index or mask."""
        return type(self)(
            **{f.name: getattr(self, f.name)[index] for f in fields(self)}
        )

    def is_kernel(self, *kernels: ComputeKernel) -> Bools:
        """Whether each shard uses one of the kernels."""
        return np.isin(self.kernel, [KERNELS.index(kernel) for kernel in kernels])


@dataclass(frozen=True, eq=False)
class Volumes:
    """Quantities that times and bytes share; arrays of shape (N,).

    Attributes
    ----------
    ids, unique, outputs : looked up, different among them, and made in a step
    requests : ids that samples ask for; more than `ids` where ranks send each only once
    row, full_row : of a stored row, and of one of the table's own type [bytes]
    state : optimizer state of a row [bytes]
    device_state : of it, what is on the device wherever the row is [bytes]
    """

    ids: Floats
    unique: Floats
    outputs: Floats
    requests: Floats
    row: Floats
    state: Floats
    device_state: Floats
    full_row: Floats

    @property
    def moving_state(self) -> Floats:
        """State of a row that lies in the same memory as the row [bytes]."""
        return self.state - self.device_state


def volumes_of(shards: ShardArrays, usage: TableUsage, world_size: int) -> Volumes:
    """Derive the volumes of shards on a cluster of `world_size` ranks."""
    table = shards.table
    return Volumes(
        ids=num_ids(shards, usage, world_size),
        unique=_unique_rows(shards, usage, world_size),
        outputs=num_outputs(shards, usage, world_size),
        requests=num_requests(shards, usage, world_size),
        row=_row_bytes(shards.dtype, shards.columns),
        state=storage.state_bytes(usage.optimizer, shards.columns),
        device_state=storage.device_state_bytes(
            usage.optimizer, is_on_ssd=shards.is_kernel(ComputeKernel.KEY_VALUE)
        ),
        full_row=_row_bytes(usage.dtype[table], shards.columns),
    )


def num_ids(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Return the ids that each rank of a shard looks up in a step (N,)."""
    return usage.num_sent[shards.table] * _sent_share(shards, usage, world_size)


def num_requests(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Return the ids that samples ask each rank of a shard for in a step (N,).

    More than it looks up where ranks send each of their ids once.
    """
    return usage.num_lookups[shards.table] * _id_share(shards, world_size)


def num_outputs(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Return the output rows that each rank of a shard makes in a step (N,).

    A bag has a pooled output on every rank that holds some of its rows; without
    pooling every id has one.
    """
    pooled = usage.is_pooled[shards.table]
    whole = pooled & ~shards.is_replicated
    share = np.where(whole, 1.0, _sent_share(shards, usage, world_size))
    outputs = np.where(
        pooled, usage.num_outputs[shards.table], usage.num_sent[shards.table]
    )
    return np.asarray(outputs * share)


def _id_share(shards: ShardArrays, world_size: int) -> Floats:
    """Share of a table's ids that each rank of a shard looks up (N,)."""
    return np.where(shards.is_replicated, 1.0 / world_size, shards.id_share)


def _sent_share(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Share of the ids that ranks send that each rank of a shard looks up (N,).

    Where each is sent once hot rows count as much as others.
    """
    once = usage.sends_once[shards.table] & ~shards.is_replicated
    return np.where(once, shards.unique_share, _id_share(shards, world_size))


def _unique_rows(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Distinct rows that one rank touches: of its own batch in a replicated table."""
    unique = usage.unique_rows[shards.table] * shards.unique_share
    copies = shards.is_replicated
    tables, back = np.unique(shards.table[copies], return_inverse=True)
    own = usage.unique_rows_among(tables, usage.num_lookups[tables] / world_size)
    unique[copies] = own[back]
    return unique


def _row_bytes(dtype: Ints, columns: Ints) -> Floats:
    """Bytes of rows of mixed types."""
    result = np.zeros(len(dtype))
    for code in np.unique(dtype):
        mask = dtype == code
        result[mask] = storage.row_bytes(DTYPES[code], columns[mask])
    return result
