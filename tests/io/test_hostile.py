"""Files made to do harm: each is refused with a message, in time and memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shardplan.errors import InputError
from shardplan.io.catalog import load_topology, load_workload
from shardplan.io.json_file import read_json
from shardplan.io.nesting import MAX_DEPTH
from shardplan.io.table_file import read_tables
from shardplan.records.placement import Ranks, parse_ranks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NESTED: dict[str, Callable[[int], str]] = {
    "tables.toml": lambda depth: "[" + ".".join(["a"] * depth) + "]\nx = 1",
    "keys.toml": lambda depth: " . ".join(["a"] * depth) + " = 1",
    "quoted.toml": lambda depth: ".".join(['"a b"', "'a.b'"] * (depth // 2)) + "=1",
    "lists.toml": lambda depth: "a = " + "[" * depth + "]" * depth,
    "inline.toml": lambda depth: "a = " + "{a = " * depth + "1" + "}" * depth,
    "lists.json": lambda depth: "[" * depth + "]" * depth,
    "objects.json": lambda depth: '{"a":' * depth + "1" + "}" * depth,
}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 2 * MAX_DEPTH])
@pytest.mark.parametrize("name", NESTED)
def test_deep_files_are_refused(tmp_path: Path, name: str, depth: int) -> None:
    """However the nesting is written."""
    path = tmp_path / name
    path.write_text(NESTED[name](depth))
    with pytest.raises(InputError, match="nested too deeply"):
        load_topology(path)


@pytest.mark.parametrize("name", NESTED)
def test_what_is_not_deep_is_read(tmp_path: Path, name: str) -> None:
    """At half the depth the message is about what the file says."""
    path = tmp_path / name
    path.write_text(NESTED[name](MAX_DEPTH // 2))
    with pytest.raises(InputError) as caught:
        load_topology(path)
    assert "nested" not in str(caught.value)


def test_text_with_dots_is_no_key(tmp_path: Path) -> None:
    """Numbers, sentences and ellipses are not taken for dotted keys."""
    path = tmp_path / "a.toml"
    points = ", ".join(f"[0.{n:03d}, 0.{n:03d}]" for n in range(1, 500))
    path.write_text(
        "schema_version = 1\nname = 'w'\nbatch_size = 1\n"
        f"description = '{'so. ' * 20}{'.' * 200}'\n"
        f"access = {{kind = 'cdf', points = [{points}]}}\n"
        "tables = [{name = 'a.b', num_embeddings = 1, embedding_dim = 1}]\n"
    )
    assert load_workload(path).tables[0].name == "a.b"


class CountedKey(str):
    """A key that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedKey.compared += 1
        return str.__eq__(self, str(other))

    __hash__ = str.__hash__


def test_the_key_that_is_twice_is_found_in_linear_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of 20,000 keys is about theirs, not that of their pairs."""
    number = 20_000
    path = tmp_path / "a.json"
    pairs = ",".join(f'"k{n}": 1' for n in [*range(number), number - 1])
    path.write_text(f"{{{pairs}}}")
    load = json.loads

    def counted(text: str, object_pairs_hook: Callable[..., Any]) -> Any:
        return load(
            text,
            object_pairs_hook=lambda found: object_pairs_hook(
                [(CountedKey(key), value) for key, value in found]
            ),
        )

    monkeypatch.setattr("shardplan.io.json_file.json.loads", counted)
    with pytest.raises(InputError, match=f"key 'k{number - 1}' occurs twice"):
        read_json(path, "a.json")
    assert 0 < CountedKey.compared < 10 * number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",".join(["0-65535"] * 20), "more than 65536 ranks"),
        ("0," * 65_536 + "0", "more than 65536 ranks"),
        ("0-65536", "end below 65536"),
        ("9" * 5000, "end below 65536"),
        ("0-" + "9" * 5000, "end below 65536"),
        ("0-7\x1b[2J", "must look like"),
        ("-1", "must look like"),
        ("", "must look like"),
    ],
)
def test_rank_lists_that_blow_up(text: str, message: str) -> None:
    """A rank list is bounded by the ranks that there can be, repeated or not."""
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Ranks).validate_python(text)


def test_rank_lists_of_numbers_are_bounded_too() -> None:
    """A list of numbers may be no longer than one in words."""
    with pytest.raises(ValidationError, match="at most 65536 items"):
        TypeAdapter(Ranks).validate_python([0] * 65_537)


def test_equal_rank_lists_are_one() -> None:
    """Tables on all ranks take the memory of one list."""
    read = TypeAdapter(Ranks).validate_python
    assert read("0-65535") is read("0-65535")
    assert len(parse_ranks("0-65535")) == 65_536


OK = {"name": ["a", "b"], "num_embeddings": [1, 2], "embedding_dim": [8, 8]}
ODD_CELLS = [
    ("name", [["a"], ["b"]], "must be text"),
    ("name", [{"a": 1}, {"a": 2}], "must be text"),
    ("name", [[], []], "must be text"),
    ("name", [b"\xff", b"b"], "must be valid Unicode text"),
    ("name", ["a\x9b31m", "b"], "control characters"),
    ("name", [None, "b"], "is required"),
    ("num_embeddings", [[1], [2]], "must be a whole number"),
    ("num_embeddings", [10**18, 2], "must be <="),
    ("num_embeddings", [float("nan"), 1.0], "must be a finite number"),
    ("ranks", [{"a": 1}, None], "must be a list"),
    ("sharding_types", [[None], None], "must be one of"),
    ("zipf_alpha", [[1.0], None], "must be a number"),
]


@pytest.mark.parametrize(("column", "cells", "rule"), ODD_CELLS)
def test_cells_of_any_type(
    tmp_path: Path, column: str, cells: list[Any], rule: str
) -> None:
    """A Parquet file may have any type in any column."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({**OK, column: cells}), path)
    with pytest.raises(InputError, match=rule) as caught:
        read_tables(path, "a.parquet")
    assert f"row 1, {column}" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (["name", "name"], "column occurs twice"),
        (["na\x1b[2Jme", ""], r"'na\\x1b\[2Jme': unknown column; did you mean"),
    ],
)
def test_damaged_column_names(tmp_path: Path, names: list[str], rule: str) -> None:
    """Names that are there twice, empty, or that a terminal would obey."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    table = pyarrow.Table.from_arrays([pyarrow.array([1])] * 2, names=names)
    parquet.write_table(table, path)
    with pytest.raises(InputError, match=rule):
        read_tables(path, "a.parquet")


def test_rows_are_counted_before_they_are_read(tmp_path: Path) -> None:
    """A small file can promise many rows: 2 million equal ones take 2 kB."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path, ones = tmp_path / "a.parquet", [1] * 1_000_001
    parquet.write_table(pyarrow.table({"num_embeddings": ones}), path)
    with pytest.raises(InputError, match="has 1000001 rows, at most 1000000 tables"):
        read_tables(path, "a.parquet")
