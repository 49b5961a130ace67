"""``shardplan report``, and --plot of other commands."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

PLOTS = ("show", "explain", "simulate")


def test_page_and_json(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """A page is a file or standard output; JSON has the numbers behind it."""
    target = tmp_path / "page.html"
    assert run("report", plan_file, "-o", target).stdout == ""
    text = target.read_text(encoding="utf-8")
    assert text == run("report", plan_file).stdout
    assert text.startswith("<!doctype html>")
    data = json.loads(run("report", plan_file, "--format", "json").stdout)
    assert {"tables", "ranks", "timeline", "links", "proof"} <= set(data)


def test_a_plan_with_violations_has_a_page(run: Run, tampered: Path) -> None:
    """What is wrong stands at the top."""
    result = run("report", tampered)
    assert result.exit_code == 0
    assert "Warning" in result.stderr
    warning = '<span class="bad">Warning:</span> objective'
    assert warning in result.stdout.partition('id="fit"')[0]


def test_without_the_libraries(
    run: Run, plan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Help and JSON need none; a page says what to install, before any work."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("report", "--help").exit_code == 0
    assert run("report", plan_file, "--format", "json").exit_code == 0
    for arguments in (
        ["report", "none.json"],
        ["show", "none.json", "--plot", tmp_path / "a.svg"],
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "pip install 'shardplan[report]'" in result.stderr


@pytest.mark.parametrize("command", PLOTS)
def test_plots(run: Run, plan_file: Path, tmp_path: Path, command: str) -> None:
    """The report is what it is without; the picture is of the kind of its ending."""
    for name, start in (("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG")):
        result = run(command, plan_file, "--plot", tmp_path / name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == run(command, plan_file).stdout
        assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("command", PLOTS)
def test_wrong_pictures(
    run: Run, plan_file: Path, tmp_path: Path, command: str
) -> None:
    """Other endings, standard output, no folder, an input: nothing is written."""
    link = tmp_path / "a.svg"
    link.symlink_to(plan_file)
    before = plan_file.read_bytes()
    for name, code, words in (
        (tmp_path / "a.pdf", 2, "does not end in .svg or .png"),
        ("-", 2, "does not end in .svg or .png"),
        (tmp_path / "no" / "a.svg", 1, "does not exist"),
        (link, 1, "is an input"),
    ):
        result = run(command, plan_file, "--plot", name)
        assert (result.exit_code, result.stdout) == (code, "")
        assert words in result.stderr
    assert plan_file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [link]
