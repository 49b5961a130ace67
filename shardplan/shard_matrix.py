"""Shard matrices: plans as HugeCTR and its MLPerf submissions write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from shardplan.errors import InputError
from shardplan.evaluation import evaluate
from shardplan.fingerprint import fingerprints
from shardplan.plan import ColumnBlock, Inputs, Outcome, Plan, TablePlacement, TierSplit
from shardplan.record import Flag, Integer, Record
from shardplan.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.tables import EmbeddingTable

TableIndex = Annotated[Integer, Field(ge=0)]


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

    References
    ----------
    HugeCTR, ``EmbeddingCollectionConfig.shard(shard_matrix, shard_strategy)``.
    """

    ranks: Annotated[tuple[tuple[TableIndex, ...], ...], Field(min_length=1)]
    replicated: tuple[TableIndex, ...] = ()
    hierarchical: Flag = False

    @model_validator(mode="after")
    def _shards_differ(self) -> Self:
        for rank, tables in enumerate(self.ranks):
            if len(set(tables)) < len(tables):
                raise ValueError(f"rank {rank} lists a table more than once")
        return self

    def to_plan(self, inputs: Inputs) -> Plan:
        """Return the plan that the matrix means for a workload on a cluster.

        Raises
        ------
        InputError
            If matrix, workload and topology do not fit each other.

        Notes
        -----
        A table on one rank is table_wise; on several, row_wise, and table_row_wise
        in a hierarchical plan. The plan claims no bound.
        """
        _require_fit(self, inputs)
        tables = tuple(
            self._placement(index, table, inputs.topology.world_size)
            for index, table in enumerate(inputs.workload.tables)
        )
        outcome = Outcome(
            solver="shard-matrix",
            seed=0,
            status="feasible",
            objective_s=0.0,
            lower_bound_s=0.0,
            gap=None,
        )
        plan = Plan(
            schema_version=1,
            shardplan_version=VERSION,
            target=Target.ANY,
            objective=Objective.STEP,
            outcome=outcome,
            fingerprints=fingerprints(inputs),
            tables=tables,
            inputs=inputs,
        )
        value = evaluate(plan).value(Objective.STEP)
        return plan.model_copy(
            update={"outcome": outcome.model_copy(update={"objective_s": value})}
        )

    def _placement(
        self, index: int, table: EmbeddingTable, world_size: int
    ) -> TablePlacement:
        kernel = ComputeKernel.FUSED
        if index in self.replicated:
            ranks = tuple(range(world_size))
            kind, kernel = ShardingType.DATA_PARALLEL, ComputeKernel.DENSE
        else:
            ranks = self._holders(index)
            several = (
                ShardingType.TABLE_ROW_WISE
                if self.hierarchical
                else ShardingType.ROW_WISE
            )
            kind = several if len(ranks) > 1 else ShardingType.TABLE_WISE
        return TablePlacement(
            name=table.name,
            sharding_type=kind,
            compute_kernel=kernel,
            dtype=table.dtype,
            tiers=TierSplit(hbm=1.0),
            blocks=(ColumnBlock(num_columns=table.embedding_dim, ranks=ranks),),
        )

    def _holders(self, table: int) -> tuple[int, ...]:
        return tuple(rank for rank, held in enumerate(self.ranks) if table in held)


def _require_fit(matrix: ShardMatrix, inputs: Inputs) -> None:
    """Raise an error with the first thing that does not fit."""
    for rule in _misfits(matrix, inputs):
        raise InputError.single("shard matrix", "ranks", None, rule)


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
