"""Text of others on a terminal: nothing is obeyed, nothing hides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shardplan.cli import console
from shardplan.cli.main import cli
from shardplan.errors import InputError
from shardplan.io.catalog import load_workload
from shardplan.plans.plan import Plan
from shardplan.printable import one_line, printable

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

ESCAPE = "\x1b]0;owned\x07\x1b[31m"
C1 = "\x9b31m\x85"
BIDI = "\u202egnp.\u2066\u200f"
HIDDEN = "\u200b\u2028\ufeff"
EVIL = f"{ESCAPE}{C1}{BIDI}{HIDDEN}[red]:boom:[/red]"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def assert_harmless(text: str) -> None:
    odd = sorted({c for c in text if not c.isprintable() and c != "\n"})
    assert not odd


def test_escapes_are_those_of_repr() -> None:
    """What is printable stays as it is, in any script; the rest is visible."""
    for text in ("ascii", "naïve Größe 表 שלום 🙂", ""):
        assert printable(text) is text or printable(text) == text
    assert one_line("a\x1b\n\u202e\x9b\ud800") == r"a\x1b\n\u202e\x9b\ud800"
    assert printable("a\nb\r") == "a\nb\\r"
    assert_harmless(printable(EVIL))


def workload_file(folder: Path, name: str) -> Path:
    path = folder / "w.toml"
    path.write_text(
        f"schema_version = 1\nname = {json.dumps(name)}\nbatch_size = 1024\n"
        f"description = {json.dumps(EVIL)}\nsources = [{json.dumps(EVIL)}]\n"
        f"[[tables]]\nname = {json.dumps(name)}\nnum_embeddings = 1000\n"
        f"embedding_dim = 16\n[[tables]]\nname = 'b'\nnum_embeddings = 1000\n"
        "embedding_dim = 16\n"
    )
    return path


@pytest.mark.parametrize("name", [f"a{ESCAPE}", f"a{C1}", "a\x80", "a\u0085"])
def test_names_have_no_control_characters(tmp_path: Path, name: str) -> None:
    """C0 and C1 alike are refused in names, and the message shows them."""
    with pytest.raises(InputError, match="control characters") as caught:
        load_workload(workload_file(tmp_path, name))
    assert_harmless(str(caught.value))


def test_reports_show_all_that_they_have(tmp_path: Path) -> None:
    """Every report of a model whose names turn direction and look like markup."""
    name = f"x{BIDI}{HIDDEN}[red]:boom:[/red]"
    file, plan = workload_file(tmp_path, name), tmp_path / "plan.json"
    arguments = ("solve", file, "--topology", "dgx-h100", "--solver", "greedy")
    results = [
        run(*arguments, "-o", plan),
        run("workload", "show", file),
        run("workload", "validate", file),
        *(run(command, plan) for command in ("show", "explain", "evaluate", "check")),
        run("diff", plan, plan),
        run("simulate", plan),
        run("report", plan),
        run("export", plan, "--to", "manifest"),
    ]
    for result in results:
        assert_harmless(result.stdout)
        assert_harmless(result.stderr)
        assert result.exit_code == 0, result.output
    shown = run("workload", "show", file).stdout
    assert r"x\u202egnp" in shown
    assert "[red]:boom:[/red]" in shown
    assert r"\x1b]0;owned\x07" in shown
    assert Plan.load(plan).tables[0].name == name


def test_json_is_exact(tmp_path: Path) -> None:
    """JSON has its own escapes: what is read back is what the file says."""
    path = workload_file(tmp_path, f"x{BIDI}")
    out = run("workload", "show", path, "--format", "json").stdout
    assert out.isascii()
    assert json.loads(out)["description"] == EVIL


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", f"{EVIL}.json"),
        ("show", "a\nError: all is well.json"),
        ("check", f"/nowhere/{EVIL}.json"),
        ("topology", "show", EVIL),
        ("topology", EVIL),
        (f"--{EVIL}",),
        ("show", f"--{EVIL}"),
        ("show", "a.json", EVIL),
        ("show", "a.json", "--format", EVIL),
        ("solve", "dlrm-dcnv2", "--topology", f"dgx-h100:{EVIL}"),
        ("solve", "dlrm-dcnv2", "--topology", "dgx-h100", "--solver", EVIL),
    ],
)
def test_errors_show_what_was_asked_for(arguments: tuple[str, ...]) -> None:
    """File names and arguments in messages, of click's own as well."""
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert_harmless(result.stderr)
    assert result.stderr.count("\nError: ") + result.stderr.startswith("Error: ") == 1


def test_strings_of_a_plan(tmp_path: Path, plan_file: Path) -> None:
    """Free text of a plan file, such as the name of its solver, is shown safely."""
    data = json.loads(plan_file.read_text(encoding="utf-8"))
    data["outcome"]["solver"] = data["shardplan_version"] = EVIL
    data["fingerprints"]["topology"] = EVIL
    path = tmp_path / "evil.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    for command in ("show", "explain", "evaluate", "check"):
        result = run(command, path)
        assert_harmless(result.output)


def test_warnings_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes to standard error besides errors is shown safely, too."""
    console.warn(EVIL)
    console.note(EVIL + "\n")
    captured = capsys.readouterr()
    assert_harmless(captured.err)
    assert captured.err.count("\n") == 2
