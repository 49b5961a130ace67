"""Rows that the cells of a column look up, as a job would make them."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.errors import InputError
from shardplan.records.log_mapping import IdHash

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.arrays import Ints
    from shardplan.records.log_mapping import LogFeature


class Ids(NamedTuple):
    """Lookups of a column.

    Attributes
    ----------
    ids : int array of shape (N,)
        Sample by sample.
    lengths : int array of shape (S,)
        Lookups of each sample, 0 where its cell is empty.
    unreadable : int
        Ids that are no number, or none that the hash function takes; left out.
    text : str
        The first of these, where no id is a number and no hash function is named.
    """

    ids: Ints
    lengths: Ints
    unreadable: int
    text: str = ""


def column_ids(column: Any, feature: LogFeature, num_rows: int, where: str) -> Ids:
    """Return the rows that a column looks up.

    Parameters
    ----------
    column : pyarrow.Array of S whole numbers, texts, or lists of either
        Text may be bytes, which need not be UTF-8.
    feature : LogFeature
    num_rows : int
        Rows of its table: hashes are taken modulo these.
    where : str
        How messages name the file.

    Raises
    ------
    InputError
        For a column of another type, and for a separator of what is no text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain_values(column)
    if feature.separator and len(column) > column.null_count:
        if not pa.types.is_large_binary(column.type):
            rule = f"{feature.column} has {column.type}, which no separator divides"
            raise InputError.single(where, "separator", feature.separator, rule)
        column = pc.split_pattern(
            pc.if_else(pc.equal(column, b""), None, column), feature.separator
        )
    if is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        values = plain_values(column.flatten())
    else:
        lengths = column.is_valid()
        values = column.drop_null() if column.null_count else column
    counts = as_array(lengths).astype(np.int64)
    rows, readable = _rows(values, feature, num_rows, where)
    if readable.all():
        return Ids(rows, counts, 0)
    text = "" if readable.any() or feature.hash else _first_text(values)
    sample = np.repeat(np.arange(len(counts)), counts)[readable]
    counts = np.bincount(sample, minlength=len(counts))
    return Ids(rows[readable], counts, int((~readable).sum()), text)


def _first_text(values: Any) -> str:
    """Return the first text of what is no number; empty if there is none."""
    import pyarrow as pa

    values = values.drop_null()
    if not len(values) or not pa.types.is_large_binary(values.type):
        return ""
    return repr(values[0].as_py().decode(errors="replace"))


def in_range(found: Ids, num_rows: int) -> tuple[Ids, int]:
    """Return the lookups of rows that a table has, and the number of the others."""
    ids, lengths = found.ids, found.lengths
    valid = (ids >= 0) & (ids < num_rows)
    others = len(ids) - int(valid.sum())
    if not others:
        return found, 0
    sample = np.repeat(np.arange(len(lengths)), lengths)[valid]
    left = np.bincount(sample, minlength=len(lengths))
    return found._replace(ids=ids[valid], lengths=left), others


def as_array(values: Any) -> np.ndarray:
    """Return numbers or truth values without nulls.

    By DLPack: PyArrow's ``to_numpy`` imports pandas, which takes half a second.
    """
    import pyarrow as pa

    if pa.types.is_boolean(values.type):
        return np.from_dlpack(values.cast(pa.uint8())).astype(bool)
    return np.from_dlpack(values)


def is_list(kind: Any) -> bool:
    """Tell whether a type of a column has several values in a cell."""
    from pyarrow import types

    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
    )


