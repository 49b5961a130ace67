"""Options that change inputs; copies of shipped files; completion."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete

from shardplan.cli.main import cli
from shardplan.io import catalog
from shardplan.plans.plan import Plan
from shardplan.records.fingerprint import fingerprints

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

KINDS = {
    "topology": "topologies",
    "workload": "workloads",
    "cost-model": "cost_models",
    "network": "networks",
}


@pytest.fixture
def solved(run: Run, small: Path, tmp_path: Path):
    """Solve the small workload with options, and read the plan."""

    def solve(*options: str) -> Plan:
        where = ["--topology", "dgx-a100-40", "--solver", "greedy"]
        result = run("solve", small, *where, *options, "-o", tmp_path / "p.json")
        assert result.exit_code == 0, result.output
        plan = Plan.load(tmp_path / "p.json")
        assert run("check", tmp_path / "p.json").exit_code == 0
        assert plan.fingerprints == fingerprints(plan.inputs)
        return plan

    return solve


def test_set_and_batch_size(solved) -> None:
    """Changes are part of the inputs that the plan carries."""
    plan = solved(
        "--set",
        "topology.host_groups[0].num_hosts=2",
        "--set",
        "workload.tables.*.dtype=fp16",
        "--batch-size",
        "1 Ki",
    )
    assert plan.world_size == 16
    assert {table.dtype for table in plan.inputs.workload.tables} == {"fp16"}
    assert plan.inputs.workload.batch_over(16) == 16 * 1024


def test_pin_and_forbid(solved) -> None:
    """Pinned tables keep to their ranks, forbidden types are not used."""
    plan = solved("--pin", "users=2-3", "--forbid", "*:row_wise", "--pin", "da*=5")
    users, _, _, days = plan.tables
    assert {rank for block in users.blocks for rank in block.ranks} <= {2, 3}
    assert {rank for block in days.blocks for rank in block.ranks} == {5}
    assert all(table.sharding_type != "row_wise" for table in plan.tables)
    assert plan.inputs.workload.tables[0].constraints.ranks == (2, 3)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "workload.nam=x"], 1, "did you mean 'name'?"),
        (["--set", "x"], 2, "must look like PATH=VALUE"),
        (["--pin", "users"], 2, "must look like TABLE=RANKS"),
        (["--pin", "users=a"], 2, "ranks must look like"),
        (["--pin", "user=1"], 1, "did you mean 'users'?"),
        (["--pin", "users=8"], 1, "the topology has 8"),
        (["--forbid", "users:row_wsie"], 2, "did you mean 'row_wise'?"),
        (["--forbid", "row_wise"], 2, "must look like TABLE:TYPE"),
        (["--batch-size", "1.5"], 2, "is not a whole number"),
        (["--batch-size", "2 GB"], 2, "'GB' is a unit of bytes"),
        (["--time-limit", "5 parsecs"], 2, "unknown unit 'parsecs'"),
    ],
)
def test_bad_changes(
    run: Run, small: Path, options: list[str], code: int, message: str
) -> None:
    """Wrong usage is code 2, a wrong value code 1; both say what would be right."""
    result = run("solve", small, "--topology", "dgx-a100-40", *options)
    assert result.exit_code == code
    assert message in result.stderr.replace("\n", " ")
    assert result.stdout == ""


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_the_shipped_files(run: Run, tmp_path: Path, kind: str) -> None:
    """Every entry is copied with its comments, and means the same."""
    load = {
        "topology": catalog.load_topology,
        "workload": catalog.load_workload,
        "cost-model": catalog.load_cost_model,
        "network": catalog.load_network,
    }[kind]
    folder = catalog.folder(KINDS[kind])  # type: ignore[arg-type]
    for name in catalog.names(KINDS[kind]):  # type: ignore[arg-type]
        path = tmp_path / f"{name}.toml"
        result = run(kind, "copy", name, path, "--format", "json")
        assert json.loads(result.stdout)["files"][0] == str(path)
        assert path.read_text() == folder.joinpath(f"{name}.toml").read_text()
        if "tables_file" in tomllib.loads(path.read_text()):
            assert (tmp_path / f"{name}.csv").exists()
        assert load(path) == load(name)


def test_copy_does_not_overwrite(run: Run, tmp_path: Path) -> None:
    """A file that exists is left alone, and so is the tables file beside it."""
    (tmp_path / "neo-a.csv").write_text("mine")
    result = run("workload", "copy", "neo-a", tmp_path / "w.toml")
    assert result.exit_code == 1
    assert "neo-a.csv: exists already; --force overwrites it" in result.stderr
    assert (tmp_path / "neo-a.csv").read_text() == "mine"
    assert not (tmp_path / "w.toml").exists()
    assert (
        run("workload", "copy", "neo-a", tmp_path / "w.toml", "--force").exit_code == 0
    )
    assert run("workload", "validate", tmp_path / "w.toml").exit_code == 0


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("dgx-h10", "x.toml", "did you mean 'dgx-h100'?"),
        ("dgx-h100", "x.json", "must end in .toml"),
        ("./mine.toml", "x.toml", "only shipped entries are copied"),
        ("dgx-h100", "none/x.toml", "does not exist"),
    ],
)
def test_bad_copies(
    run: Run, tmp_path: Path, name: str, file: str, message: str
) -> None:
    """An unknown name, another format and a missing folder are errors."""
    result = run("topology", "copy", name, tmp_path / file)
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "typed", "found"),
    [
        (["solve", "w", "--solver"], "gr", ["greedy"]),
        (["study", "parameter-servers", "w", "--solver"], "l", ["ldm"]),
        (["solve", "w", "--target"], "hu", ["hugectr"]),
        (["solve", "w", "--topology"], "zionex", ["zionex"]),
        (["solve"], "neo-", ["neo-a", "neo-f", "neo-i"]),
        (["solve", "w", "--forbid"], "users:row", ["users:row_wise"]),
        (["solve", "w", "--cost-model"], "v1", ["v100"]),
        (["simulate", "plan.json", "--runtime"], "ea", ["eager"]),
        (["export", "plan.json", "--to"], "to", ["torchrec", "torchrec-reshard"]),
        (["topology", "copy"], "dgx-b", ["dgx-b200"]),
    ],
)
def test_completion(words: list[str], typed: str, found: list[str]) -> None:
    """The shell completes solvers, targets, runtimes, types and shipped names."""
    complete = ShellComplete(cli, {}, "shardplan", "_SHARDPLAN_COMPLETE")
    items = complete.get_completions(words, typed)
    assert [item.value for item in items] == found
