"""A workload's tables as arrays: what one training step asks of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory import access, storage
from shardplan.costs.row_heat import RowHeat
from shardplan.records.sharding import Phase, Target
from shardplan.records.tables import DType
from shardplan.records.targets import RUNTIMES
from shardplan.records.workload import Pipeline, Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.targets import Runtime
    from shardplan.records.workload import Compression, Optimizer

_PIPELINE_DEPTH = {
    Pipeline.NONE: 1,
    Pipeline.SPARSE_DIST: 2,
    Pipeline.PREFETCH_SPARSE_DIST: 3,
}


@dataclass(frozen=True, eq=False)
class TableUsage:
    """What a step does with each of T tables, over the global batch.

    Attributes
    ----------
    workload : Workload
    batch_size : int
        Batch B of all ranks; of one sharding group, where there are several [samples].
    num_embeddings, embedding_dim : int arrays (T,)
    num_samples : float array (T,)
        The features' own batch B': B * batch_factor [samples].
    num_lookups : float array (T,)
        Ids per step: B' * pooling_factor * coverage.
    num_ranks : int
        Ranks W that share the batch B, each with its own samples.
    num_outputs : float array (T,)
        Output vectors per step: B' * F if pooled, else the number of lookups.
    num_lengths : float array (T,)
        Lengths sent along with the ids: B' * F.
    is_pooled : bool array (T,)
    id_bytes : float array (T,)
        Bytes of an id with its weight [bytes].
    target : Target
        The framework that runs the tables.
    """

    workload: Workload
    batch_size: int
    num_embeddings: Ints
    embedding_dim: Ints
    num_samples: Floats
    num_lookups: Floats
    num_outputs: Floats
    num_lengths: Floats
    is_pooled: Bools
    id_bytes: Floats
    num_ranks: int
    target: Target = Target.ANY

    @classmethod
    def of(
        cls,
        workload: Workload,
        world_size: int,
        target: Target = Target.ANY,
        replicas: int = 1,
    ) -> TableUsage:
        """Collect the usage of all tables by one of some groups of `world_size` ranks.

        Parameters
        ----------
        workload : Workload
        world_size : int
        target : Target
        replicas : int
            Groups that share the global batch.
        """
        tables = workload.tables
        batch = workload.batch_over(world_size * replicas) // replicas
        samples = batch * np.array([t.batch_factor for t in tables])
        lookups = samples * np.array([t.pooling_factor * t.coverage for t in tables])
        pooled = np.array([t.is_pooled for t in tables])
        features = np.array([t.num_outputs for t in tables], dtype=np.float64)
        weights = np.array([4.0 if t.is_weighted else 0.0 for t in tables])
        return cls(
            workload=workload,
            batch_size=batch,
            num_embeddings=np.array([t.num_embeddings for t in tables]),
            embedding_dim=np.array([t.embedding_dim for t in tables]),
            num_samples=samples,
            num_lookups=lookups,
            num_outputs=np.where(pooled, samples * features, lookups),
            num_lengths=samples * features,
            is_pooled=pooled,
            id_bytes=workload.index_bytes + weights,
            num_ranks=world_size,
            target=target,
        )

    @property
    def sample_shape(self) -> tuple[int, int]:
        """Elements and vectors of all embedding outputs of one sample.

        Notes
        -----
        A request's vector goes to each of its samples, so this is per sample of a
        table's own batch.
        """
        elements = float(self.num_outputs / self.num_samples @ self.embedding_dim)
        return int(elements), sum(table.num_outputs for table in self.workload.tables)

    @property
    def runtime(self) -> Runtime:
        """What the framework can do."""
        return RUNTIMES[self.target]

    @property
    def optimizer(self) -> Optimizer:
        """What the framework runs for the workload's optimizer."""
        wanted = self.workload.optimizer
        return self.runtime.optimizer(wanted) or wanted

    @cached_property
    def key_bytes(self) -> Floats:
        """What a shard stores beside each of its rows to find it [bytes], (T,)."""
        own = np.array([float(t.key_bytes) for t in self.workload.tables])
        ids = self.workload.index_bytes if self.runtime.keeps_keys else 0
        return np.asarray(np.maximum(own, ids))

    @cached_property
    def stored_bytes(self) -> Floats:
        """One copy of each table's rows with optimizer state [bytes], shape (T,)."""
        row = [
            float(storage.row_bytes(t.dtype, t.embedding_dim))
            + float(storage.state_bytes(self.optimizer, t.embedding_dim))
            for t in self.workload.tables
        ]
        return np.asarray(self.num_embeddings * (np.array(row) + self.key_bytes))

    @cached_property
    def dtype(self) -> Ints:
        """Row type of each table, as an index into the members of `DType`."""
        codes = {dtype: code for code, dtype in enumerate(DType)}
        return np.array([codes[t.dtype] for t in self.workload.tables])

    @property
    def pipeline_depth(self) -> int:
        """Batches whose inputs are in memory at the same time."""
        return _PIPELINE_DEPTH[self.workload.pipeline]

    def element_bytes(self, phase: Phase) -> float:
        """Bytes on the wire of an element of outputs or, backward, gradients."""
        dtypes = self.workload.comm_dtypes
        is_forward = phase is Phase.FWD_COMMS
        return storage.element_bytes(dtypes.forward if is_forward else dtypes.backward)

    def compression(self, phase: Phase) -> Compression | None:
        """Return how outputs or, backward, gradients are compressed."""
        dtypes = self.workload.comm_dtypes
        if phase is Phase.FWD_COMMS:
            return dtypes.forward_compression
        return dtypes.backward_compression

    @cached_property
    def bins(self) -> access.RowBins:
        """Access distribution of every table."""
        default = self.workload.access
        return access.row_bins(
            self.num_embeddings,
            [default if t.access is None else t.access for t in self.workload.tables],
        )

    @cached_property
    def row_heat(self) -> RowHeat:
        """How unequal the row shards of tables are."""
        return RowHeat.of(self)

    @cached_property
    def unique_rows(self) -> Floats:
        """Expected distinct rows that a step touches, shape (T,)."""
        every = np.arange(len(self.num_lookups))
        return self.unique_rows_among(every, self.num_lookups)

    def unique_rows_among(self, table: Ints, num_lookups: Floats) -> Floats:
        """Return the expected distinct rows among lookups in each of some tables.

        Notes
        -----
        Measured, where the table says so; else lookups are independent.
        """
        bins = access.RowBins(self.bins.probability[table], self.bins.num_rows[table])
        found = access.unique_rows(bins, num_lookups)
        for index in np.flatnonzero(self._has_curve[table]):
            found[index] = self._measured(int(table[index]), float(num_lookups[index]))
        return found

    @cached_property
    def _has_curve(self) -> Bools:
        return np.array([bool(t.unique_ids) for t in self.workload.tables])

    def _measured(self, table: int, num_lookups: float) -> float:
        """Different ids among lookups in a table whose curve was measured."""
        bins = access.RowBins(
            self.bins.probability[[table]], self.bins.num_rows[[table]]
        )

        def independent(lookups: float) -> float:
            return float(access.unique_rows(bins, np.array([lookups]))[0])

        points = self.workload.tables[table].unique_ids
        found = access.measured_unique(points, num_lookups, independent)
        return min(found, float(self.num_embeddings[table]))

    @property
    def sends_once(self) -> Bools:
        """Whether ranks send each different id of their batch once (T,)."""
        return ~self.is_pooled & self.workload.dedup

    @cached_property
    def num_sent(self) -> Floats:
        """Ids that ranks send and tables look up in a step, shape (T,).

        Notes
        -----
        The different ids of every rank's batch, where ranks send these once.
        """
        if not self.sends_once.any():
            return self.num_lookups
        every = np.arange(len(self.num_lookups))
        own = self.unique_rows_among(every, self.num_lookups / self.num_ranks)
        sent = np.minimum(own * self.num_ranks, self.num_lookups)
        return np.where(self.sends_once, sent, self.num_lookups)

    def hit_rate(self, table: Ints, cached: Floats) -> Floats:
        """Share of lookups that an LRU cache of a share of the rows serves.

        Parameters
        ----------
        table : int array (N,)
        cached : float array (N,)
            Cached share of each table's rows, 0 to 1.

        Notes
        -----
        Measured, where the table says so; else lookups are independent.
        """
        if not len(table):
            return np.zeros(0)
        shares = np.array(sorted(set(cached.tolist())))
        code = table * len(shares) + np.searchsorted(shares, cached)
        seen = np.zeros(len(self.num_embeddings) * len(shares), dtype=bool)
        seen[code] = True
        pairs = np.flatnonzero(seen)
        index, which = np.divmod(pairs, len(shares))
        bins = access.RowBins(self.bins.probability[index], self.bins.num_rows[index])
        rows = shares[which] * self.num_embeddings[index]
        position = np.cumsum(seen) - 1
        rates: Floats = np.array(access.lru_hit_rate(bins, rows))
        for pair, (which_table, size) in enumerate(zip(index, rows, strict=True)):
            points = self.workload.tables[which_table].miss_ratio
            if points:
                rates[pair] = 1.0 - access.measured_misses(points, size)
        found: Floats = rates[position[code]]
        return found

    def hottest_mass(self, table: Ints, share: Floats) -> Floats:
        """Share of lookups that go to the hottest `share` of the rows."""
        rows, mass = self._mass_curve

        def of_table(one: int, hot: Floats) -> Floats:
            return np.asarray(np.interp(hot, rows[one], mass[one]))

        return self._of_rows(table, share, of_table)

    def kept_mass(self, table: Ints, share: Floats) -> Floats:
        """Share of lookups that go to the `share` of the rows that a cache has kept.

        Notes
        -----
        Measured, where the table says so; else the hottest rows are taken to stay.
        """
        found = self.hottest_mass(table, share)

        def of_table(one: int, kept: Floats) -> Floats:
            points = self.workload.tables[one].miss_ratio
            return 1.0 - access.measured_misses(points, kept)

        known = self.knows_misses[table]
        found[known] = self._of_rows(table[known], share[known], of_table)
        return found

    @cached_property
    def knows_misses(self) -> Bools:
        """Whether the misses of a table's caches were measured (T,)."""
        return np.array([bool(t.miss_ratio) for t in self.workload.tables])

    def _of_rows(
        self, table: Ints, share: Floats, of_table: Callable[[int, Floats], Floats]
    ) -> Floats:
        """Apply a function of a table and of numbers of its rows, once per table."""
        rows = share * self.num_embeddings[table]
        result = np.empty(len(table))
        order = np.argsort(table, kind="stable")
        starts = np.flatnonzero(np.diff(table[order], prepend=-1))
        for some in np.split(order, starts[1:]) if len(table) else ():
            result[some] = of_table(int(table[some[0]]), rows[some])
        return result

    @cached_property
    def _mass_curve(self) -> tuple[Floats, Floats]:
        """How much of the lookups goes to how many of the hottest rows (T, B + 1)."""
        return access.mass_curve(self.bins)
