"""Columns say what they hold, also in Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.studies import run
from shardplan.studies.columns import COLUMNS, DERIVED, RESULTS, axis_column
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


def test_every_column_has_a_title_and_a_name_of_its_own() -> None:
    assert len(COLUMNS) == len(RESULTS) + len(DERIVED)
    assert len({column.title for column in COLUMNS.values()}) == len(COLUMNS)
    assert all(column.title for column in COLUMNS.values())


def test_parquet_says_units_and_titles(tmp_path: Path) -> None:
    """Of axes as well."""
    pq = pytest.importorskip("pyarrow.parquet")
    found = run(quick.write(tmp_path), tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "results.parquet")
    assert schema.names == [column.name for column in found.columns]
    for column in found.columns:
        metadata = schema.field(column.name).metadata
        assert metadata[b"unit"].decode() == column.unit
        assert metadata[b"title"].decode() == column.title


def test_an_axis_has_the_unit_of_its_field() -> None:
    """A factor has none, and text carries its own."""
    path = "topology.host_groups[0].scale_out.nic_bw"
    assert axis_column(path, [1e9, 2e9], scales=False).unit == "bytes/s"
    assert axis_column(path, [0.5, 1], scales=True).unit == "1"
    assert axis_column(path, ["1 GB/s", "2 GB/s"], scales=False).unit == ""
    assert axis_column("hosts", [1, 2], scales=False).unit == "hosts"
