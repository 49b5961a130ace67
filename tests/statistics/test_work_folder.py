"""The folder of partial results is ours, or it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.statistics.work_folder import WorkFolder, beside

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_gone_if_it_has_nothing(tmp_path: Path) -> None:
    """What helps the next run stays."""
    folder = beside(tmp_path / "found")
    assert folder.path == tmp_path / "found.partial"
    with folder.held():
        assert folder.path.is_dir()
    assert not folder.path.exists()
    with folder.held():
        folder.file("a.part").write_bytes(b"")
        folder.file("b-1.tmp").write_bytes(b"")
    assert folder.path.is_dir()
    with folder.held():
        folder.keep_only({"a.part"})
        assert not folder.names(".tmp")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """The second one is told who is at work."""
    folder = WorkFolder(tmp_path / "work")
    with (
        folder.held(),
        pytest.raises(InputError, match="another run is at work there \\(process"),
        WorkFolder(folder.path).held(),
    ):
        pass


@pytest.mark.parametrize("kind", ["file", "folder", "missing"])
def test_what_is_not_ours(tmp_path: Path, kind: str) -> None:
    """A file in its place, files of somebody, no place for it: nothing is changed."""
    path = tmp_path / "work"
    if kind == "file":
        path.write_text("x")
    elif kind == "folder":
        path.mkdir()
        (path / "thesis.tex").write_text("x")
    else:
        path = tmp_path / "no" / "work"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"cannot be written|which is no partial"):
        WorkFolder(path).held().__enter__()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_part_that_is_damaged_is_none(tmp_path: Path) -> None:
    """And if it is needed, it is said how to go on."""
    folder = WorkFolder(tmp_path)
    assert folder.part("a") is None
    folder.file("a.part").write_bytes(b"shardplan part 1\nx")
    assert folder.part("a") is None
    with pytest.raises(InputError, match="the same command counts it again"):
        folder.require_part("a")
