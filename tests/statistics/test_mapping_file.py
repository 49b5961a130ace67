"""Mappings that are guessed, and those that are wrong."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.statistics.mapping_file import (
    guess_mapping,
    load_mapping,
    mapping_text,
)

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
    assert tables == {"\U0001f600": 10, "big": million, "pair": 5, "coded": million}
    assert [f.get("hash") for f in found["features"]] == [None, "modulo", None, "md5"]


def test_names_of_files_and_folders(tmp_path: Path) -> None:
    """A folder stands for its first file; a file without a name is a log."""
    (tmp_path / "b.csv").write_text("x\n1\n")
    (tmp_path / " .csv").write_text("y,z,z\n1,2,3\n")
    for path, name in ((tmp_path, tmp_path.name), (tmp_path / " .csv", "log")):
        found = guess_mapping(path)
        assert (found.name, [f.column for f in found.features]) == (name, ["y"])


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
