"""``shardplan study report`` and ``shardplan report DIR``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from shardplan.studies.journal import Entry, Journal, format_entry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_both_commands_write_the_same_pages(
    run: Run, results: Path, tmp_path: Path
) -> None:
    """Byte for byte, every plan of the front, and each as the study found it."""
    done = run("study", "report", results, "-o", tmp_path / "a", "--format", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert {page["remark"] for page in data["pages"]} == {""}
    assert "index.html" in run("report", results, "-o", tmp_path / "b").stdout
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    pages = {page["page"] for page in data["pages"]}
    assert pages | {"index.html", "contents.json"} == contents(tmp_path / "a").keys()


def test_an_earlier_report_is_replaced_and_nothing_else(
    run: Run, results: Path, tmp_path: Path
) -> None:
    """A file of somebody is in the way."""
    folder = tmp_path / "report"
    for _ in range(2):
        assert run("report", results, "-o", folder).exit_code == 0
    (folder / "notes.txt").touch()
    done = run("report", results, "-o", folder)
    assert done.exit_code == 1
    assert "holds notes.txt, which no earlier study report wrote" in done.stderr


def test_a_plan_that_is_not_the_same_is_said(
    run: Run, results: Path, tmp_path: Path
) -> None:
    """A journal of another release, say, in which the plan has other bytes."""
    other = tmp_path / "results"
    other.mkdir()
    for path in results.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    journal = other / "journal.jsonl"
    entries = Journal.read(journal).by_id.values()
    with journal.open("ab") as file:
        for entry in entries:
            changed = {**entry.values, "plan_sha256": "0" * 64}
            file.write(format_entry(Entry(entry.id, entry.key, changed)))
    done = run("report", other, "-o", tmp_path / "report")
    assert "not the plan that the study found" in done.stdout
    index = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "not the plan that the study found" in index


def test_one_point(run: Run, results: Path, tmp_path: Path) -> None:
    """Any point with a plan, on the front or not, as one file."""
    page = tmp_path / "point.html"
    assert run("report", results, "--point", "0", "-o", page).exit_code == 0
    assert "point 0 of quick: hosts = 1" in page.read_text(encoding="utf-8")
    again = run("study", "report", results, "--point", "0", "-o", tmp_path / "2.html")
    assert again.exit_code == 0
    assert (tmp_path / "2.html").read_bytes() == page.read_bytes()
    assert run("report", results, "--point", "0").stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--point", "99", "-o", "p.html"], 1, "has no result"),
        (["--point", "1", "-o", "p.html"], 1, "is infeasible"),
        ([], 2, "give -o FOLDER"),
        (["-o", "RESULTS"], 1, "must be outside the folder of results"),
        (["-o", "RESULTS/report"], 1, "must be outside the folder of results"),
        (["-o", "FILE"], 1, "is a file; a folder is written"),
        (["-o", "no/such/folder"], 1, "does not exist"),
    ],
)
def test_wrong_options(
    run: Run,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    """One line says what is wrong, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    given = [w.replace("RESULTS", str(results)).replace("FILE", "file") for w in words]
    done = run("report", results, *given)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_point_is_no_option_of_a_plan(run: Run, tmp_path: Path) -> None:
    """It is a page already."""
    done = run("report", tmp_path / "plan.json", "--point", "0")
    assert done.exit_code == 2
    assert "--point is for the folder of a study's results" in done.stderr


def test_without_the_extra(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said before anything is solved."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run("report", results, "-o", tmp_path / "report")
    assert done.exit_code == 1
    assert "pip install 'shardplan[report]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
