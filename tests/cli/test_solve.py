"""solve: plans, summaries, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shardplan.plans.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

KEYS = (
    "status",
    "objective_s",
    "lower_bound_s",
    "gap",
    "runtime_s",
    "step_time_s",
    "throughput_samples_per_s",
)
TOO_LARGE = """\
schema_version = 1
name = "huge"
batch_size = 8
tables = [
  { name = "huge", num_embeddings = 100_000_000_000_000, embedding_dim = 64 },
]
"""


def test_json_has_stable_keys(
    run: Run, small: Path, soon: tuple[str, ...], tmp_path: Path
) -> None:
    """The summary says what was found, how good it is, and where the plan is."""
    path = tmp_path / "plan.json"
    result = run("solve", small, *soon, "-o", path, "--format", "json")
    data = json.loads(result.stdout)
    plan = Plan.load(path)
    assert all(data[key] is not None for key in KEYS)
    assert data["objective_s"] == plan.outcome.objective_s
    assert data["plan_file"] == str(path)
    assert data["world_size"] == 16
    assert result.stderr == ""


def test_text_summary(run: Run, small: Path, soon: tuple[str, ...]) -> None:
    """Without -o there is a summary and a hint how to keep the plan."""
    result = run("solve", small, *soon)
    assert result.exit_code == 0
    for word in ("objective", "lower bound", "samples/s", "-o", "GiB"):
        assert word in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--solver", "greedy"),
        ("--work-limit", "500", "--solver", "ldm"),
        ("--work-limit", "2000"),
    ],
    ids=lambda options: options[-1],
)
def test_same_bytes(
    run: Run, small: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The same command writes the same plan; a search does if its work is limited."""
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    for path in (a, b):
        command = ("solve", small, "--topology", "zionex:2", "--seed", "7", *options)
        run(*command, "-o", path)
    assert a.read_bytes() == b.read_bytes()


def test_gap_ends_a_search_for_the_step_early(run: Run, small: Path) -> None:
    """A plan within the gap of its bound is returned without using up the limit."""
    arguments = ("solve", small, "--topology", "dgx-h100", "--objective", "time")
    limits = ("--time-limit", "600", "--gap", "0.9", "--format", "json")
    found = json.loads(run(*arguments, *limits).stdout)
    assert found["runtime_s"] < 300
    assert found["status"] in ("feasible", "optimal")
    assert found["bound"] == "proven"
    assert found["gap"] <= 0.9
    assert found["gap"] == pytest.approx(
        found["objective_s"] / found["lower_bound_s"] - 1.0
    )


def test_write_lp(run: Run, small: Path, tmp_path: Path) -> None:
    """The integer program is written beside the plan that solves it."""
    program = tmp_path / "program.lp"
    options = ("--solver", "ilp", "--gap", "0.5", "--write-lp", program)
    result = run("solve", small, "--topology", "dgx-h100", *options)
    assert result.exit_code == 0
    assert program.read_text(encoding="utf-8").startswith("\\* shardplan *\\")


def test_notices(run: Run) -> None:
    """What stands out is in the report, in JSON as a list."""
    arguments = ("solve", "movielens-ncf", "--topology", "dgx-a100-40:2")
    arguments = (*arguments, "--solver", "greedy")
    (notice,) = json.loads(run(*arguments, "--format", "json").stdout)["notices"]
    assert "1 host instead of 2 would be faster" in notice
    text = run(*arguments).stdout
    assert notice in " ".join(text.split())
    assert "Notices" in text


def test_plan_to_stdout(
    run: Run, small: Path, plan_file: Path, soon: tuple[str, ...]
) -> None:
    """-o - writes the plan and nothing else."""
    result = run("solve", small, *soon, "-o", "-")
    assert result.stdout == plan_file.read_text(encoding="utf-8")