def plain_values(values: Any) -> Any:
    """Return values without a dictionary, and text as bytes: files have any text."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(pa.int64())
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        # PyArrow 16 casts views to nothing.
        return pa.array(values.to_pylist(), pa.large_binary())
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return values.cast(pa.large_binary()) if any(t(kind) for t in texts) else values


def _rows(
    values: Any, feature: LogFeature, num_rows: int, where: str
) -> tuple[Ints, np.ndarray]:
    """Return the row of every value, and which could be read."""
    import pyarrow as pa

    if values.null_count:
        return _with_gaps(values, feature, num_rows, where)
    kind = values.type
    if pa.types.is_integer(kind):
        found = as_array(values)
        return _hashed_numbers(found, feature, num_rows, where)
    if pa.types.is_large_binary(kind):
        return _of_texts(values, feature, num_rows)
    rule = "must be whole numbers or text, one or a list in each sample"
    raise InputError.single(where, feature.column, str(kind), rule)


def _with_gaps(
    values: Any, feature: LogFeature, num_rows: int, where: str
) -> tuple[Ints, np.ndarray]:
    """Read lists with nulls in them: a null is an id that cannot be read."""
    mask = as_array(values.is_valid())
    rows = np.zeros(len(mask), dtype=np.int64)
    rows[mask], readable = _rows(values.drop_null(), feature, num_rows, where)
    mask[mask] = readable
    return rows, mask


def _hashed_numbers(
    found: np.ndarray, feature: LogFeature, num_rows: int, where: str
) -> tuple[Ints, np.ndarray]:
    if feature.hash is IdHash.MODULO:
        # Modulo first: ids from 2^63 on are negative as signed numbers.
        wide = np.uint64 if found.dtype.kind == "u" else np.int64
        found = found.astype(wide) % wide(num_rows)
    elif feature.hash is not None:
        rule = "are whole numbers: hash = 'modulo', or none, is for these"
        raise InputError.single(where, feature.column, feature.hash.value, rule)
    return found.astype(np.int64), np.ones(len(found), dtype=bool)


_NUMBER = {None: r"^[+-]?[0-9]{1,18}$", IdHash.MODULO: r"^[+-]?[0-9]{1,18}$"}
_HEX = r"^[0-9a-fA-F]{1,15}$"


def _of_texts(
    values: Any, feature: LogFeature, num_rows: int
) -> tuple[Ints, np.ndarray]:
    """Convert every distinct text once."""
    import pyarrow.compute as pc

    coded = values.dictionary_encode()
    texts = coded.dictionary
    place = as_array(coded.indices)
    pattern = _HEX if feature.hash is IdHash.HEX else _NUMBER.get(feature.hash)
    if pattern is None:
        rows = _hashes(texts.to_pylist(), feature) % np.uint64(num_rows)
        return rows.astype(np.int64)[place], np.ones(len(place), dtype=bool)
    readable = as_array(pc.match_substring_regex(texts, pattern))
    base = 16 if feature.hash is IdHash.HEX else 10
    rows = np.array(
        [
            int(t, base) if ok else 0
            for t, ok in zip(texts.to_pylist(), readable, strict=True)
        ],
        dtype=np.int64,
    )
    if feature.hash is not None:
        rows %= num_rows
    return rows[place], readable[place]


def _hashes(texts: list[bytes], feature: LogFeature) -> np.ndarray:
    function = _function(feature)
    found = (function(text, feature.seed) for text in texts)
    return np.fromiter(found, dtype=np.uint64, count=len(texts))


def _function(feature: LogFeature) -> Callable[[bytes, int], int]:
    """Return the function of a name.

    Raises
    ------
    InputError
        If its library is not installed.
    """
    if feature.hash is IdHash.CRC32:
        return zlib.crc32
    if feature.hash is IdHash.MD5:
        return lambda text, _: int.from_bytes(
            hashlib.md5(text, usedforsecurity=False).digest()[:8], "little"
        )
    library = "mmh3" if feature.hash is IdHash.MURMUR3 else "xxhash"
    try:
        if feature.hash is IdHash.MURMUR3:
            from mmh3 import hash as murmur3

            return lambda text, seed: murmur3(text, seed, signed=False)
        from xxhash import xxh64_intdigest

        return lambda text, seed: xxh64_intdigest(text, seed=seed)
    except ImportError as error:
        rule = f"needs {library}: pip install {library}"
        raise InputError.single("mapping", "hash", str(feature.hash), rule) from error
