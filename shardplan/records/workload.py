"""The workload record: batch, optimizer, dense layers and embedding tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from shardplan.records import contradictions
from shardplan.records.brief import Brief
from shardplan.records.dense import DenseModel as DenseModel
from shardplan.records.memo import by_identity
from shardplan.records.optimizers import Optimizer as Optimizer
from shardplan.records.quantity import Quantity
from shardplan.records.record import (
    Bytes,
    Flag,
    Name,
    Number,
    Record,
    SchemaVersion,
)
from shardplan.records.row_heat import RowRouting
from shardplan.records.tables import (
    AccessDistribution,
    DType,
    EmbeddingTable,
    StoredDType,
    TableConstraints,
    UniformAccess,
)
from shardplan.records.torchrec_modules import broken_rules
from shardplan.records.training_run import TrainingRun
from shardplan.units import Dimension, plural

if TYPE_CHECKING:
    from shardplan.records.layers import SequenceAxis


class Pipeline(StrEnum):
    """How far the next batches run ahead; the names follow TorchRec's pipelines."""

    NONE = "none"
    SPARSE_DIST = "sparse_dist"
    PREFETCH_SPARSE_DIST = "prefetch_sparse_dist"


class Compression(Record):
    """Exchanges in which values near zero are left out.

    Attributes
    ----------
    method : str
        ``dct`` (dynamic communication thresholding) or ``top_k``; a name only, the
        numbers below say what it does.
    ratio : float
        Bytes of the plain form over those on the wire, positions included.
    threshold_bytes : int
        Shards whose whole message of a step is smaller send the plain form [bytes].
    passes : float
        Times that the plain form moves through device memory to be encoded and
        decoded.
    """

    method: Literal["dct", "top_k"]
    ratio: Annotated[Number, Field(gt=1, le=1e6)]
    threshold_bytes: Bytes = 0
    passes: Annotated[Number, Field(ge=0, le=1000)] = 4.0


class CommDtypes(Record):
    """Element types on the wire, and compression of all-to-alls.

    Attributes
    ----------
    forward, backward, dense : DType
        Of outputs, their gradients, and gradients of dense weights.
    forward_compression, backward_compression : Compression or None
        Of outputs and gradients that go by all-to-all; used where it pays.
    """

    forward: StoredDType = DType.FP32
    backward: StoredDType = DType.FP32
    dense: StoredDType = DType.FP32
    forward_compression: Compression | None = None
    backward_compression: Compression | None = None


IndexBytes = Annotated[Literal[4, 8], Quantity()]
MAX_TABLES = 1_000_000
_LENGTH_TOLERANCE = 1e-3  # lengths are printed with a few digits
BatchSize = Annotated[int, Field(ge=1, le=2**31), Quantity(Dimension.COUNT)]
Groups = tuple[Annotated[tuple[Name, ...], Field(min_length=2)], ...]


