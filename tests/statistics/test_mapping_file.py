"""Mappings that are guessed, and those that are wrong."""

from __future__ import annotations

import gzip
import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.statistics.log_files import looks_like_criteo
from shardplan.statistics.mapping_file import (
    guess_mapping,
    load_mapping,
    mapping_text,
)
from shardplan.statistics.measure import measure

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def guess(path: Path, columns: dict[str, Any]) -> dict[str, Any]:
    pq.write_table(pa.table(columns), path)
    return tomllib.loads(mapping_text(guess_mapping(path)))


def test_what_is_guessed(tmp_path: Path) -> None:
    """Sizes of plain ids; hash functions of others; any name survives TOML."""
    found = guess(
        tmp_path / "log.parquet",
        {
            "\U0001f600": [3, 9],
            "big": pa.array([2**64 - 1, 0], pa.uint64()),
            "pair": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
            "coded": pa.array(["x", "y"]).dictionary_encode(),
            "lost\n": [1, 2],
            "x" * 300: [1, 2],
        },
    )
    tables = {t["name"]: t["num_embeddings"] for t in found["tables"]}
    million = 1_000_000
    assert found["description"].endswith(f"ids: lost\n, {'x' * 300}")
    assert tables == {"\U0001f600": 10, "big": million, "pair": 5, "coded": million}
    assert [f.get("hash") for f in found["features"]] == [None, "modulo", None, "md5"]


def test_names_of_files_and_folders(tmp_path: Path) -> None:
    """A folder stands for its first file; a file without a name is a log."""
    (tmp_path / "b.csv").write_text("x\n1\n")
    (tmp_path / " .csv").write_text("y,z,z\n1,2,3\n")
    for path, name in ((tmp_path, tmp_path.name), (tmp_path / " .csv", "log")):
        found = guess_mapping(path)
        assert (found.name, [f.column for f in found.features]) == (name, ["y"])


def test_columns_that_are_left_out(tmp_path: Path) -> None:
    """They are named: halves, and whole numbers that look like it."""
    found = guess(tmp_path / "log.parquet", {"a": [1], "x": [0.5], "label": [1]})
    assert found["description"].endswith("ids: x, label")
    columns = {f"x{n}": [0.5] for n in range(30)}
    found = guess(tmp_path / "log.parquet", {"a": [1], **columns})
    assert found["description"].endswith("x18, x19 and 10 more")


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "7,-1.5,\n8,1,\n", "5\n6\n"])
def test_numbers_in_the_place_of_names(tmp_path: Path, text: str) -> None:
    """The first sample is no header, whose names no other file would have."""
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match="no names of columns but numbers"):
        guess_mapping(tmp_path / "log.csv")


def criteo(label: str, number: str, ids: str) -> str:
    return "\t".join([label, number, *[""] * 12, ids, *["68fd1e64"] * 24, ""])


@pytest.mark.parametrize("name", ["day_0", "train.txt", "day_0.gz"])
def test_logs_of_criteo(tmp_path: Path, name: str) -> None:
    """They have no names of columns, and the guess can be used as it is."""
    lines = [criteo("0", "1", "0000000a"), criteo("1", "-2", "")]
    content = ("\n".join(lines) + "\n").encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "guess.toml").write_text(mapping_text(guess_mapping(path)))
    mapping = load_mapping(tmp_path / "guess.toml")
    assert (mapping.format, mapping.name) == ("criteo", name.split(".")[0])
    found = measure([path], mapping)
    assert (found.num_samples, found.unread) == (2, ())
    assert [t.lookups for t in found.tables] == [1, *[2] * 24, 0]
    assert found.tables[0].unreadable == 0


@pytest.mark.parametrize(
    "lines",
    [
        [criteo("0", "1", "0000000a"), criteo("0", "1", "g000000a")],
        [criteo("0", "1.5", "0000000a")],
        [criteo("2", "1", "0000000a")],
        [criteo("0", "1", "0000000a") + "\t"],
    ],
)
def test_logs_of_others(tmp_path: Path, lines: list[str]) -> None:
    """One line of another form is enough."""
    path = tmp_path / "log.tsv"
    path.write_text("\n".join(lines))
    assert not looks_like_criteo(str(path))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"columns": ["a", "a"]}, "columns .*'a' is there twice"),
        ({"features": [{"column": "a", "table": "t"}] * 2}, "'a' is there twice"),
    ],
)
def test_what_is_there_twice(tmp_path: Path, change: dict[str, Any], rule: str) -> None:
    """Lookups would be counted twice, or nobody knows of which column."""
    mapping = {
        "schema_version": 1,
        "name": "log",
        "tables": [{"name": "t", "num_embeddings": 9}],
        "features": [{"column": "a", "table": "t"}],
    }
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps({**mapping, **change}))
    with pytest.raises(InputError, match=rule):
        load_mapping(path)
