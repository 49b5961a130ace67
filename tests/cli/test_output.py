"""Output is tried before the search, and a plan that loses its place is kept."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.io import atomic
from shardplan.io.atomic import require_writable
from shardplan.plans.plan import Plan
from shardplan.plans.plan_file import expected_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

OPTIONS = ("--topology", "dgx-h100", "--solver", "greedy")


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_found_before_the_search(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No solver runs for a plan that cannot be written; nothing stays behind."""
    monkeypatch.setattr(atomic.os, "fsync", full)
    monkeypatch.setattr("shardplan.planning.planner.build_problem", pytest.fail)
    result = run("solve", small, *OPTIONS, "-o", tmp_path / "plan.json")
    assert result.exit_code == 1
    assert "cannot be written: No space left" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_plan_that_loses_its_place_is_kept(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full only after the search, the plan is in a temporary file."""
    monkeypatch.setattr(atomic, "_replace", full)
    result = run("solve", small, *OPTIONS, "-o", tmp_path / "plan.json")
    assert (result.exit_code, result.stdout) == (1, "")
    kept = re.search(r"kept in (\S+) instead", result.stderr)
    assert kept is not None
    assert Plan.load(kept[1]).outcome.objective_s > 0
    os.unlink(kept[1])  # noqa: PTH108
    monkeypatch.setattr(atomic.tempfile, "mkstemp", full)
    result = run("solve", small, *OPTIONS, "-o", tmp_path / "plan.json")
    assert '"objective_s"' in result.stderr


def test_space_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes are written on trial, and removed."""
    sizes = []
    monkeypatch.setattr(
        atomic.os, "fsync", lambda number: sizes.append(os.fstat(number).st_size)
    )
    require_writable(tmp_path / "plan.json", 70_000)
    assert sizes == [70_000]
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="does not exist"):
        require_writable(tmp_path / "no" / "plan.json")


def test_the_expected_size_is_enough(plan_file: Path) -> None:
    """The room that is tried holds the plan."""
    size = plan_file.stat().st_size
    assert size <= expected_bytes(Plan.load(plan_file).inputs) < 20 * size


def test_an_input_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    """Whatever a command reads, tables and links included, it does not write."""
    model, tables = tmp_path / "model.toml", tmp_path / "tables.csv"
    head = 'schema_version = 1\nname = "m"\nglobal_batch_size = 64\n'
    model.write_text(head + 'tables_file = "tables.csv"\n')
    tables.write_text("name,num_embeddings,embedding_dim\na,1000,8\n")
    plan, link = tmp_path / "plan.json", tmp_path / "link.json"
    assert run("solve", model, *OPTIONS, "-o", plan).exit_code == 0
    link.symlink_to(plan)
    before = {file: file.read_bytes() for file in (model, tables, plan)}
    program = ("--solver", "ilp", "--write-lp", model)
    for arguments in (
        ("solve", model, *OPTIONS, "-o", model),
        ("solve", model, *OPTIONS, "-o", tables),
        ("solve", model, "--topology", "dgx-h100", *program),
        ("simulate", plan, "--trace", plan),
        ("show", plan, "-o", link),
        ("show", link, "-o", plan),
        ("report", plan, "-o", link),
        ("export", plan, "--to", "manifest", "-o", plan),
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, ""), arguments
        assert "is an input, and an option asks to write there" in result.stderr
        assert {file: file.read_bytes() for file in before} == before


def test_an_old_output_is_replaced(run: Run, small: Path, tmp_path: Path) -> None:
    """A file that is no input may be written again, and then be read."""
    plan = tmp_path / "plan.json"
    for _ in range(2):
        assert run("solve", small, *OPTIONS, "-o", plan).exit_code == 0
    assert run("check", plan).exit_code == 0


def test_two_outputs_are_two_files(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """A report would replace the trace of the same name."""
    out = tmp_path / "out.json"
    result = run("simulate", plan_file, "--trace", out, "-o", tmp_path / "." / out.name)
    assert result.exit_code == 2
    assert "another option writes there" in result.stderr
    assert not out.exists()
