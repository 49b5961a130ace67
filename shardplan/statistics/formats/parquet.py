"""Logs in Parquet, divided by row groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.statistics.formats.columns import require_columns
from shardplan.statistics.formats.piece import PART_ROWS, LogPiece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.log_mapping import LogFormat, LogMapping
    from shardplan.statistics.formats.piece import Damage

_BUFFER_BYTES = 1 << 20
"""Of each column that are in memory at a time, as they are in the file."""
_BATCH_ROWS = 1 << 16
"""Samples that are in memory at a time."""


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield row groups, each with its share of a full part."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        meta = file.metadata
        for group in range(meta.num_row_groups):
            share = meta.row_group(group).num_rows / PART_ROWS
            yield LogPiece(path, form, group, group + 1), share


def read(piece: LogPiece, mapping: LogMapping | None, _: list[Damage]) -> Iterator[Any]:
    """Yield the columns of row groups in tables of some samples each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(piece.path, buffer_size=_BUFFER_BYTES) as file:
        names = file.schema_arrow.names
        needed = require_columns(names, mapping, piece.path) if mapping else None
        groups = list(range(piece.first, piece.last))
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=needed):
            yield pa.Table.from_batches([batch])
