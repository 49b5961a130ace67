"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shardplan.errors import InputError
from shardplan.io.atomic import write_text_atomically


def rule_of(path: Path, text: str = "new") -> str:
    with pytest.raises(InputError) as caught:
        write_text_atomically(path, text)
    return caught.value.problems[0].rule


def test_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    """A new file gets the permissions that any new file gets."""
    write_text_atomically(tmp_path / "a", "é\n")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\n"
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_overwriting_keeps_the_mode(tmp_path: Path) -> None:
    """Permissions of a file that is overwritten stay."""
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    write_text_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_link_stays_a_link(tmp_path: Path) -> None:
    """Writing to a symbolic link writes what it points to."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "link").symlink_to("a")
    write_text_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_text() == "new"


def test_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk fills up, the old file is untouched and no draft remains."""
    path = tmp_path / "a"
    path.write_text("old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert rule_of(path) == "cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_interruption_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while writing leaves nothing behind."""

    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(tmp_path / "a", "new")
    assert not list(tmp_path.iterdir())


def test_directory_as_target(tmp_path: Path) -> None:
    """A directory is not overwritten."""
    assert "is a directory" in rule_of(tmp_path)


def test_missing_directory(tmp_path: Path) -> None:
    """The message names the directory that does not exist."""
    rule = rule_of(tmp_path / "no" / "a")
    assert str(tmp_path / "no") in rule
    assert "does not exist" in rule


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_impossible_path(tmp_path: Path, name: str) -> None:
    """A path that no file system allows is an input error."""
    assert "cannot be written" in rule_of(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_text_that_is_not_unicode(tmp_path: Path) -> None:
    """A lone surrogate cannot be encoded; nothing is written."""
    assert "cannot be written" in rule_of(tmp_path / "a", "\ud800")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs /dev/null")
def test_device_is_written_directly() -> None:
    """A device is never replaced by a file."""
    write_text_atomically("/dev/null", "text")
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_no_permission(tmp_path: Path) -> None:
    """A directory without write permission is an input error."""
    tmp_path.chmod(0o500)
    assert "cannot be written" in rule_of(tmp_path / "a")