def test_objective_and_target(run: Run, small: Path, tmp_path: Path) -> None:
    """Objective, target and solver reach the plan."""
    path = tmp_path / "plan.json"
    options = ["--objective", "max-rank", "--target", "torchrec"]
    options += ["--solver", "greedy", "-o", str(path)]
    run("solve", small, "--topology", "dgx-h100", *options)
    plan = Plan.load(path)
    assert plan.objective == "max-rank"
    assert plan.target == "torchrec"
    assert plan.outcome.solver == "greedy"


def test_sharding_groups(run: Run, small: Path, tmp_path: Path) -> None:
    """A plan for one group, with the cluster that it is a part of."""
    path = tmp_path / "plan.json"
    result = run(
        "solve", small, "--topology", "zionex:2", "--sharding-group", "8",
        *("--replicas", "across", "--sync-every", "50", "--time-limit", "3"),
        *("-o", path, "--format", "json"),
    )  # fmt: skip
    data = json.loads(result.stdout)
    assert data["world_size"] == 8
    assert data["replication"] == {
        "replicas": 2,
        "layout": "across",
        "sync_every": 50,
        "sharding_group_size": 8,
        "world_size": 16,
        "num_hosts": 2,
        "ranks": list(range(8)),
    }
    whole = "2 of 8 ranks, out of 16 ranks; copies meet across hosts"
    for command in ("show", "simulate"):
        assert whole in run(command, path).stdout.replace("\n", " ")
    assert run("check", path).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--replicas", "inside"), "--replicas goes with --sharding-group"),
        (("--sync-every", "2"), "--sync-every goes with --sharding-group"),
        (
            ("--sharding-group", "some"),
            "'some' is neither a number of ranks nor 'auto'",
        ),
        (("--sharding-group", "0"), "0 is not in the range"),
        (
            ("--sharding-group", "8", "--solver", "ilp", "--write-lp", "x.lp"),
            "--write-lp does not go with --sharding-group",
        ),
    ],
)
def test_options_of_sharding_groups(
    run: Run, small: Path, options: tuple[str, ...], message: str
) -> None:
    """What goes without groups, or is no number of ranks, is a usage error."""
    result = run("solve", small, "--topology", "zionex:2", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_ranks_that_cannot_be_grouped(run: Run, small: Path) -> None:
    """The rule is said, with the topology and the option's key."""
    result = run("solve", small, "--topology", "zionex:2", "--sharding-group", "5")
    assert result.exit_code == 1
    text = " ".join(result.stderr.split())
    assert (
        "zionex: sharding_group = 5: a sharding group of 5 ranks must divide 16" in text
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_infeasible(run: Run, tmp_path: Path, form: str) -> None:
    """What cannot fit ends in code 3, says why, and writes no plan."""
    file, plan = tmp_path / "huge.toml", tmp_path / "plan.json"
    file.write_text(TOO_LARGE, encoding="utf-8")
    result = run("solve", file, "--topology", "dgx-h100", "--format", form, "-o", plan)
    assert result.exit_code == 3
    assert "huge" in result.stderr
    assert not plan.exists()
    if form == "json":
        data = json.loads(result.stdout)
        assert data["status"] == "infeasible"
        assert "huge" in data["shortfalls"][0]["tables"]
        assert all(data[key] is None for key in KEYS[1:4])
    else:
        assert result.stdout == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--time-limit", "0"],
        ["--time-limit", "-1"],
        ["--time-limit", "nan"],
        ["--time-limit", "inf"],
        ["--time-limit", "soon"],
        ["--gap", "-0.1"],
        ["--gap", "nan"],
        ["--gap", "inf"],
        ["--work-limit", "0"],
        ["--write-lp", "program.lp"],
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--hosts", "0"],
        ["--hosts", "65537"],
        ["--target", "keras"],
        ["--objective", "fast"],
        ["--format", "xml"],
    ],
    ids=" ".join,
)
def test_usage_errors(run: Run, small: Path, options: list[str]) -> None:
    """Options out of range are refused by name with code 2."""
    result = run("solve", small, "--topology", "dgx-h100", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_topology_is_required(run: Run, small: Path) -> None:
    """A solve without a topology is wrong usage."""
    result = run("solve", small)
    assert result.exit_code == 2
    assert "--topology" in result.stderr


def test_unknown_names(run: Run, small: Path) -> None:
    """Unknown workloads, topologies and solvers end in code 1 with known ones."""
    for arguments, hint in (
        (["neo-b", "--topology", "zionex"], "did you mean 'neo-"),
        ([small, "--topology", "zionx"], "did you mean 'zion"),
        ([small, "--topology", "zionex", "--cost-model", "a10"], "'a100'"),
        ([small, "--topology", "zionex", "--solver", "magic"], "greedy"),
        ([small, "--topology", "zionex:0"], "number of hosts"),
        ([small, "--topology", "zionex:2", "--hosts", "3"], "contradicts"),
    ):
        result = run("solve", *arguments)
        assert result.exit_code == 1
        assert hint in result.stderr


def test_unwritable_output(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that cannot be written is refused before anything is solved."""

    def solve(*_: object, **__: object) -> None:
        raise AssertionError("solved in vain")

    monkeypatch.setattr("shardplan.planning.planner.solve", solve)
    for place in (tmp_path, tmp_path / "missing" / "plan.json"):
        result = run("solve", small, "--topology", "dgx-h100", "-o", place)
        assert result.exit_code == 1
        assert str(place) in result.stderr


def test_no_time_without_plan(run: Run, small: Path) -> None:
    """A limit that is over at once ends in code 4, or in a plan that was in time."""
    result = run(
        *("solve", small, "--topology", "dgx-h100"),
        *("--time-limit", "1e-9", "--format", "json"),
    )
    data = json.loads(result.stdout)
    assert (result.exit_code, data["status"]) in (
        (4, "not_found"),
        (0, "time_limit"),
        (0, "feasible"),
        (0, "optimal"),
    )


def test_broken_workload_shows_all_problems(run: Run) -> None:
    """All problems of a broken file are in one message."""
    file = "tests/data/broken/workload/tables_file_and_more.toml"
    result = run("solve", file, "--topology", "dgx-h100")
    assert result.exit_code == 1
    assert "problems" in result.stderr
    assert result.stderr.count("\n- ") == 3


def test_solver_params(
    run: Run, small: Path, soon: tuple[str, ...], tmp_path: Path
) -> None:
    """Numbers from a file are used, noted in the plan and shown; wrong ones are not."""
    params, path = tmp_path / "params.toml", tmp_path / "plan.json"
    params.write_text("[greedy]\nmost_scores = 1\n", encoding="utf-8")
    given = ("--solver-params", params, "--solver", "greedy")
    result = run("solve", small, *soon, *given, "-o", path)
    assert result.exit_code == 0
    assert "parameters greedy.most_scores = 1" in " ".join(result.stdout.split())
    assert Plan.load(path).outcome.params == {"greedy.most_scores": 1}
    assert "greedy.most_scores = 1" in run("show", path).stdout
    data = json.loads(run("show", path, "--format", "json").stdout)
    assert data["params"] == {"greedy.most_scores": 1}
    params.write_text("[greedy]\nmost_score = 1\n", encoding="utf-8")
    wrong = run("solve", small, *soon, *given)
    assert wrong.exit_code == 1
    assert (
        "greedy.most_score = 1: unknown key; did you mean 'most_scores'?"
        in wrong.stderr
    )


def test_params_of_strangers(
    run: Run, small: Path, soon: tuple[str, ...], tmp_path: Path
) -> None:
    """What a plan says of parameters is text of others: it is shown on one line."""
    path = tmp_path / "plan.json"
    assert run("solve", small, *soon, "--solver", "greedy", "-o", path).exit_code == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    data["outcome"]["params"] = {"a\x1b[31m\nb": "\x1b"}
    path.write_text(json.dumps(data), encoding="utf-8")
    shown = run("show", path).stdout
    assert "\x1b" not in shown
    assert r"a\x1b[31m\nb" in shown
