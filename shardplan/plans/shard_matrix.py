"""Shard matrices: plans as HugeCTR and its MLPerf submissions write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from shardplan.errors import InputError
from shardplan.plans.assemble import assemble_unproven
from shardplan.records.placement import ColumnBlock, TablePlacement, TierSplit
from shardplan.records.record import Flag, Integer, Record
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shardplan.plans.plan import Plan
    from shardplan.records.inputs import Inputs
    from shardplan.records.tables import EmbeddingTable

TableIndex = Annotated[Integer, Field(ge=0)]
Slices = Annotated[Integer, Field(ge=2, le=65_536)]


class ShardMatrix(Record):
    """Which tables have a row shard on which rank.

    Attributes
    ----------
    ranks : tuple of tuples of int
        For every rank, the tables (by position in the workload) of which it holds
        a row shard; a table on c ranks is cut into c equal shards.
    replicated : tuple of int
        Tables of which every rank holds a copy; `ranks` may list them or not.
    hierarchical : bool
        Partial sums are reduced inside each host before hosts exchange them; a table
        then covers whole hosts.
    column_slices : tuple of (int, int)
        Tables whose columns are cut into that many equal slices first: the ranks that
        hold the table, in ascending order, are cut into as many equal runs, and each
        run cuts the rows of its slice.

    References
    ----------
    HugeCTR, ``EmbeddingCollectionConfig.shard(shard_matrix, shard_strategy)``, and for
    slices `split_column_wise_sharding_config` (embedding_collection.cpp).
    """

    ranks: Annotated[tuple[tuple[TableIndex, ...], ...], Field(min_length=1)]
    replicated: tuple[TableIndex, ...] = ()
    hierarchical: Flag = False
    column_slices: tuple[tuple[TableIndex, Slices], ...] = ()

    @model_validator(mode="after")
    def _shards_differ(self) -> Self:
        for rank, tables in enumerate(self.ranks):
            if len(set(tables)) < len(tables):
                raise ValueError(f"rank {rank} lists a table more than once")
        sliced = [table for table, _ in self.column_slices]
        if len(set(sliced)) < len(sliced):
            raise ValueError("column_slices list a table more than once")
        return self

    @classmethod
    def of_strategy(
        cls,
        shard_matrix: Sequence[Sequence[str]],
        shard_strategy: Sequence[tuple[str, Sequence[str | Sequence[Any]]]],
        names: Sequence[str],
    ) -> Self:
        """Read the arguments of HugeCTR, as the exporter `hugectr` writes them.

        Parameters
        ----------
        shard_matrix : names of tables for each rank
        shard_strategy : pairs of ``mp`` or ``dp`` and names, or (name, slices)
        names : names of the workload's tables, in its order

        Raises
        ------
        InputError
            For a name that the workload does not have, or an unknown strategy.
        """
        index = {name: number for number, name in enumerate(names)}
        replicated, slices = [], []
        for kind, group in shard_strategy:
            if kind not in ("mp", "dp"):
                rule = "must be one of: mp, dp"
                raise InputError.single("shard matrix", "shard_strategy", kind, rule)
            for entry in group:
                name, count = (entry, 1) if isinstance(entry, str) else tuple(entry)
                table = _index(index, name)
                if kind == "dp":
                    replicated.append(table)
                if count != 1:
                    slices.append((table, count))
        return cls(
            ranks=tuple(tuple(_index(index, n) for n in held) for held in shard_matrix),
            replicated=tuple(replicated),
            column_slices=tuple(slices),
        )

    def to_plan(self, inputs: Inputs) -> Plan:
        """Return the plan that the matrix means for a workload on a cluster.

        Raises
        ------
        InputError
            If matrix, workload and topology do not fit each other.

        Notes
        -----
        A table on one rank is table_wise; on several, row_wise, and table_row_wise
        in a hierarchical plan; in slices, column_wise with one rank for each, else
        grid_shard. The plan claims no bound, and is for HugeCTR where it has slices on
        several ranks each that do not reduce in hosts.
        """
        _require_fit(self, inputs)
        tables = tuple(
            self._placement(index, table, inputs.topology.world_size)
            for index, table in enumerate(inputs.workload.tables)
        )
        return assemble_unproven(
            inputs,
            tables,
            solver="shard-matrix",
            target=self._target(tables),
            objective=Objective.STEP,
        )

    def _placement(
        self, index: int, table: EmbeddingTable, world_size: int
    ) -> TablePlacement:
        kernel, slices = ComputeKernel.FUSED, 1
        if index in self.replicated:
            ranks = tuple(range(world_size))
            kind, kernel = ShardingType.DATA_PARALLEL, ComputeKernel.DENSE
        else:
            ranks = self._holders(index)
            slices = dict(self.column_slices).get(index, 1)
            kind = self._kind(slices, len(ranks) // slices)
        width, size = table.embedding_dim // slices, len(ranks) // slices
        return TablePlacement(
            name=table.name,
            sharding_type=kind,
            compute_kernel=kernel,
            dtype=table.dtype,
            tiers=TierSplit(hbm=1.0),
            blocks=tuple(
                ColumnBlock(
                    column_offset=number * width,
                    num_columns=width,
                    ranks=ranks[number * size : (number + 1) * size],
                )
                for number in range(slices)
            ),
        )

    def _kind(self, slices: int, size: int) -> ShardingType:
        """Type of a table in slices over `size` ranks each."""
        if slices > 1:
            return ShardingType.GRID_SHARD if size > 1 else ShardingType.COLUMN_WISE
        if size == 1:
            return ShardingType.TABLE_WISE
        several = ShardingType.TABLE_ROW_WISE
        return several if self.hierarchical else ShardingType.ROW_WISE

    def _target(self, tables: tuple[TablePlacement, ...]) -> Target:
        grids = any(t.sharding_type is ShardingType.GRID_SHARD for t in tables)
        return Target.HUGECTR if grids and not self.hierarchical else Target.ANY

    def _holders(self, table: int) -> tuple[int, ...]:
        return tuple(rank for rank, held in enumerate(self.ranks) if table in held)


def _require_fit(matrix: ShardMatrix, inputs: Inputs) -> None:
    """Raise an error with the first thing that does not fit."""
    for rule in _misfits(matrix, inputs):
        raise InputError.single("shard matrix", "ranks", None, rule)


def _index(index: Mapping[str, int], name: object) -> int:
    found = index.get(name) if isinstance(name, str) else None
    if found is None:
        rule = "the workload has no such table"
        raise InputError.single("shard matrix", "shard_strategy", name, rule)
    return found


def _misfits(matrix: ShardMatrix, inputs: Inputs) -> Iterator[str]:
    world, count = inputs.topology.world_size, len(inputs.workload.tables)
    if len(matrix.ranks) != world:
        yield f"has {len(matrix.ranks)} ranks, the topology has {world}"
    placed = {table for held in matrix.ranks for table in held}
    placed |= set(matrix.replicated)
    if placed and max(placed) >= count:
        yield f"names table {max(placed)}, the workload has {count} tables"
    missing = sorted(set(range(count)) - placed)
    if missing:
        yield f"places no shard of tables {missing[:5]}"
    yield from _wrong_slices(matrix, inputs)


def _wrong_slices(matrix: ShardMatrix, inputs: Inputs) -> Iterator[str]:
    """Say where columns or ranks do not divide by the number of slices."""
    tables = inputs.workload.tables
    for index, slices in matrix.column_slices:
        if index >= len(tables):
            yield f"slices table {index}, the workload has {len(tables)} tables"
            return
        name, columns = tables[index].name, tables[index].embedding_dim
        holders = sum(index in held for held in matrix.ranks)
        if index in matrix.replicated:
            yield f"{name} is replicated, so it cannot be cut into {slices} slices"
        elif columns % slices:
            yield f"{columns} columns of {name} do not divide by {slices} slices"
        elif holders % slices:
            yield f"{holders} ranks that hold {name} do not divide by {slices} slices"
