"""Logs as arrays of NumPy: a row for each sample, a column for each feature.

So writes TorchRec what it makes of Criteo's logs: ``day_0_sparse.npy`` has 26 columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.statistics.formats.arrays import (
    ArrayHeader,
    StoredNumbers,
    blocks,
    read_header,
    require_ids,
)
from shardplan.statistics.formats.columns import numbered_columns, require_columns
from shardplan.statistics.formats.piece import PART_ROWS, Damage, LogPiece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.log_mapping import LogFormat, LogMapping


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield some rows after the other, each with their share of a full part."""
    with Path(path).open("rb") as file:
        header = read_header(file)
    require_ids(header)
    there = _rows_there(path, header)
    if not there:
        raise OSError(_missing(header, 0) or "has no row")
    for start, stop in blocks(0, there, PART_ROWS):
        yield LogPiece(path, form, start, stop), (stop - start) / PART_ROWS


def _rows_there(path: str, header: ArrayHeader) -> int:
    """Return how many rows a file has, which may be cut; none of cut columns."""
    found = (Path(path).stat().st_size - header.size) // header.row_bytes
    if found >= header.num_rows:
        return header.num_rows
    return 0 if header.is_fortran else found


def _missing(header: ArrayHeader, there: int) -> str:
    lost = header.num_rows - there
    return f"the file is cut: {lost:,} samples are lost" if lost else ""


def read(
    piece: LogPiece, mapping: LogMapping | None, damaged: list[Damage]
) -> Iterator[Any]:
    """Yield the columns of some rows.

    Raises
    ------
    InputError
        If the mapping names another number of columns.
    """
    import pyarrow as pa

    with Path(piece.path).open("rb") as file:
        header = read_header(file)
        width = header.width
        has = f"the array has {width}"
        names = numbered_columns(mapping, width, "sparse", has, piece.path)
        numbers = StoredNumbers(file, header.size, header.dtype)
        needed = require_columns(names, mapping, piece.path) if mapping else names
        places = [(name, names.index(name)) for name in needed]
        for start, stop in blocks(piece.first, piece.last):
            if header.is_fortran:
                size = stop - start
                at = [k * header.num_rows + start for _, k in places]
                columns = [numbers.read(first, size) for first in at]
            else:
                rows = numbers.read(start * width, (stop - start) * width)
                columns = [rows.reshape(-1, width)[:, k].copy() for _, k in places]
            yield pa.table(dict(zip(needed, columns, strict=True)))
    if piece.last == (there := _rows_there(piece.path, header)):
        reason = _missing(header, there)
        damaged += [Damage(piece.path, reason)] if reason else []
