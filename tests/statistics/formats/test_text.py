"""Lines of text files as tables, those that are wrong left out and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.records.log_mapping import LogFormat, LogMapping
from shardplan.statistics.formats import text, text_stream
from shardplan.statistics.formats.piece import Damage, LogPiece

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")


def mapping(**changes: Any) -> LogMapping:
    return LogMapping.model_validate(
        {
            "schema_version": 1,
            "name": "log",
            "tables": [{"name": "t", "num_embeddings": 9}],
            "features": [{"column": "a", "table": "t"}],
            **changes,
        }
    )


def read(
    path: Path, content: bytes, use: LogMapping | None
) -> tuple[list[dict[str, Any]], list[str]]:
    path.write_bytes(content)
    damaged: list[Damage] = []
    tables = list(text.read(LogPiece(str(path), LogFormat.CSV), use, damaged))
    return [row for t in tables for row in t.to_pylist()], [d.reason for d in damaged]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "_CHUNK", 16)
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 64)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", ["a,b", "\ufeffa,b", '\n"a",b', '"a","b\nc"'])
def test_every_line_is_a_sample(tmp_path: Path, header: str, newline: str) -> None:
    """However many blocks there are; the header is no sample."""
    lines = [header, *(f"{k},x" for k in range(100))]
    content = newline.join(lines).encode()
    rows, reasons = read(tmp_path / "log.csv", content, mapping())
    assert [int(row["a"]) for row in rows] == list(range(100))
    assert reasons == []


@pytest.mark.usefixtures("small_blocks")
def test_times_have_the_type_of_the_first_block(tmp_path: Path) -> None:
    """A time of another costs its line."""
    times = [str(k) for k in range(200)]
    times[150], times[170], times[171] = "noon", "1.5", '"x y"'
    content = "\n".join(["a,time", *(f"1,{t}" for t in times)]).encode()
    rows, reasons = read(tmp_path / "log.csv", content, mapping(time="time"))
    expected = [k for k in range(200) if k not in (150, 170, 171)]
    assert [row["time"] for row in rows] == expected
    assert reasons == ["3 lines whose time is no int64"]


@pytest.mark.usefixtures("small_blocks")
def test_times_that_come_late(tmp_path: Path) -> None:
    """The first block with any says their type."""
    times = [""] * 50 + ["7"] * 50
    content = "\n".join(["a,time", *(f"1,{t}" for t in times)]).encode()
    rows, reasons = read(tmp_path / "log.csv", content, mapping(time="time"))
    assert [row["time"] for row in rows] == [None] * 50 + [7] * 50
    assert reasons == []


def test_only_so_many_wrong_times_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that lines are lost together with them, and counted."""
    monkeypatch.setattr(text, "_MOST_CUTS", 3)
    monkeypatch.setattr(text_stream, "_CHUNK", 16)
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 512)
    times = ["5"] * 130 + ["x", "5"] * 100
    content = "\n".join(["a,time", *(f"1,{t}" for t in times)]).encode()
    rows, (reason,) = read(tmp_path / "log.csv", content, mapping(time="time"))
    lost = int(reason.split()[0])
    assert lost > 100
    assert len(rows) + lost == 330


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no line"),
        (b"\n\n", "has no line"),
        (b'"' + b"x" * 200_000 + b"\n1\n", "the first line is no header"),
    ],
)
def test_files_without_a_header(tmp_path: Path, content: bytes, reason: str) -> None:
    """Nothing can be read of them."""
    rows, reasons = read(tmp_path / "log.csv", content, mapping())
    assert rows == []
    assert reasons[0].startswith(reason)


def test_all_columns_for_a_guess(tmp_path: Path) -> None:
    """In types that are guessed."""
    rows, _ = read(tmp_path / "log.csv", b"a,b,c\n1,x,\n2,y,0.5\n", None)
    assert rows == [{"a": 1, "b": "x", "c": None}, {"a": 2, "b": "y", "c": 0.5}]
