"""The vocabulary of sharding: types, kernels, tiers, phases, objectives, targets."""

from __future__ import annotations

from enum import StrEnum


class ShardingType(StrEnum):
    """How a table is cut; the strings are TorchRec's."""

    DATA_PARALLEL = "data_parallel"
    TABLE_WISE = "table_wise"
    COLUMN_WISE = "column_wise"
    ROW_WISE = "row_wise"
    TABLE_ROW_WISE = "table_row_wise"
    TABLE_COLUMN_WISE = "table_column_wise"
    GRID_SHARD = "grid_shard"


SHORT_NAMES = {
    ShardingType.DATA_PARALLEL: "DP",
    ShardingType.TABLE_WISE: "TW",
    ShardingType.COLUMN_WISE: "CW",
    ShardingType.ROW_WISE: "RW",
    ShardingType.TABLE_ROW_WISE: "TWRW",
    ShardingType.TABLE_COLUMN_WISE: "TWCW",
    ShardingType.GRID_SHARD: "GRID",
}
"""Short forms for tables and logs only."""


class ComputeKernel(StrEnum):
    """Where rows live and what looks them up; the strings are TorchRec's.

    `FUSED_UVM_SPLIT` is RecShard's static split, which TorchRec does not have:
    the hottest rows live in HBM only, the others in DDR only.
    """

    DENSE = "dense"
    FUSED = "fused"
    FUSED_UVM_CACHING = "fused_uvm_caching"
    FUSED_UVM = "fused_uvm"
    FUSED_UVM_SPLIT = "fused_uvm_split"
    KEY_VALUE = "key_value"


class MemoryTier(StrEnum):
    """A level of memory. HBM belongs to a rank; DDR and SSD are shared by a host."""

    HBM = "hbm"
    DDR = "ddr"
    SSD = "ssd"


class Phase(StrEnum):
    """A part of the step that ends with all ranks meeting, in order of time."""

    INPUT_DIST = "input_dist"
    PREFETCH_COMPUTE = "prefetch_compute"
    FWD_COMPUTE = "fwd_compute"
    FWD_COMMS = "fwd_comms"
    BWD_COMMS = "bwd_comms"
    BWD_COMPUTE = "bwd_compute"


class Objective(StrEnum):
    """What a solver minimises.

    `TIME` is the predicted step: the longest path through its operations. `STEP` is
    the sum over phases of the slowest rank, `MAX_RANK` the slowest rank's sum over
    phases (TorchRec's rating).
    """

    TIME = "time"
    STEP = "step"
    MAX_RANK = "max-rank"


QUANTITY = {
    Objective.TIME: "predicted step",
    Objective.STEP: "sum over phases",
    Objective.MAX_RANK: "sum of the slowest rank",
}
"""What the value of each objective is, in words."""


class Target(StrEnum):
    """The framework that will run a plan, and so the shapes that it may have."""

    ANY = "any"
    TORCHREC = "torchrec"
    HUGECTR = "hugectr"


PHASES = tuple(Phase)
SUMS = (Objective.STEP, Objective.MAX_RANK)
"""Objectives that are sums of seconds of phases."""
TIERS = tuple(MemoryTier)
CACHING_KERNELS = (ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.KEY_VALUE)
"""Kernels whose cache keeps rows in the table's own type."""


class ReplicaLayout(StrEnum):
    """Which ranks hold copies of the same shards.

    ``inside``: R ranks that follow each other, so that copies meet inside hosts where
    they can, and a sharding group takes every R-th rank. ``across``: a sharding group
    takes G ranks that follow each other, and copies meet across hosts.

    References
    ----------
    TorchRec, ``DMPCollection(use_inter_host_allreduce=...)``: False and True.
    """

    INSIDE = "inside"
    ACROSS = "across"
