"""Logs as zipped arrays of NumPy: one for each feature, with several ids in a row.

So are MLPerf's multi-hot logs: arrays 0 to 25 of samples x ids, not compressed.
"""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from shardplan.statistics.formats.arrays import (
    ArrayHeader,
    Numbers,
    StoredNumbers,
    blocks,
    read_header,
    require_ids,
)
from shardplan.statistics.formats.columns import require_columns
from shardplan.statistics.formats.piece import (
    PART_ROWS,
    Damage,
    LogPiece,
    reason_of,
)
from shardplan.statistics.formats.zip_members import (
    PackedNumbers,
    opened_zip,
    stored_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.log_mapping import LogFormat, LogMapping

_SUFFIX = ".npy"


class _Member(NamedTuple):
    name: str
    header: ArrayHeader
    numbers: Numbers


@contextmanager
def _members(path: str, mapping: LogMapping | None) -> Iterator[list[_Member]]:
    """Open the arrays of a file that a mapping needs; all without one.

    Raises
    ------
    OSError
        If one is damaged or no array of whole numbers, or if their rows differ.
    """
    with Path(path).open("rb") as file, opened_zip(file) as archive:
        infos = {name: info for name, info in _arrays(archive)}
        names = [name for name, _ in _arrays(archive)]
        needed = require_columns(names, mapping, path) if mapping else infos
        members = [_member(file, archive, infos[name]) for name in needed]
        rows = {member.header.num_rows for member in members}
        if len(rows) > 1:
            raise OSError(f"has arrays of different rows: {sorted(rows)}")
        yield members


def _arrays(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return the arrays of a file with their names."""
    return [
        (info.filename.removesuffix(_SUFFIX), info)
        for info in archive.infolist()
        if info.filename.endswith(_SUFFIX)
    ]


def _member(
    file: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> _Member:
    name = info.filename.removesuffix(_SUFFIX)
    member = archive.open(info)
    try:
        header = read_header(member)
        require_ids(header)
    except OSError as error:
        raise OSError(f"{info.filename} {error}") from error
    if header.is_fortran and header.width > 1:
        raise OSError(f"{info.filename} has columns one after the other, not rows")
    if header.size + header.num_rows * header.row_bytes != info.file_size:
        raise OSError(f"{info.filename} has another size than its header says")
    if info.compress_type != zipfile.ZIP_STORED:
        return _Member(name, header, PackedNumbers(member, header.dtype))
    start = stored_at(file, info) + header.size
    return _Member(name, header, StoredNumbers(file, start, header.dtype))


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield some rows after the other with their share of a full part.

    Compressed arrays are one piece: they are read from their start.
    """
    with Path(path).open("rb") as file, opened_zip(file) as archive:
        infos = [info for _, info in _arrays(archive)]
        num_rows = read_header(archive.open(infos[0])).num_rows if infos else 0
        if not num_rows:
            raise OSError("has no array with rows")
        is_packed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
    for start, stop in blocks(0, num_rows, num_rows if is_packed else PART_ROWS):
        yield LogPiece(path, form, start, stop), (stop - start) / PART_ROWS


def read(
    piece: LogPiece, mapping: LogMapping | None, damaged: list[Damage]
) -> Iterator[Any]:
    """Yield the columns of some rows, as lists where rows have several ids."""
    with _members(piece.path, mapping) as members:
        if members[0].header.num_rows < piece.last:
            raise OSError("has arrays of different rows")
        for start, stop in blocks(piece.first, piece.last):
            try:
                yield _table(members, start, stop)
            except OSError as error:
                lost = f"{piece.last - start:,} samples are lost"
                damaged.append(Damage(piece.path, f"{reason_of(error)}; {lost}"))
                return


def _table(members: list[_Member], start: int, stop: int) -> Any:
    import pyarrow as pa

    columns = {}
    for name, header, numbers in members:
        width = header.width
        ids = pa.array(numbers.read(start * width, (stop - start) * width))
        is_list = width > 1
        columns[name] = (
            pa.FixedSizeListArray.from_arrays(ids, width) if is_list else ids
        )
    return pa.table(columns)
