"""The folder of results: whose it is, and who may write there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shardplan.errors import InputError
from shardplan.studies import load_study, run
from shardplan.studies.directory import ResultFolder
from tests.studies import quick

HOLDER = """\
import sys
from shardplan.studies.directory import ResultFolder
with ResultFolder(sys.argv[1]).to_write():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    study, out = quick.write(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"has files, such as thesis\.tex"):
        run(study, out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    study, out = quick.write(tmp_path), tmp_path / "out"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written: File exists"):
        run(study, out)
    with pytest.raises(InputError, match="holds no results of a study"):
        load_study(out)
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_nobody_may_write(tmp_path: Path) -> None:
    study, out = quick.write(tmp_path), tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        run(study, out)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a place nobody may write")
def test_a_place_that_nobody_may_write(tmp_path: Path) -> None:
    """Root as well."""
    with pytest.raises(InputError, match="cannot be written"):
        run(quick.write(tmp_path), "/proc/out")


@pytest.mark.skipif(os.name == "nt", reason="locks")
def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second one is told which; the lock ends with its process, even if killed."""
    out = tmp_path / "out"
    folder = ResultFolder(out)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert folder.owner().startswith(f"process {holder.pid} on ")
        with pytest.raises(InputError, match=f"process {holder.pid} on "):
            run(quick.write(tmp_path), out)
        holder.kill()
    assert folder.owner() == ""
    assert len(run(tmp_path / "study.toml", out).rows) == 12
