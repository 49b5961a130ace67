"""Logs in libffm's text: ``label field:feature:value ...``.

A field is a column; its features are ids, several in a sample where it comes again.

References
----------
Juan, Zhuang, Chin, Lin 2016, Field-aware Factorization Machines, RecSys; the format is
that of github.com/ycjuan/libffm and of xLearn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.errors import InputError
from shardplan.statistics.formats.piece import PART_BYTES, Damage, LogPiece
from shardplan.statistics.formats.text_stream import TextStream
from shardplan.statistics.ids import as_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.log_mapping import LogFormat, LogMapping


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield the whole file with its share of a full part."""
    yield LogPiece(path, form), Path(path).stat().st_size / PART_BYTES


def read(
    piece: LogPiece, mapping: LogMapping | None, damaged: list[Damage]
) -> Iterator[Any]:
    """Yield lists of the features of fields, as text; without a mapping of all fields.

    Lines of another form are left out. A field that no line has is named.

    Raises
    ------
    InputError
        If a column is no number.
    """
    needed = mapping.needed_columns() if mapping else None
    for name in needed or ():
        if not name.isdecimal():
            rule = "columns of libffm are the numbers of fields"
            raise InputError.single(piece.path, name, None, rule)
    wrong, seen = 0, set()
    with TextStream(piece.path, has_quotes=False) as stream:
        for block in stream:
            lines = _Lines(block)
            wrong += lines.wrong
            seen |= set(lines.fields())
            yield lines.table(needed) if needed else lines.guessed()
        reasons = [*stream.reasons()]
    if wrong:
        reasons.append(f"{wrong} lines that are no label field:feature:value ...")
    if not seen and not reasons:
        reasons.append("has no line")
    elif seen:
        missing = [name for name in needed or () if name not in seen]
        reasons += [f"no line has field {name}" for name in missing]
    damaged += [Damage(piece.path, reason) for reason in reasons]


class _Lines:
    """Lines of a block.

    Attributes
    ----------
    wrong : int
        Lines that are left out.
    """

    def __init__(self, block: bytes) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        lines = pa.array(block.splitlines(), pa.string())
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(lines))
        words = words.filter(pc.greater(pc.utf8_length(lines), 0))
        counts = as_array(pc.list_value_length(words))
        sample = np.repeat(np.arange(len(counts)), counts)
        is_label = np.diff(sample, prepend=-1) > 0
        each = pc.split_pattern(words.flatten(), ":")
        sizes = as_array(pc.list_value_length(each))
        is_wrong = sizes != np.where(is_label, 1, 3)
        good = np.bincount(sample[is_wrong], minlength=len(counts)) == 0
        kept = good[sample] & ~is_label
        parts = each.filter(pa.array(kept)).flatten()
        at = pa.array(np.arange(0, len(parts), 3))
        fields = pc.take(parts, at).dictionary_encode()
        self.wrong = int(np.count_nonzero(~good))
        self._names = fields.dictionary.to_pylist()
        self._field = as_array(fields.indices)
        self._feature = pc.take(parts, pc.add(at, 1))
        self._sample = (np.cumsum(good) - 1)[sample[kept]]
        self._size = int(np.count_nonzero(good))

    def fields(self) -> list[str]:
        """Return the fields that lines have, in the order of their numbers."""
        return sorted(self._names, key=lambda name: (len(name), name))

    def table(self, names: Sequence[str]) -> Any:
        """Return lists of the features of some fields."""
        import pyarrow as pa

        return pa.table({name: self._features(name) for name in names})

    def guessed(self) -> Any:
        """Return lists of the features of all fields, as numbers where they can be."""
        import pyarrow as pa

        found = self.table(self.fields())
        columns = {}
        for name in found.column_names:
            try:
                columns[name] = found[name].cast(pa.list_(pa.int64()))
            except pa.ArrowInvalid:
                columns[name] = found[name]
        return pa.table(columns)

    def _features(self, name: str) -> Any:
        import pyarrow as pa

        place = self._names.index(name) if name in self._names else -1
        chosen = self._field == place
        lengths = np.bincount(self._sample[chosen], minlength=self._size)
        ends = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
        return pa.ListArray.from_arrays(ends, self._feature.filter(pa.array(chosen)))
