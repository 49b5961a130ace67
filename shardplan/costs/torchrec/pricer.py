"""Price shards as TorchRec's planner does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from shardplan.costs.memory.capacity import Capacity
from shardplan.costs.memory.lookup import narrow_row_ratio
from shardplan.costs.pricing import ShardPrices
from shardplan.costs.scopes import Scope, scopes_of
from shardplan.costs.shards import DTYPES
from shardplan.costs.torchrec import perf, storage
from shardplan.costs.torchrec.bandwidths import Bandwidths
from shardplan.costs.torchrec.tables import TorchRecTables, element_bytes
from shardplan.records.sharding import (
    CACHING_KERNELS,
    ComputeKernel,
    ShardingType,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.shards import ShardArrays
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Floats
    from shardplan.records.torchrec_cost_model import TorchRecCostModel


S = TypeVar("S", bound=np.generic)
_TYPES = tuple(ShardingType)
_ELEMENT_BYTES = element_bytes(DTYPES)
_COMPUTE_PHASES = ("prefetch_compute", "fwd_compute", "bwd_compute")


@dataclass(frozen=True, eq=False)
class TorchRecPricer:
    """TorchRec's estimators for one workload on one cluster.

    The phases are those of TorchRec's critical path: the two passes of computing,
    and the two of communication for each module and sharding type. The slowest
    rank's sum over them is TorchRec's rating of a plan, and the sum over them of
    the slowest rank its critical path. The exchange of ids counts in neither.
    """

    cluster: Cluster
    cost_model: TorchRecCostModel
    tables: TorchRecTables
    bandwidths: Bandwidths

    @classmethod
    def of(
        cls, cluster: Cluster, usage: TableUsage, cost_model: TorchRecCostModel
    ) -> Self:
        """Collect what the estimators need."""
        return cls(
            cluster=cluster,
            cost_model=cost_model,
            tables=TorchRecTables.of(usage, cluster.world_size, cost_model),
            bandwidths=Bandwidths.of(cluster, cost_model.collectives),
        )

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases; of several modules each has its own."""
        several = len(self.tables.modules) > 1
        return _COMPUTE_PHASES + tuple(
            f"{way}_comms {kind.value}" + (f" {module}" if several else "")
            for module in self.tables.modules
            for kind in _TYPES
            for way in ("fwd", "bwd")
        )

    def price(self, shards: ShardArrays) -> ShardPrices:
        """Price shards: seconds per class and phase, bytes per tier."""
        facts = _ShardFacts.of(shards, self)
        cost = np.zeros(
            (len(shards), len(self.bandwidths.group_size), len(self.phases))
        )
        index = np.arange(len(shards))
        cost[:, :, 0], cost[:, :, 1], cost[:, :, 2] = facts.compute_times()
        own = self.tables.module[shards.table] * len(_TYPES) + shards.sharding_type
        forward, backward = facts.comms_times()
        cost[index, :, len(_COMPUTE_PHASES) + 2 * own] = forward
        cost[index, :, len(_COMPUTE_PHASES) + 2 * own + 1] = backward
        return ShardPrices(cost, facts.tier_bytes())

    def items(self, shards: ShardArrays) -> Iterator[tuple[str, int, Floats]]:
        """List what shards store; TorchRec has one number for each tier."""
        for tier, num_bytes in enumerate(_ShardFacts.of(shards, self).tier_bytes().T):
            yield "shards with their state, caches and buffers", tier, num_bytes

    def capacity(self) -> Capacity:
        """HBM less a share, and all of DDR and SSD, divided over a host's ranks."""
        cluster, share = self.cluster, self.cost_model.memory.hbm_reserve_fraction
        groups = cluster.host_groups
        ddr = np.array([float(g.host.ddr_bytes) for g in groups])
        ssd = np.array([float(g.host.ssd_bytes) for g in groups])
        local = np.array([g.local_world_size for g in groups])
        hbm = cluster.rank_hbm_bytes
        usable = np.trunc((1 - share.value) * hbm)
        return Capacity(
            rank_hbm=usable,
            pool_ddr=np.trunc(ddr / local)[cluster.rank_class],
            pool_ssd=np.trunc(ssd / local)[cluster.rank_class],
            rank_pool=np.arange(cluster.world_size),
            reserved={"kept free": float(hbm[0] - usable[0])},
            pool_place="rank",
        )


