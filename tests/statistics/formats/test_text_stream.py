"""Text of files that are compressed, cut and changed."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING

import pytest

from shardplan.statistics.formats import text_stream
from shardplan.statistics.formats.text_stream import TextStream

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")

TEXT = b"".join(b"%d,%d\n" % (i * 7919 % 1009, i * i % 997) for i in range(200_000))


def packed(suffix: str) -> bytes:
    if suffix == "zst":
        return bytes(pa.compress(TEXT, "zstd", asbytes=True))
    return gzip.compress(TEXT) if suffix == "gz" else bz2.compress(TEXT, 1)


def read(path: Path, *, has_quotes: bool = True) -> tuple[list[bytes], TextStream]:
    with TextStream(str(path), has_quotes=has_quotes) as stream:
        return list(stream), stream


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "_CHUNK", 5)
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 16)
    monkeypatch.setattr(text_stream, "LONGEST", 64)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "zst"])
def test_a_cut_file_has_its_whole_lines(tmp_path: Path, suffix: str) -> None:
    """From its start on; the whole file has them all."""
    path = tmp_path / f"log.csv.{suffix}"
    content = packed(suffix)
    path.write_bytes(content)
    blocks, stream = read(path)
    assert (b"".join(blocks), stream.damage) == (TEXT, "")
    path.write_bytes(content[: len(content) * 3 // 4])
    blocks, stream = read(path)
    text = b"".join(blocks)
    assert stream.damage
    assert text == TEXT[: len(text)]
    assert text.endswith(b"\n")
    assert len(text) > len(TEXT) // 2


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n1", b"\r", b"\r1"])
def test_the_last_line_need_not_end(tmp_path: Path, end: bytes) -> None:
    """It gets an end; where nothing is wrong all bytes are there."""
    path = tmp_path / "log.csv"
    path.write_bytes(b'a,"b"' + end)
    blocks, stream = read(path)
    added = b"" if end.endswith((b"\n", b"\r")) else b"\n"
    assert b"".join(blocks) == b'a,"b"' + end + added
    assert (stream.open_quotes, stream.damage) == (0, "")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("line", [b"1,2\n", b'"1\n3",2\n', b'"1\n3",2\r\n', b"12\r"])
def test_blocks_have_whole_lines(tmp_path: Path, line: bytes) -> None:
    """Also where cells have several; nothing is lost, and no block is long."""
    path = tmp_path / "log.csv"
    path.write_bytes(line * 50)
    blocks, _ = read(path)
    assert len(blocks) > 5
    assert b"".join(blocks) == line * 50
    assert {block.count(line) * len(line) == len(block) for block in blocks} == {True}


@pytest.mark.usefixtures("small_blocks")
def test_a_quote_takes_no_other_lines(tmp_path: Path) -> None:
    """Its line is a block, wherever it is, and is counted."""
    path = tmp_path / "log.csv"
    lines = [b'1,"%d"\n' % k for k in range(60)]
    for wrong in (0, 7, 58, 59):
        content = [*lines]
        content[wrong] = b'1,"2\n'
        path.write_bytes(b"".join(content))
        blocks, stream = read(path)
        assert b"".join(blocks) == b"".join(content)
        assert content[wrong] in blocks
        assert stream.open_quotes == 1
    assert read(path, has_quotes=False)[1].open_quotes == 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("before", [0, 1, 9])
@pytest.mark.parametrize("after", [0, 1, 9])
def test_a_line_that_is_too_long(tmp_path: Path, before: int, after: int) -> None:
    """It costs itself, and is counted."""
    path = tmp_path / "log.csv"
    path.write_bytes(b"1,2\n" * before + b"3" * 200 + b"\n" + b"4,5\n" * after)
    blocks, stream = read(path)
    assert b"".join(blocks) == b"1,2\n" * before + b"4,5\n" * after
    assert stream.long_lines == 1


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    """Other ids stay other ids; text that is UTF-8 is as it was, but for its mark."""
    path = tmp_path / "log.csv"
    path.write_bytes("\ufeffa,\u00e9\n".encode() + b"1,\xe9\n2,\xe8")
    (text,), stream = read(path)
    assert text == "a,\u00e9\n".encode() + rb"1,\xe9" + b"\n" + rb"2,\xe8" + b"\n"
    assert not stream.is_utf8
