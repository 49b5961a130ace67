"""Tables from CSV and Parquet."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.io.table_file import COLUMNS, read_tables
from shardplan.records.row_heat import RowSkew
from shardplan.records.sharding import ShardingType
from shardplan.records.tables import DType, EmbeddingTable, TableConstraints, ZipfAccess

VALID = Path(__file__).parent.parent / "data" / "valid"
# Row 1 of tables.csv gives every kind of cell, row 2 leaves what it can empty.
EXPECTED = (
    EmbeddingTable(
        name="d",
        num_embeddings=10**6,
        embedding_dim=16,
        dtype=DType.FP16,
        pooling_factor=2.5,
        is_weighted=True,
        access=ZipfAccess(alpha=1.05),
        constraints=TableConstraints(
            sharding_types=(ShardingType.ROW_WISE, ShardingType.TABLE_WISE),
            ranks=(0, 1),
        ),
    ),
    EmbeddingTable(name="e", num_embeddings=5000, embedding_dim=64, is_weighted=False),
)


def read_csv(tmp_path: Path, text: str) -> tuple[EmbeddingTable, ...]:
    path = tmp_path / "tables.csv"
    path.write_text(text, encoding="utf-8")
    return read_tables(path, "tables.csv")


def problem_of_parquet(tmp_path: Path, columns: dict[str, list[object]]) -> str:
    path = tmp_path / "tables.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError) as caught:
        read_tables(path, "t.parquet")
    return str(caught.value)


def test_csv() -> None:
    """Numbers, flags, lists and empty cells become fields of tables."""
    assert read_tables(VALID / "tables.csv", "tables.csv") == EXPECTED


def test_parquet_equals_csv(tmp_path: Path) -> None:
    """A Parquet file of typed columns gives the same tables as the CSV file."""
    columns = {
        "name": ["d", "e"],
        "num_embeddings": [10**6, 5000],
        "embedding_dim": [16, 64],
        "dtype": ["fp16", None],
        "pooling_factor": [2.5, None],
        "is_weighted": [True, False],
        "zipf_alpha": [1.05, None],
        "sharding_types": [["row_wise", "table_wise"], None],
        "ranks": ["0|1", ""],
    }
    path = tmp_path / "tables.parquet"
    pq.write_table(pa.table(columns), path)
    assert read_tables(path, "tables.parquet") == EXPECTED


def test_parquet_problems_name_row_and_column(tmp_path: Path) -> None:
    """NaN and wrong types in a Parquet file give row, column and rule."""
    message = problem_of_parquet(
        tmp_path,
        {
            "name": ["a", "a"],
            "num_embeddings": ["many", "5"],
            "embedding_dim": [8, -8],
            "pooling_factor": [1.0, float("nan")],
        },
    )
    assert message.splitlines() == [
        "- t.parquet: row 2, name = 'a': table names must be unique; "
        "it is in row 1 already",
        "- t.parquet: row 1, num_embeddings = 'many': must be a number, "
        "or text with a unit such as '1.5 M'",
        "- t.parquet: row 2, num_embeddings = '5': must be a number, "
        "or text with a unit such as '1.5 M'",
        "- t.parquet: row 2, embedding_dim = -8: must be >= 1",
        "- t.parquet: row 2, pooling_factor = nan: must be a finite number",
    ]


def test_parquet_unknown_column(tmp_path: Path) -> None:
    """The header of a Parquet file is checked as that of a CSV file is."""
    message = problem_of_parquet(tmp_path, {"name": ["a"], "num_embedding": [1]})
    assert "did you mean 'num_embeddings'?" in message
    assert "header, embedding_dim: column is required" in message


def test_parquet_without_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pyarrow the message says what to install."""
    path = tmp_path / "tables.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'shardplan\[parquet\]'"):
        read_tables(path, "t.parquet")


def test_other_suffix(tmp_path: Path) -> None:
    """Only CSV and Parquet are table files."""
    with pytest.raises(InputError, match=r"must be a \.csv or \.parquet file"):
        read_tables(tmp_path / "tables.xlsx", "w.toml")


