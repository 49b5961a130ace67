"""Reading TOML, JSON and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.io.json_file import read_json
from shardplan.io.toml import read_toml

if TYPE_CHECKING:
    from pathlib import Path


def rule_of(path: Path) -> str:
    read = read_json if path.suffix == ".json" else read_toml
    with pytest.raises(InputError) as caught:
        read(path, "file")
    (problem,) = caught.value.problems
    assert problem.where == "file"
    return problem.rule


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """Editors that write a byte order mark do no harm."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read_toml(path, "a.toml") == {"x": 1}


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    """A path without a file says so."""
    assert rule_of(tmp_path / name) == "no such file"


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_directory(tmp_path: Path, name: str) -> None:
    """A directory is not read as a file."""
    (tmp_path / name).mkdir()
    assert "is a directory" in rule_of(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b.toml", "x" * 300 + ".toml"])
def test_impossible_path(tmp_path: Path, name: str) -> None:
    """A path that no file system allows is an input error too."""
    assert rule_of(tmp_path / name)


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_parser_without_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nesting that exhausts the stack of a parser is refused."""

    def exhausted(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("tomllib.loads", exhausted)
    monkeypatch.setattr("json.loads", exhausted)
    (tmp_path / name).write_text("a = 1")
    assert "is nested too deeply" in rule_of(tmp_path / name)


def test_line_of_a_syntax_error(tmp_path: Path) -> None:
    """The problem's key says where the syntax error is."""
    path = tmp_path / "a.toml"
    path.write_text("x = 1\ny = \n")
    with pytest.raises(InputError) as caught:
        read_toml(path, "a.toml")
    assert caught.value.problems[0].key.startswith("line 2")
