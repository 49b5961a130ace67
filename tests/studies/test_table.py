"""The table as files."""

from __future__ import annotations

import csv
import io

import pytest

from shardplan.studies.columns import COLUMNS, StudyColumn
from shardplan.studies.table import to_csv, to_parquet

COLUMNS_HERE = [
    StudyColumn("name", "", "a name", None, "text"),
    StudyColumn("step_time_s", "s", "a step", "min"),
    StudyColumn("hosts", "hosts", "hosts", "min", "whole"),
    StudyColumn("feasible", "", "fits", None, "flag"),
]
ROWS = [
    {"name": 'a,"b"', "step_time_s": 0.1, "hosts": 2, "feasible": True},
    {"name": [1, 2], "step_time_s": None, "hosts": None, "feasible": False},
]


def test_csv() -> None:
    """Numbers as they are, nothing for what is not known."""
    assert to_csv(COLUMNS_HERE, ROWS) == (
        'name,step_time_s,hosts,feasible\n"a,""b""",0.1,2,true\n"[1, 2]",,,false\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\t=1"])
def test_no_text_is_a_formula(text: str) -> None:
    """Spreadsheets compute what begins so; numbers, and text elsewhere, are as is."""
    row = {"name": text, "step_time_s": -0.5, "hosts": -1, "feasible": None}
    found = next(csv.DictReader(io.StringIO(to_csv(COLUMNS_HERE, [row]), newline="")))
    assert found == {
        "name": f"'{text}",
        "step_time_s": "-0.5",
        "hosts": "-1",
        "feasible": "",
    }


def test_parquet_has_units() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    content = to_parquet(COLUMNS_HERE, ROWS)
    assert content == to_parquet(COLUMNS_HERE, ROWS)
    table = pq.read_table(io.BytesIO(content))
    assert table.schema.field("step_time_s").metadata[b"unit"] == b"s"
    assert table.column("hosts").to_pylist() == [2, None]
    assert table.column("name").to_pylist() == ['a,"b"', "[1, 2]"]


def test_every_number_has_a_unit() -> None:
    for column in COLUMNS.values():
        assert (column.unit != "") == (column.kind in ("number", "whole")), column
