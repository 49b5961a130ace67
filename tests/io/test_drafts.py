"""What killed writers leave is removed; what others write is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from shardplan.io.atomic import write_text_atomically

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
WRITER = """\
import os, sys, time
from shardplan.io.atomic import write_text_atomically
def wait(number):
    print("writing", flush=True)
    time.sleep(600)
os.fsync = wait
write_text_atomically(sys.argv[1], "half")
"""


def writer_in_the_middle(target: Path) -> subprocess.Popen[str]:
    """Start a process that stays in the middle of a write."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def make_old(folder: Path) -> Path:
    """Set the clock of the only draft in a folder back; return it."""
    (draft,) = folder.glob(".*.tmp")
    then = time.time() - 3600
    os.utime(draft, (then, then))
    return draft


def test_the_next_write_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    """After kill -9 in the middle of a write the next one tidies up."""
    target = tmp_path / "plan.json"
    end(writer_in_the_middle(target))
    make_old(tmp_path)
    write_text_atomically(target, "whole")
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "whole"


def test_a_living_writer_keeps_its_draft(tmp_path: Path) -> None:
    """However long it takes: its draft is locked."""
    target = tmp_path / "plan.json"
    process = writer_in_the_middle(target)
    try:
        draft = make_old(tmp_path)
        write_text_atomically(target, "whole")
        assert draft.exists()
    finally:
        end(process)


def test_what_is_young_or_of_others_stays(tmp_path: Path) -> None:
    """A draft that may not be locked yet, of another target, or no file at all."""
    end(writer_in_the_middle(tmp_path / "a"))
    write_text_atomically(tmp_path / "a", "whole")
    draft = make_old(tmp_path)  # it was too young to be removed
    write_text_atomically(tmp_path / "b", "whole")
    assert draft.exists()
    draft.unlink()
    draft.symlink_to(tmp_path / "b")
    os.utime(draft, (0, 0), follow_symlinks=False)
    write_text_atomically(tmp_path / "a", "again")
    assert draft.is_symlink()
    assert (tmp_path / "b").read_text() == "whole"
