"""What the framework that is to run a plan leaves of a table's constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.sharding import ShardingType, Target

if TYPE_CHECKING:
    from shardplan.tables import EmbeddingTable, TableConstraints

VECTOR_COLUMNS = 4
"""Column shards are multiples of this many columns (FBGEMM's vector width)."""
SEQUENCE_TYPES = (
    ShardingType.DATA_PARALLEL,
    ShardingType.TABLE_WISE,
    ShardingType.COLUMN_WISE,
    ShardingType.ROW_WISE,
)
"""How TorchRec can cut tables of sequence embeddings."""


def narrowed(
    constraints: TableConstraints, table: EmbeddingTable, target: Target
) -> TableConstraints | None:
    """Return the constraints with the framework's own; None if nothing is left.

    Notes
    -----
    TorchRec cuts sequence embeddings in four ways only, and looks up rows of a
    multiple of 4 columns only, but for `data_parallel`.
    """
    if target is not Target.TORCHREC:
        return constraints
    allowed = set(constraints.sharding_types or ShardingType)
    if not table.is_pooled:
        allowed &= set(SEQUENCE_TYPES)
    if table.embedding_dim % VECTOR_COLUMNS:
        allowed &= {ShardingType.DATA_PARALLEL}
    if not allowed:
        return None
    if allowed == set(constraints.sharding_types or ShardingType):
        return constraints
    kept = tuple(kind for kind in ShardingType if kind in allowed)
    return constraints.replace(sharding_types=kept)
