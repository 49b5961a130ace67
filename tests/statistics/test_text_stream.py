"""Text of files that are compressed, cut and changed."""

from __future__ import annotations

import bz2
import gzip
import io
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.statistics.text_stream import TextStream, header

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")

TEXT = b"".join(b"%d,%d\n" % (i * 7919 % 1009, i * i % 997) for i in range(200_000))


def packed(suffix: str) -> bytes:
    if suffix == "zst":
        return bytes(pa.compress(TEXT, "zstd", asbytes=True))
    return gzip.compress(TEXT) if suffix == "gz" else bz2.compress(TEXT, 1)


def read(path: Path) -> tuple[bytes, TextStream]:
    with TextStream(str(path)) as stream:
        return io.BufferedReader(stream).read(), stream


@pytest.mark.parametrize("suffix", ["gz", "bz2", "zst"])
def test_a_cut_file_has_its_whole_lines(tmp_path: Path, suffix: str) -> None:
    """From its start on; the whole file has them all."""
    path = tmp_path / f"log.csv.{suffix}"
    content = packed(suffix)
    path.write_bytes(content)
    text, stream = read(path)
    assert (text, stream.damage) == (TEXT, "")
    path.write_bytes(content[: len(content) * 3 // 4])
    text, stream = read(path)
    assert stream.damage
    assert text == TEXT[: len(text)]
    assert text.endswith(b"\n")
    assert len(text) > len(TEXT) // 2


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n1"])
def test_the_last_line_need_not_end(tmp_path: Path, end: bytes) -> None:
    """Where nothing is wrong all bytes are there."""
    path = tmp_path / "log.csv"
    path.write_bytes(b'a,"b"' + end)
    text, stream = read(path)
    assert (text, stream.quotes, stream.damage) == (b'a,"b"' + end, 2, "")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbfa,b\r\n1,2", ["a", "b"]),
        (b'\n"a\nb",c\n', ["a\nb", "c"]),
        (b"", []),
        (b"\xff,b\n", ["\\xff", "b"]),
    ],
)
def test_header(tmp_path: Path, content: bytes, names: list[Any]) -> None:
    """Without a mark of the byte order; quotes and empty lines as in the rest."""
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    assert header(str(path), ",") == names


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    """Other ids stay other ids; text that is UTF-8 is as it was."""
    path = tmp_path / "log.csv"
    path.write_bytes("a,\u00e9\n".encode() + b"1,\xe9\n2,\xe8")
    text, stream = read(path)
    assert text == "a,\u00e9\n".encode() + rb"1,\xe9" + b"\n" + rb"2,\xe8"
    assert not stream.is_utf8
