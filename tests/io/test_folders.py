"""Folders of files: whole or not at all, and nobody's files are lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shardplan.errors import InputError
from shardplan.io.folders import CONTENTS, folder_draft, require_replaceable

KIND = "study report"


def write(folder: Path, *names: str, kind: str = KIND) -> None:
    with folder_draft(folder, kind) as draft:
        for name in names:
            (draft / name).parent.mkdir(exist_ok=True)
            (draft / name).write_text(name, encoding="utf-8")


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    """Files that are no longer written are gone, and no draft is left."""
    write(tmp_path / "out", "index.html", "points/1.html", "points/2.html")
    write(tmp_path / "out", "index.html", "points/3.html")
    assert names(tmp_path / "out") == {CONTENTS, "index.html", "points/3.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    listed = json.loads((tmp_path / "out" / CONTENTS).read_text(encoding="utf-8"))
    assert listed == {"kind": KIND, "files": ["index.html", "points/3.html"]}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """Somebody made room for the report."""
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "index.html")
    assert names(tmp_path / "out") == {CONTENTS, "index.html"}


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    """Half a report is worth less than the old one."""
    write(tmp_path / "out", "index.html")

    def fail() -> None:
        with folder_draft(tmp_path / "out", KIND) as draft:
            (draft / "index.html").write_text("new", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8") != "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failing_move_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two moves fails."""
    write(tmp_path / "out", "index.html")
    move = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return move(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path / "out", "index.html", "more.html")
    assert names(tmp_path / "out") == {CONTENTS, "index.html"}


@pytest.mark.parametrize("foreign", ["notes.txt", "points/notes.txt", "points/4/x"])
def test_files_of_others_are_kept(tmp_path: Path, foreign: str) -> None:
    """A file beside those of an earlier run is somebody's."""
    write(tmp_path / "out", "index.html", "points/1.html")
    (tmp_path / "out" / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / foreign).write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=f"{foreign}, which no earlier study report"):
        write(tmp_path / "out", "index.html")
    assert (tmp_path / "out" / foreign).read_text(encoding="utf-8") == "mine"


def test_a_file_that_comes_meanwhile_is_kept(tmp_path: Path) -> None:
    """The folder is looked at again before it is replaced."""
    write(tmp_path / "out", "index.html")
    with (
        pytest.raises(InputError, match=r"mine\.txt"),
        folder_draft(tmp_path / "out", KIND),
    ):
        (tmp_path / "out" / "mine.txt").touch()
    assert names(tmp_path / "out") == {CONTENTS, "index.html", "mine.txt"}


@pytest.mark.parametrize(
    "contents", ["", "[]", '{"kind": "other", "files": ["a"]}', '{"kind": 3}', "\xff"]
)
def test_a_folder_of_another_kind_is_refused(tmp_path: Path, contents: str) -> None:
    """A list of files that is not ours vouches for nothing."""
    (tmp_path / CONTENTS).write_text(contents, encoding="latin-1")
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="nothing is overwritten"):
        require_replaceable(tmp_path, KIND)


def test_no_place(tmp_path: Path) -> None:
    """A file, or a folder in none."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; a folder is written"):
        require_replaceable(tmp_path / "file", KIND)
    with pytest.raises(InputError, match="does not exist"):
        require_replaceable(tmp_path / "none" / "out", KIND)
    with pytest.raises(InputError, match="cannot be written"):
        require_replaceable("a\0b", KIND)
