"""Rows of cells, as a training job would make them."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from shardplan.errors import InputError
from shardplan.records.log_mapping import IdHash, LogFeature
from shardplan.statistics.ids import column_ids

pa = pytest.importorskip("pyarrow")


def ids_of(
    values: list[Any], kind: Any = None, rows: int = 100, **feature: Any
) -> tuple[list[int], list[int], int]:
    made = LogFeature(column="c", table="t", **feature)
    found = column_ids(pa.array(values, kind), made, rows, "log.parquet")
    return found.ids.tolist(), found.lengths.tolist(), found.unreadable


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, None, 5], ([3, 5], [1, 0, 1], 0)),
        ([[1, 2], None, [], [7]], ([1, 2, 7], [2, 0, 0, 1], 0)),
        ([[1, None], [2]], ([1, 2], [1, 1], 1)),
        (["3", None, "x", "-4"], ([3, -4], [1, 0, 0, 1], 1)),
        ([], ([], [], 0)),
    ],
)
def test_numbers(values: list[Any], expected: object) -> None:
    """One or a list in each sample; what is no number is counted."""
    kind = pa.int64() if not values else None
    assert ids_of(values, kind) == expected


def test_other_types_of_the_same() -> None:
    """Unsigned, dictionaries, and large lists."""
    assert ids_of([1, 2], pa.uint32())[0] == [1, 2]
    assert ids_of([[1], [2, 3]], pa.large_list(pa.int32()))[:2] == ([1, 2, 3], [1, 2])
    coded = pa.array(["7", "8", "7"]).dictionary_encode()
    found = column_ids(coded, LogFeature(column="c", table="t"), 10, "log")
    assert found.ids.tolist() == [7, 8, 7]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), ([1, 2, 3, 4], [2, 2])),
        (pa.nulls(2), ([], [0, 0])),
        (pa.array([b"7", b"\xff"]), ([7], [1, 0])),
        (pa.array(["7", "8"], pa.string_view()), ([7, 8], [1, 1])),
        (
            pa.ListArray.from_arrays(
                [0, 2, 3], pa.array(["5", "6", "5"]).dictionary_encode()
            ),
            ([5, 6, 5], [2, 1]),
        ),
    ],
)
def test_types_that_files_have(column: Any, expected: object) -> None:
    """Lists of one size, nothing at all, bytes, views, dictionaries in lists."""
    found = column_ids(column, LogFeature(column="c", table="t"), 10, "log")
    assert (found.ids.tolist(), found.lengths.tolist()) == expected


def test_large_unsigned_numbers() -> None:
    """Taken modulo the rows as they are; without that they are out of range."""
    big = 2**64 - 1
    assert ids_of([big], pa.uint64(), hash="modulo")[0] == [big % 100]
    assert ids_of([big], pa.uint64())[0] == [-1]


def test_text_that_is_not_utf_8() -> None:
    """Its bytes are hashed."""
    made = LogFeature(column="c", table="t", hash=IdHash.CRC32)
    wrong = pa.array([b"\xff1"])
    text = pa.Array.from_buffers(pa.string(), 1, wrong.buffers())
    found = column_ids(text, made, 100, "log")
    assert found.ids.tolist() == [zlib.crc32(b"\xff1") % 100]


def test_a_cell_with_several() -> None:
    """Split at the separator; an empty cell has none."""
    found = ids_of(["1|2", "", "5", "6|x"], separator="|")
    assert found == ([1, 2, 5, 6], [2, 0, 1, 1], 1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ({"hash": "hex"}, [0x1A % 100, 0xFF % 100]),
        ({"hash": "crc32"}, [zlib.crc32(b"1a") % 100, zlib.crc32(b"ff") % 100]),
        ({"hash": "md5"}, None),
        ({"hash": "murmur3_32", "seed": 3}, None),
        ({"hash": "xxh64", "seed": 7}, None),
    ],
)
def test_hashes(function: dict[str, Any], expected: list[int] | None) -> None:
    """Modulo the rows of the table, as the libraries give them."""
    import hashlib

    import mmh3
    import xxhash

    if function["hash"] == "md5":
        expected = [
            int.from_bytes(hashlib.md5(t, usedforsecurity=False).digest()[:8], "little")
            % 100
            for t in (b"1a", b"ff")
        ]
    if function["hash"] == "murmur3_32":
        expected = [mmh3.hash(t, 3, signed=False) % 100 for t in ("1a", "ff")]
    if function["hash"] == "xxh64":
        expected = [xxhash.xxh64_intdigest(t, seed=7) % 100 for t in (b"1a", b"ff")]
    assert ids_of(["1a", "ff"], **function)[0] == expected


def test_numbers_modulo() -> None:
    """Of whole numbers and of text, below 0 as in Python."""
    assert ids_of([105, -1], hash="modulo")[0] == [5, 99]
    assert ids_of(["105", "-1"], hash="modulo")[0] == [5, 99]


@pytest.mark.parametrize(
    ("values", "text"),
    [(["a", "b"], "'a'"), (["1", "b"], ""), ([[None], ["x"]], "'x'"), ([[None]], "")],
)
def test_the_first_text_of_no_number(values: list[Any], text: str) -> None:
    """Where there is no number at all."""
    feature = LogFeature(column="c", table="t")
    assert column_ids(pa.array(values), feature, 10, "log").text == text


@pytest.mark.parametrize(
    ("values", "feature", "rule"),
    [
        ([1, 2], {"hash": "md5"}, "hash = 'modulo', or none"),
        ([1.5], {}, "must be whole numbers or text"),
        ([True], {}, "must be whole numbers or text"),
    ],
)
def test_refused(values: list[Any], feature: dict[str, Any], rule: str) -> None:
    """With the file, the column and what to do."""
    with pytest.raises(InputError, match=rule) as caught:
        ids_of(values, **feature)
    assert "log.parquet: c" in str(caught.value)


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with how to install it."""
    import sys

    monkeypatch.setitem(sys.modules, "mmh3", None)
    with pytest.raises(InputError, match="pip install mmh3"):
        ids_of(["a"], hash="murmur3_32")