@dataclass(frozen=True, eq=False)
class _ShardFacts:
    """What the formulas need to know about N shards; arrays of shape (N, 1).

    Attributes
    ----------
    divisor : int
        Ranks over which a table's rows are cut; (N, C).
    world : float
        Ranks whose batches reach the shard.
    """

    shards: ShardArrays
    pricer: TorchRecPricer
    family: perf.Family
    divisor: Floats
    world: Floats
    columns: Floats
    element: Floats
    weighted: Bools
    pooled: Bools
    inputs: Floats
    outputs: Floats

    @classmethod
    def of(cls, shards: ShardArrays, pricer: TorchRecPricer) -> Self:
        tables, bandwidths = pricer.tables, pricer.bandwidths
        table, kind = shards.table, shards.sharding_type
        grouped = [code for code, one in enumerate(_TYPES) if scopes_of(one)]
        family = perf.Family(
            is_copy=_column(kind == _TYPES.index(ShardingType.DATA_PARALLEL)),
            is_row_cut=_column(kind == _TYPES.index(ShardingType.ROW_WISE)),
            is_group_cut=_column(np.isin(kind, grouped)),
        )
        return cls(
            shards=shards,
            pricer=pricer,
            family=family,
            divisor=_divisor(shards, family, bandwidths),
            world=np.where(family.is_copy, 1.0, float(bandwidths.world_size)),
            columns=_column(shards.columns).astype(np.float64),
            element=_column(_ELEMENT_BYTES[shards.dtype]),
            weighted=_column(tables.is_weighted[table]),
            pooled=_column(tables.is_pooled[table]),
            inputs=_column(tables.inputs[table]),
            outputs=_column(tables.outputs[table]),
        )

    def compute_times(self) -> tuple[Floats, Floats, Floats]:
        """Prefetch, forward and backward computing, (N, C) each."""
        back = self.pricer.cost_model.backward
        forward = perf.forward_compute(
            self._traffic(), self.weighted, self._penalty(), self._memory_bw()
        )
        backward = perf.backward_compute(
            forward,
            self.weighted,
            back.compute_ratio.value,
            back.weighted_ratio.value,
            back.weights_gradient_ratio.value,
        )
        return self._prefetch(), forward, backward

    def comms_times(self) -> tuple[Floats, Floats]:
        """Forward and backward communication, (N, C) each."""
        bandwidths, back = self.pricer.bandwidths, self.pricer.cost_model.backward
        traffic, memory_bw = self._traffic(), self._memory_bw()
        forward = perf.forward_comms(self.family, traffic, bandwidths)
        backward = perf.backward_comms(
            self.family, traffic, bandwidths, memory_bw, back.batched_copy_ratio.value
        )
        gradient = _column(self.shards.rows) * self.columns * self.element
        reduce = perf.all_reduce(
            gradient, bandwidths, memory_bw, back.dense_update_ratio.value
        )
        return forward, np.where(self.family.is_copy, reduce, backward)

    def tier_bytes(self) -> Floats:
        """Bytes per tier, (N, 3)."""
        weights = self._weights()
        hbm, ddr, ssd = self._stored(weights)
        inputs, outputs = self._buffers()
        if self.pricer.bandwidths.is_cpu:
            return np.stack(
                [np.zeros_like(weights), inputs + outputs + weights, ssd], axis=1
            )
        memory, tables = self.pricer.cost_model.memory, self.pricer.tables
        hbm = hbm + storage.batch_buffers(
            inputs,
            outputs,
            self.shards.is_kernel(*CACHING_KERNELS),
            tables.num_passes[self.shards.table],
            memory.pipeline,
            memory.counts_outputs,
        )
        return np.stack([hbm, ddr, ssd], axis=1)

    def _traffic(self) -> perf.ShardBytes:
        tables, table = self.pricer.tables, self.shards.table
        lookup = self.pricer.cost_model.lookup
        wire = [
            np.where(np.isnan(size[table]), self.element[:, 0], size[table])[:, None]
            for size in (
                tables.forward_all_to_all,
                tables.backward_all_to_all,
                tables.forward_reduce_scatter,
                tables.backward_reduce_scatter,
            )
        ]
        reduces = self.family.is_group_cut | (self.family.is_row_cut & self.pooled)
        outputs = np.where(self.pooled, self.outputs, self.inputs / self.divisor)
        across = np.where(self.pooled, self.outputs, self.inputs)
        across = across * self.pricer.bandwidths.num_groups * self.columns
        least = np.maximum(self.columns, lookup.least_columns.value)
        read = np.where(self.family.is_whole, least, self.columns)

        def written(all_to_all: Floats, reduce_scatter: Floats) -> Floats:
            size = np.where(reduces, reduce_scatter, all_to_all)
            size = np.where(self.family.is_copy, self.element, size)
            return np.asarray(outputs * self.world * self.columns * size)

        return perf.ShardBytes(
            inputs=perf.input_bytes(
                self.inputs, self.divisor, self.world, lookup.id_bytes.value
            ),
            rows=perf.row_bytes(
                self.inputs, self.divisor, self.world, read, self.element
            ),
            forward_outputs=written(wire[0], wire[2]),
            backward_outputs=written(wire[1], wire[3]),
            forward_across=across * wire[0],
            backward_across=across * wire[1],
        )

    def _penalty(self) -> Floats:
        narrow = self.pricer.cost_model.lookup.narrow_rows
        penalty = narrow_row_ratio(
            self.shards.columns,
            tuple(p.max_dim for p in narrow),
            tuple(p.ratio.value for p in narrow),
        )
        return np.where(self.family.is_whole, _column(penalty), 1.0)

    def _memory_bw(self) -> Floats:
        """Bandwidth that each shard's kernel reads rows at, (N, C) [bytes/s].

        A cache mixes device memory and the link to the host by its share of rows,
        unless it is filled ahead.
        """
        bw, lookup = self.pricer.bandwidths, self.pricer.cost_model.lookup
        shards = self.shards
        device = bw.ddr if bw.is_cpu else bw.hbm
        result = np.broadcast_to(device, (len(shards), len(device))).copy()
        result[shards.is_kernel(ComputeKernel.DENSE)] *= lookup.dense_bw_fraction.value
        slow = lookup.uvm_bw_fraction.value
        in_place = shards.is_kernel(ComputeKernel.FUSED_UVM)
        result[in_place] = bw.host_link * slow
        ahead = self.pricer.tables.prefetches[shards.table]
        mixed = shards.is_kernel(
            ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM_SPLIT
        )
        mixed &= ~ahead
        share = _column(shards.hbm_share[mixed])
        result[mixed] = (share * bw.hbm + (1.0 - share) * bw.host_link) * slow
        result[shards.is_kernel(ComputeKernel.KEY_VALUE)] = bw.ssd
        return result

    def _prefetch(self) -> Floats:
        shards, tables = self.shards, self.pricer.tables
        misses = np.zeros(len(shards))
        cached = np.flatnonzero(shards.is_kernel(ComputeKernel.FUSED_UVM_CACHING))
        misses[cached] = tables.expected_misses(
            shards.table[cached], shards.hbm_share[cached]
        )
        row = self.columns * self.element
        per_shard = _column(misses) / self.divisor
        return perf.prefetch(per_shard, row, self.pricer.bandwidths.host_link)

    def _weights(self) -> Floats:
        """Rows and optimizer state of a shard, (N,)."""
        rows = self.shards.rows.astype(np.float64)
        weights = rows * self.columns[:, 0] * self.element[:, 0]
        return weights + self._state(weights)

    def _state(self, weights: Floats) -> Floats:
        ratio = self.pricer.tables.state_ratio[self.shards.table]
        return storage.state(weights, ratio)

    def _stored(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Rows, caches and optimizer state in HBM, DDR and SSD of a device's rank."""
        shards, none = self.shards, np.zeros(len(self.shards))
        in_ddr = shards.is_kernel(
            ComputeKernel.FUSED_UVM, ComputeKernel.FUSED_UVM_CACHING
        )
        in_ssd = shards.is_kernel(ComputeKernel.KEY_VALUE)
        split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
        cached = shards.is_kernel(ComputeKernel.FUSED_UVM_CACHING)
        hbm = np.where(in_ddr | in_ssd, none, weights)
        hbm = np.where(split, weights * shards.hbm_share, hbm)
        hbm = np.where(cached, self._cache(), hbm)
        hbm = np.where(in_ssd, self._key_value_cache(), hbm)
        ddr = np.where(in_ddr, weights, np.where(split, weights - hbm, none))
        ssd = np.where(in_ssd, weights + self._cache_state(), none)
        return hbm, ddr, ssd

    def _cache(self) -> Floats:
        """HBM of a cache over host memory, with its share of optimizer state."""
        tables, table = self.pricer.tables, self.shards.table
        whole = tables.num_rows[table] * tables.num_columns[table]
        full = np.round(whole * self.element[:, 0] * self.shards.hbm_share)
        share = self.shards.rows * self.columns[:, 0] / whole
        slots = storage.part_of(full, share)
        return slots + self._state(slots) + self._cache_state()

    def _cache_state(self) -> Floats:
        memory = self.pricer.cost_model.memory
        return storage.cache_state(
            self.shards.rows.astype(np.float64),
            self.shards.hbm_share,
            memory.cache_bytes_per_row.value,
            memory.cache_bytes_per_slot.value,
        )

    def _key_value_cache(self) -> Floats:
        tables, table = self.pricer.tables, self.shards.table
        return storage.key_value_cache(
            tables.num_rows[table],
            tables.num_columns[table],
            self.element[:, 0],
            self.pricer.cost_model.memory.key_value_cache_factor.value,
            tables.key_value_limit[table],
        )

    def _buffers(self) -> tuple[Floats, Floats]:
        """Bytes of ids and outputs of one batch, (N,); none for an empty row shard."""
        tables, table = self.pricer.tables, self.shards.table
        id_bytes = self.pricer.cost_model.lookup.id_bytes.value
        per_rank = np.where(self.pooled, self.outputs, self.inputs / self.divisor)
        size = tables.output_bytes[table]
        element = np.where(np.isnan(size), self.element[:, 0], size)
        inputs = perf.input_bytes(self.inputs, self.divisor, self.world, id_bytes)
        outputs = storage.outputs(per_rank, self.world, self.columns, _column(element))
        empty = (self.shards.rows == 0) & ~self.family.is_copy[:, 0]
        largest = inputs.max(axis=1), outputs.max(axis=1)
        return np.where(empty, 0.0, largest[0]), np.where(empty, 0.0, largest[1])


def _column(values: NDArray[S]) -> NDArray[S]:
    return values[:, None]


def _divisor(
    shards: ShardArrays, family: perf.Family, bandwidths: Bandwidths
) -> Floats:
    """Ranks over which rows are cut: all, a host group's, or those of the shard."""
    own = np.round(1.0 / np.maximum(shards.row_share, 1e-9))
    whole_world = shards.scope == Scope.ALL
    rows = np.where(whole_world, float(bandwidths.world_size), own)
    grouped = np.where(
        _column(shards.scope == Scope.HOST), bandwidths.group_size, _column(own)
    )
    result = np.where(family.is_row_cut, _column(rows), 1.0)
    return np.where(family.is_group_cut, grouped, result)
