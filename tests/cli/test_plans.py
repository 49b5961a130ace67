"""check, evaluate, simulate, show, explain, diff, schema, completion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import shardplan
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Plan
from shardplan.records.sharding import PHASES, Objective

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

ABOUT_A_PLAN = ("check", "evaluate", "simulate", "show", "explain")


def json_of(run: Run, *arguments: str | Path) -> dict[str, Any]:
    """Run a command and read its JSON."""
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert isinstance(data, dict)
    return data


def edit(source: Path, target: Path, change: Any) -> Path:
    """Write a copy of a plan file that `change` altered."""
    data = json.loads(source.read_text(encoding="utf-8"))
    change(data)
    target.write_text(json.dumps(data), encoding="utf-8")
    return target


def drop_table(data: dict[str, Any]) -> None:
    """Take one placement out of a plan."""
    del data["tables"][0]


@pytest.mark.parametrize("command", ABOUT_A_PLAN)
def test_report_to_file_is_that_of_stdout(
    run: Run, plan_file: Path, tmp_path: Path, command: str
) -> None:
    """-o writes what would have gone to standard output, in both formats."""
    for form in ("text", "json"):
        out = tmp_path / f"{command}.{form}"
        shown = run(command, plan_file, "--format", form)
        written = run(command, plan_file, "--format", form, "-o", out)
        assert shown.exit_code == written.exit_code == 0
        assert written.stdout == ""
        assert out.read_text(encoding="utf-8") == shown.stdout


@pytest.mark.parametrize("command", ABOUT_A_PLAN)
def test_broken_plans_end_in_code_1(run: Run, command: str, tmp_path: Path) -> None:
    """Missing, broken and newer files are input errors with a message."""
    for name in ("missing.json", "is_list.json", "schema_version_newer.json"):
        result = run(command, f"tests/data/broken/plan/{name}")
        assert result.exit_code == 1
        assert name in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("command", ABOUT_A_PLAN[1:])
def test_incomplete_plan_is_refused(
    run: Run, plan_file: Path, tmp_path: Path, command: str
) -> None:
    """What needs every table placed names the one that is not."""
    path = edit(plan_file, tmp_path / "plan.json", drop_table)
    result = run(command, path)
    assert result.exit_code == 1
    assert "coverage" in result.stderr


def test_rank_that_does_not_exist(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """A plan for more ranks than there are is refused, not a crash."""

    def move(data: dict[str, Any]) -> None:
        data["tables"][0]["blocks"][0]["ranks"] = "999"

    path = edit(plan_file, tmp_path / "plan.json", move)
    for command in ABOUT_A_PLAN:
        result = run(command, path)
        assert result.exit_code == 1
        assert "999" in result.output


def test_check_accepts(run: Run, plan_file: Path) -> None:
    """A plan of the solver is valid."""
    first, *rest = run("check", plan_file).stdout.splitlines()
    assert first == "valid"
    assert any("proven: at most" in line for line in rest)
    data = json_of(run, "check", plan_file, "--require-proof")
    assert (data["status"], data["bound"]) == ("valid", "proven")
    assert data["proven_bound_s"] >= data["lower_bound_s"] > 0


def forget_proof(data: dict[str, Any]) -> None:
    """Say that a plan is optimal, and leave out why."""
    del data["certificate"]
    value = data["outcome"]["objective_s"]
    data["outcome"].update(status="optimal", lower_bound_s=value, gap=0.0)
    data["outcome"].pop("claimed_bound_s", None)


def test_claims_are_not_presented_as_proven(
    run: Run, plan_file: Path, tmp_path: Path
) -> None:
    """A plan that calls itself optimal without proof is said to claim it."""
    path = edit(plan_file, tmp_path / "plan.json", forget_proof)
    for command in ABOUT_A_PLAN:
        assert json_of(run, command, path)["bound"] == "claimed"
        assert " above the best possible" not in run(command, path).stdout
    for command in ("check", "show", "explain"):
        assert json_of(run, command, path)["optimality"] == "claimed"
        assert "optimal, claimed without proof" in run(command, path).stdout
    data = json_of(run, "diff", path, plan_file)
    assert (data["before"]["bound"], data["after"]["bound"]) == ("claimed", "proven")
    assert "claimed -> proven" in run("diff", path, plan_file).stdout


def test_check_can_require_proof(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """--require-proof makes a violation of what is only claimed."""
    path = edit(plan_file, tmp_path / "plan.json", forget_proof)
    assert run("check", path).exit_code == 0
    result = run("check", path, "--require-proof")
    assert result.exit_code == 1
    assert result.stdout.startswith("proof: the lower bound is claimed, not proven")
    data = json.loads(run("check", path, "--require-proof", "--format", "json").stdout)
    assert data["status"] == "invalid"
    assert [v["rule"] for v in data["violations"]] == ["proof"]


def test_reports_carry_versions(run: Run, plan_file: Path) -> None:
    """Every JSON report says which release wrote it and in which form."""
    reports = [
        *((command, plan_file) for command in ABOUT_A_PLAN),
        ("diff", plan_file, plan_file),
        *((kind, "list") for kind in ("topology", "workload", "cost-model", "network")),
        ("topology", "show", "dgx-h100"),
        ("topology", "validate", "dgx-h100"),
        ("completion", "bash"),
    ]
    for arguments in reports:
        data = json_of(run, *arguments)
        assert data["report_version"] == 1
        assert data["shardplan_version"] == shardplan.__version__
    assert json_of(run, "show", plan_file)["plan_version"] == shardplan.__version__


def test_check_shows_violations(run: Run, tampered: Path) -> None:
    """Every violation of a tampered plan is on a line, and the code is 1."""
    result = run("check", tampered)
    data = json.loads(run("check", tampered, "--format", "json").stdout)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == data["num_violations"] > 0
    assert any(v["rule"] == "objective" for v in data["violations"])


def test_check_target(run: Run, plan_file: Path, small: Path, tmp_path: Path) -> None:
    """--target checks the shapes of another framework."""
    path = tmp_path / "cut.json"
    cut = small.read_text(encoding="utf-8") + (
        '\n[constraints]\nsharding_types = ["table_row_wise", "data_parallel"]\n'
    )
    (tmp_path / "cut.toml").write_text(cut, encoding="utf-8")
    options = ("--topology", "dgx-h100:2", "-o", path)
    assert run("solve", tmp_path / "cut.toml", *options).exit_code == 0
    assert run("check", path, "--target", "any").exit_code == 0
    assert run("check", path, "--target", "hugectr").exit_code == 1


def test_tampered_plan_is_warned_of(run: Run, tampered: Path) -> None:
    """Reports on a plan that is not as claimed say so on standard error."""
    result = run("evaluate", tampered)
    assert result.exit_code == 0
    assert "objective" in result.stderr


def test_evaluate_has_both_objectives(run: Run, plan_file: Path) -> None:
    """Both objectives and the phases are those of the evaluation."""
    data = json_of(run, "evaluate", plan_file)
    evaluation = evaluate(Plan.load(plan_file))
    assert data["objective_step_s"] == evaluation.value(Objective.STEP)
    assert data["objective_max_rank_s"] == evaluation.value(Objective.MAX_RANK)
    assert [p["phase"] for p in data["phases"]] == [p.value for p in PHASES]
    assert data["fits"] is True
    assert [m["tier"] for m in data["memory"]] == ["hbm", "ddr", "ssd"]


def test_simulate(run: Run, plan_file: Path, tmp_path: Path) -> None:
    """The step time and the trace of the chosen ranks are written."""
    trace = tmp_path / "trace.json"
    data = json_of(run, "simulate", plan_file, "--trace", trace, "--ranks", "0-1,5")
    assert data["step_time_s"] > 0
    assert data["throughput_samples_per_s"] > 0
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    assert {event["pid"] for event in events} == {0, 1, 5}


@pytest.mark.parametrize("ranks", ["99", "x", "3-1", "-1", ""])
def test_simulate_refuses_ranks(
    run: Run, plan_file: Path, tmp_path: Path, ranks: str
) -> None:
    """Ranks that the plan does not have, or that are none, are wrong usage."""
    trace = tmp_path / "trace.json"
    result = run("simulate", plan_file, "--trace", trace, "--ranks", ranks)
    assert result.exit_code == 2
    assert not trace.exists()


def test_simulate_ranks_need_trace(run: Run, plan_file: Path) -> None:
    """--ranks without --trace is wrong usage."""
    assert run("simulate", plan_file, "--ranks", "0").exit_code == 2


def test_show_sections(run: Run, plan_file: Path) -> None:
    """--ranks and --tables choose sections; without them there are both."""
    assert {"ranks", "tables"} <= set(json_of(run, "show", plan_file))
    assert "tables" not in json_of(run, "show", plan_file, "--ranks")
    assert "ranks" not in json_of(run, "show", plan_file, "--tables")


def test_show_limit(run: Run, plan_file: Path) -> None:
    """--limit cuts both lists and says what is left out."""
    data = json_of(run, "show", plan_file, "--limit", "2")
    assert (len(data["ranks"]), len(data["tables"])) == (2, 2)
    text = run("show", plan_file, "--limit", "2").stdout
    assert "... and 14 more" in text
    assert "... and 2 more" in text
    assert run("show", plan_file, "--limit", "0").exit_code == 2


def test_explain_adds_up(run: Run, sum_plan_file: Path) -> None:
    """The costs of the tables and of the phases add up to the objective."""
    data = json_of(run, "explain", sum_plan_file)
    for parts in (
        [t["cost_s"] for t in data["tables"]],
        [p["binding_s"] for p in data["phases"]],
    ):
        assert sum(parts) == pytest.approx(data["objective_s"])


def test_explain_says_whose_cost_counts(run: Run, sum_plan_file: Path) -> None:
    """The ranks that the objective looks at are named, and so is the whole step."""
    data = json_of(run, "explain", sum_plan_file)
    ranks = {p["binding_rank"] for p in data["phases"]} - {None}
    assert data["counted_ranks"] == sorted(ranks)
    simulated = json_of(run, "simulate", sum_plan_file)
    assert data["step_time_s"] == simulated["step_time_s"]
    text = " ".join(run("explain", sum_plan_file).stdout.split())
    assert "The objective 'step' counts phase by phase the time of the slowest" in text
    assert "The simulated step takes" in text


def test_explain_says_what_the_step_consists_of(run: Run, plan_file: Path) -> None:
    """Of a plan for nothing in particular, that is for the predicted step."""
    data = json_of(run, "explain", plan_file)
    assert data["prediction"]["step_s"] == pytest.approx(data["objective_s"])
    text = " ".join(run("explain", plan_file).stdout.split())
    assert "The objective 'time' is the predicted step" in text


def test_diff_of_a_plan_with_itself(run: Run, plan_file: Path) -> None:
    """Nothing differs and nothing moves."""
    data = json_of(run, "diff", plan_file, plan_file)
    assert data["tables"] == []
    assert data["moved_bytes"] == 0
    assert "none" in run("diff", plan_file, plan_file).stdout


def test_diff_of_two_plans(run: Run, plan_file: Path, other_plan_file: Path) -> None:
    """Changed decisions are listed with the bytes that they move."""
    data = json_of(run, "diff", plan_file, other_plan_file)
    assert data["num_changed_tables"] == len(data["tables"]) > 0
    assert data["moved_bytes"] == sum(t["moved_bytes"] for t in data["tables"])
    assert data["same_inputs"]["topology"] is True
    assert data["same_inputs"]["workload"] is False


@pytest.mark.parametrize(
    "kind", ["topology", "cost-model", "network", "workload", "plan"]
)
def test_schema(run: Run, kind: str) -> None:
    """The schema of every kind of file is JSON in either format."""
    text = run("schema", kind).stdout
    assert "$schema" in json.loads(text)
    assert run("schema", kind, "--format", "json").stdout == text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    """The script of every shell asks the program by its variable."""
    script = run("completion", shell).stdout
    assert "_SHARDPLAN_COMPLETE" in script
    assert json_of(run, "completion", shell)["script"] + "\n" == script


def test_completion_of_names() -> None:
    """The shell completes shipped names, and files where none fits."""
    from click.shell_completion import ShellComplete

    from shardplan.cli.main import cli

    complete = ShellComplete(cli, {}, "shardplan", "_SHARDPLAN_COMPLETE")
    found = complete.get_completions(["solve"], "neo-")
    assert [item.value for item in found] == ["neo-a", "neo-f", "neo-i"]
    assert complete.get_completions(["topology", "show"], "./")[0].type == "file"


@pytest.mark.parametrize("place", ["", "missing/report.txt"])
def test_unwritable_report(
    run: Run, plan_file: Path, tmp_path: Path, place: str
) -> None:
    """A report that cannot be written is an input error with its path."""
    result = run("evaluate", plan_file, "-o", tmp_path / place)
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr
