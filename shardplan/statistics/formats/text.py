"""Logs in CSV and TSV, and in that of Criteo."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.records.log_mapping import CRITEO_COLUMNS, LogFormat
from shardplan.statistics.formats.columns import require_columns
from shardplan.statistics.formats.piece import PART_BYTES, Damage, LogPiece
from shardplan.statistics.formats.text_stream import TextStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping

_DELIMITERS = {LogFormat.CSV: ",", LogFormat.TSV: "\t", LogFormat.CRITEO: "\t"}
_MOST_CUTS = 2048
"""Cuts of a block that look for the lines which cannot be read."""
_CRITEO_LINE = re.compile(rb"[01](\t(-?\d+)?){13}(\t([0-9a-f]{8})?){26}")
_FIRST_LINES = 100


def is_criteo(path: str) -> bool:
    """Tell whether the first lines of a file are a label, 13 numbers and 26 hashes."""
    with TextStream(path, has_quotes=False) as stream:
        lines = next(iter(stream), b"").splitlines()[:_FIRST_LINES]
    return bool(lines) and all(map(_CRITEO_LINE.fullmatch, lines))


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield the whole file with its share of a full part."""
    yield LogPiece(path, form), Path(path).stat().st_size / PART_BYTES


def read(
    piece: LogPiece, mapping: LogMapping | None, damaged: list[Damage]
) -> Iterator[Any]:
    """Yield columns as text, and the time in the type that its first block has.

    Without a mapping all columns in guessed types. Lines of another number of columns
    are left out.
    """
    has_quotes = piece.format is not LogFormat.CRITEO
    with TextStream(piece.path, has_quotes=has_quotes) as stream:
        rows = _Rows(piece, mapping)
        try:
            for block in stream:
                yield from rows.tables(block)
        except csv.Error as error:
            damaged.append(Damage(piece.path, f"the first line is no header: {error}"))
        finally:
            reasons = [*rows.reasons(), *stream.reasons()]
            if not reasons and not rows.names:
                reasons = ["has no line"]
            damaged += [Damage(piece.path, reason) for reason in reasons]


class _Rows:
    """Lines of a file as tables.

    PyArrow reads each block from memory of its own: its threads read ahead while the
    interpreter ends, and may not ask that for anything.

    Attributes
    ----------
    names : sequence of str
        Columns of the file; empty as long as no line said them.
    """

    def __init__(self, piece: LogPiece, mapping: LogMapping | None) -> None:
        self.names: Sequence[str] = mapping.columns if mapping else ()
        if piece.format is LogFormat.CRITEO:
            self.names = CRITEO_COLUMNS
        self._piece = piece
        self._mapping = mapping
        self._time_type: Any = None
        self._wrong = 0
        self._unreadable = 0
        self._cuts = 0

    def reasons(self) -> Iterator[str]:
        """Yield which lines were left out, and why."""
        if self._wrong:
            yield f"{self._wrong} lines with another number of columns"
        if self._unreadable and self._mapping:
            name, kind = self._mapping.time, self._time_type
            yield f"{self._unreadable} lines whose {name} is no {kind}"

    def tables(self, block: bytes) -> Iterator[Any]:
        """Yield the lines of a block, the first of which may be a header."""
        if not self.names:
            self.names, size = _header(block, _DELIMITERS[self._piece.format])
            block = block[size:]
        if self.names and self._mapping:
            require_columns(self.names, self._mapping, self._piece.path)
        self._cuts = 0
        if block:
            yield from self._halves(block)

    def _halves(self, block: bytes) -> Iterator[Any]:
        """Yield what can be read of a block, cut until wrong lines are alone."""
        import pyarrow as pa

        try:
            found = self._table(block)
        except pa.ArrowInvalid:
            middle = block.rfind(b"\n", 0, len(block) // 2) + 1
            middle = middle or block.find(b"\n") + 1
            self._cuts += 1
            if middle in (0, len(block)) or self._cuts > _MOST_CUTS:
                self._unreadable += len(block.splitlines())
                return
            yield from self._halves(block[:middle])
            yield from self._halves(block[middle:])
            return
        yield found

    def _table(self, block: bytes) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow

        text = pa.allocate_buffer(len(block))
        memoryview(text).cast("B")[:] = block
        wrong = 0

        def skip(_: Any) -> str:
            nonlocal wrong
            wrong += 1
            return "skip"

        is_criteo = self._piece.format is LogFormat.CRITEO
        found = arrow.read_csv(
            pa.BufferReader(text),
            arrow.ReadOptions(
                use_threads=False,
                block_size=len(block),
                column_names=list(self.names),
            ),
            arrow.ParseOptions(
                delimiter=_DELIMITERS[self._piece.format],
                quote_char=False if is_criteo else '"',
                newlines_in_values=not is_criteo,
                invalid_row_handler=skip,
            ),
            self._types(),
        )
        self._wrong += wrong
        if self._mapping and (time := self._mapping.time):
            kind = found.schema.field(time).type
            self._time_type = None if pa.types.is_null(kind) else kind
        return found

    def _types(self) -> Any:
        """Read all but the time as it is written: what is no id is then counted."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        if not self._mapping:
            return None
        needed = self._mapping.needed_columns()
        types = dict.fromkeys(needed, pa.binary())
        if self._mapping.time:
            types.pop(self._mapping.time)
            if self._time_type is not None:
                types[self._mapping.time] = self._time_type
        return arrow.ConvertOptions(
            column_types=types,
            include_columns=needed,
            null_values=[""],
            strings_can_be_null=True,
        )


def _header(block: bytes, delimiter: str) -> tuple[list[str], int]:
    """Return the names in the first line that has any, and the bytes up to its end."""
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        for line in io.TextIOWrapper(io.BytesIO(block), "utf-8", newline=""):
            size += len(line.encode())
            yield line

    rows = csv.reader(lines(), delimiter=delimiter)
    names = next((names for names in rows if names), [])
    return names, size