def test_spreadsheet_habits(tmp_path: Path) -> None:
    """Blanks around cells, CRLF, blank lines, empty rows, quotes and a BOM are fine."""
    text = (
        '\ufeffname , num_embeddings,embedding_dim\r\n\r\n"a, b", 10, 4\r\n, ,\r\n'
        "c,20,8\r\n"
    )
    tables = read_csv(tmp_path, text)
    assert [(t.name, t.num_embeddings) for t in tables] == [("a, b", 10), ("c", 20)]


def test_row_numbers_are_lines_of_the_file(tmp_path: Path) -> None:
    """Blank lines count, so that an editor's line number finds the row."""
    with pytest.raises(InputError, match="row 4, embedding_dim"):
        read_csv(tmp_path, "name,num_embeddings,embedding_dim\na,1,1\n\nb,1,0\n")


def test_heat_of_rows(tmp_path: Path) -> None:
    """Shares of blocks are a list; a skew has two columns, and needs both."""
    header = "name,num_embeddings,embedding_dim,row_routing,block_heat,row_skew"
    rows = "a,100,8,modulo,,,\nb,100,8,,0.5|0.3|0.2,,\nc,100,8,,,2.5,8\n"
    a, b, c = read_csv(tmp_path, f"{header},row_skew_shards\n{rows}")
    assert (a.row_routing, b.block_heat) == ("modulo", (0.5, 0.3, 0.2))
    assert c.row_skew == RowSkew(ratio=2.5, shards=8)
    with pytest.raises(InputError, match=r"row 2, row_skew.*required"):
        read_csv(tmp_path, f"{header}\nc,100,8,,,2.5\n")


def test_curves(tmp_path: Path) -> None:
    """Points of a measured curve are pairs with a colon; one number is no point."""
    header = "name,num_embeddings,embedding_dim,unique_ids,miss_ratio"
    a, b = read_csv(
        tmp_path, f"{header}\na,100,8,10:9|1000: 80,5:0.5|50:0.125\nb,100,8,,\n"
    )
    assert a.unique_ids == ((10, 9), (1000, 80))
    assert a.miss_ratio == ((5, 0.5), (50, 0.125))
    assert (b.unique_ids, b.miss_ratio) == ((), ())
    with pytest.raises(InputError, match=r"row 2, unique_ids = '10': must be a list"):
        read_csv(tmp_path, f"{header}\na,100,8,10|9,\n")


def test_every_column_is_a_field() -> None:
    """Columns and the fields of tables and constraints cannot drift apart."""
    fields = set(EmbeddingTable.model_fields) - {"access", "constraints", "torchrec"}
    fields |= set(TableConstraints.model_fields) | {"zipf_alpha"}
    fields |= {"row_skew_shards"}
    assert set(COLUMNS) == fields


def test_ten_thousand_tables_load_quickly(tmp_path: Path) -> None:
    """10,000 tables take well under a second (about 0.1 s; the limit is generous)."""
    lines = ["name,num_embeddings,embedding_dim,dtype,pooling_factor,zipf_alpha,ranks"]
    lines += [
        f"t{i},{i + 1},64,fp16,{i / 7 + 1},1.05,0|1|{i % 9}" for i in range(10_000)
    ]
    start = time.process_time()
    tables = read_csv(tmp_path, "\n".join(lines))
    assert len(tables) == 10_000
    assert time.process_time() - start < 2.0


CELLS = st.one_of(
    st.sampled_from(["", "1", "1e30", "-1", "nan", "inf", "true", "a", "fp16", "0|1"]),
    st.text(max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(
    header=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6),
    rows=st.lists(st.lists(CELLS, max_size=6), max_size=4),
)
def test_any_cells_give_tables_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], rows: list[list[str]]
) -> None:
    """Whatever the cells are, no other exception escapes."""
    header = ["name", "num_embeddings", "embedding_dim", *header]
    lines = [",".join(header)]
    lines += [",".join(["x", "1", "1", *row]) for row in rows]
    with contextlib.suppress(InputError):
        assert read_csv(tmp_path_factory.mktemp("csv"), "\n".join(lines))