class Workload(Brief, Record):
    """A model's embedding tables and how a training step uses them.

    Attributes
    ----------
    global_batch_size, batch_size : int
        Samples per step over all ranks, or per rank; exactly one is given.
    access : AccessDistribution
        Default for the tables that give none.
    row_routing : RowRouting or None
        Default for the tables that say nothing of the heat of their rows; None: row
        shards are equally hot.
    constraints : TableConstraints
        Default for every field that a table's own constraints do not set.
    colocate : tuple of tuples of str
        Tables of a group have the same set of ranks.
    separate : tuple of tuples of str
        No rank holds shards of two tables of a group.
    index_bytes : int
        Bytes of an id on the wire and in the lookup, 4 or 8; ids are signed, so 4
        reach 2^31 rows.
    dedup : bool
        Ranks send each id of their batch once, to tables that are not pooled
        (TorchRec's `use_index_dedup`).
    run : TrainingRun or None
        The run around the steps, so that time to the target can be told.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    sources: tuple[str, ...] = ()
    global_batch_size: BatchSize | None = None
    batch_size: BatchSize | None = None
    optimizer: Optimizer = Optimizer.ROWWISE_ADAGRAD
    pipeline: Pipeline = Pipeline.SPARSE_DIST
    index_bytes: IndexBytes = 8
    dedup: Flag = False
    comm_dtypes: CommDtypes = CommDtypes()
    dense: DenseModel = DenseModel()
    access: AccessDistribution = UniformAccess()
    row_routing: RowRouting | None = None
    constraints: TableConstraints = TableConstraints()
    colocate: Groups = ()
    separate: Groups = ()
    run: TrainingRun | None = None
    tables: Annotated[
        tuple[EmbeddingTable, ...], Field(min_length=1, max_length=MAX_TABLES)
    ]

    @field_validator("tables")
    @classmethod
    def _names_are_unique(
        cls, tables: tuple[EmbeddingTable, ...]
    ) -> tuple[EmbeddingTable, ...]:
        counts = Counter(table.name for table in tables)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f"table names must be unique; repeated: {twice[:10]}")
        return tables

    @model_validator(mode="after")
    def _is_consistent(self) -> Workload:
        if (self.global_batch_size is None) == (self.batch_size is None):
            raise ValueError("give exactly one of global_batch_size and batch_size")
        known = {table.name for table in self.tables}
        for kind in ("colocate", "separate"):
            for group in getattr(self, kind):
                unknown = [name for name in group if name not in known]
                if unknown:
                    raise ValueError(f"{kind} names unknown tables: {unknown[:10]}")
        return self

    @model_validator(mode="after")
    def _ids_reach_all_rows(self) -> Workload:
        reach = 2 ** (8 * self.index_bytes - 1)
        beyond = [t.name for t in self.tables if t.num_embeddings > reach]
        if beyond:
            raise ValueError(
                f"signed ids of index_bytes = {self.index_bytes} reach {reach:,} rows; "
                f"set index_bytes = 8 for {beyond[:10]}"
            )
        return self

    @model_validator(mode="after")
    def _modules_can_exist(self) -> Workload:
        if any(table.torchrec is not None for table in self.tables):
            members = ((table.torchrec_module, table) for table in self.tables)
            found = list(broken_rules(members))
            if found:
                raise ValueError("; ".join(found[:10]))
        return self

    @model_validator(mode="after")
    def _sequences_fit(self) -> Workload:
        tables = {table.name: table for table in self.tables}
        users: dict[str, list[SequenceAxis]] = defaultdict(list)
        for sequence in self.dense.sequences:
            for name in sequence.tables:
                if name not in tables:
                    raise ValueError(
                        f"sequence {sequence.name!r} names unknown table {name!r}"
                    )
                users[name].append(sequence)
        for name, sequences in users.items():
            _require_tokens(tables[name], sequences)
        return self

    @model_validator(mode="after")
    def _constraints_can_be_met(self) -> Workload:
        limited = {t.name: self.table_constraints(t) for t in self.tables}
        has_default = bool(self.constraints.model_fields_set)
        found = [
            f"table {table.name!r}: {text}"
            for table in self.tables
            if has_default or table.constraints.model_fields_set
            for text in contradictions.of_table(table, limited[table.name])
        ]
        found += contradictions.of_groups(self.colocate, self.separate, limited)
        if found:
            more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
            raise ValueError(f"contradiction: {'; '.join(found[:10])}{more}")
        return self

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        batch = f"{self.batch_size:,} samples per rank" if self.batch_size else ""
        if self.global_batch_size:
            batch = f"{self.global_batch_size:,} samples per step"
        tables = plural(len(self.tables), "table")
        return {"name": self.name, "tables": tables, "batch": batch}

    def batch_over(self, world_size: int) -> int:
        """Return the global batch size [samples] for `world_size` ranks."""
        if self.global_batch_size is not None:
            return self.global_batch_size
        assert self.batch_size is not None
        return self.batch_size * world_size

    def routing(self, table: EmbeddingTable) -> RowRouting | None:
        """Return where the popular rows of a table are; None if that is not needed.

        Measured heat goes before the workload's default.
        """
        is_measured = bool(table.block_heat) or table.row_skew is not None
        return None if is_measured else table.row_routing or self.row_routing

    def table_constraints(self, table: EmbeddingTable) -> TableConstraints:
        """Return the table's constraints with the workload's as default."""
        known = _limits(self).get(id(table))
        return known or table.constraints.over(self.constraints)


def _require_tokens(table: EmbeddingTable, sequences: list[SequenceAxis]) -> None:
    """Raise ValueError unless each token of some sequences has a vector of a table."""
    names = " and ".join(repr(sequence.name) for sequence in sequences)
    if table.is_pooled:
        raise ValueError(
            f"table {table.name!r} is pooled, so it has no vector for each token of "
            f"sequence {names}; set is_pooled = false, or leave the table out of tables"
        )
    wanted = sum(sequence.mean - sequence.context for sequence in sequences)
    lookups = table.pooling_factor * table.coverage * table.batch_factor
    if abs(lookups - wanted) > _LENGTH_TOLERANCE * wanted:
        raise ValueError(
            f"table {table.name!r} has {lookups:g} lookups per sample "
            f"(pooling_factor * coverage * batch_factor), but there are {wanted:g} "
            f"tokens without context in sequence {names}; set pooling_factor to them, "
            "or leave the table out of tables"
        )


@by_identity
def _limits(workload: Workload) -> dict[int, TableConstraints]:
    """Constraints of a workload's own tables, by identity: each is asked for often."""
    default = workload.constraints
    return {id(table): table.constraints.over(default) for table in workload.tables}
