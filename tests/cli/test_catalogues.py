"""topology, workload, cost-model, network: list, show, validate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shardplan.io import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Run

DATA = Path(__file__).resolve().parents[1] / "data"
KINDS = {
    "topology": "topologies",
    "workload": "workloads",
    "cost-model": "cost_models",
    "network": "networks",
}


@pytest.mark.parametrize("kind", KINDS)
def test_list_text(run: Run, golden: Callable[[str, str], None], kind: str) -> None:
    """The list of a catalogue is as it was agreed."""
    golden(f"cli/{kind}-list.txt", run(kind, "list").stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_list_json_has_all_names(run: Run, kind: str) -> None:
    """The JSON list has every shipped entry, sorted."""
    data = json.loads(run(kind, "list", "--format", "json").stdout)
    assert [e["name"] for e in data[KINDS[kind]]] == catalog.names(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_show_every_entry(run: Run, kind: str) -> None:
    """Every shipped entry can be shown as text and as JSON with its definition."""
    for name in catalog.names(KINDS[kind]):
        assert name in run(kind, "show", name).stdout
        data = json.loads(run(kind, "show", name, "--format", "json").stdout)
        assert data["definition"]["name"] == name


def test_show_topology_with_hosts(run: Run) -> None:
    """NAME:HOSTS shows the cluster of that size."""
    data = json.loads(run("topology", "show", "dgx-h100:4", "--format", "json").stdout)
    assert (data["num_hosts"], data["world_size"]) == (4, 32)
    assert data["hbm_bytes"] == 32 * 81_559 * 2**20


def test_show_workload_limit(run: Run) -> None:
    """--limit cuts the list of tables and says how many are left out."""
    text = run("workload", "show", "dlrm-v1", "--limit", "3").stdout
    assert "... and 23 more" in text
    data = json.loads(
        run("workload", "show", "dlrm-v1", "--limit", "3", "--format", "json").stdout
    )
    assert [t["name"] for t in data["tables"]] == ["cat_19", "cat_0", "cat_21"]
    assert len(data["definition"]["tables"]) == 26


def test_show_workload_lists_blocks(run: Run) -> None:
    """Blocks with their weights and their work for a sample."""
    text = run("workload", "show", "dlrm-v4").stdout
    assert "Dense layers, per sample" in text
    assert "Dense layers" not in run("workload", "show", "dlrm-v1").stdout
    shown = run("workload", "show", "dlrm-v4", "--format", "json").stdout
    blocks = {block["name"]: block for block in json.loads(shown)["dense_blocks"]}
    assert blocks["stu"]["parameters"] == 5_517_312
    forward, backward = blocks["stu"]["forward_flops"], blocks["stu"]["backward_flops"]
    # Twice forward, five products of attention for two, and a product once more.
    assert 2.4 < backward / forward < 2.6


def test_simulate_tells_the_time_to_the_target(run: Run, tmp_path: Path) -> None:
    """Start, steps and evaluations, where the workload has a run."""
    plan = tmp_path / "plan.json"
    solve = ("solve", "dlrm-v4", "--topology", "mi350x", "--solver", "greedy")
    assert run(*solve, "-o", plan).exit_code == 0
    result = run("simulate", plan, "--runtime", "dlrm-v4")
    assert "time to target  7." in result.stdout
    assert "start 0.28 h, 26,001 steps" in result.stdout
    data = json.loads(run("simulate", plan, "--format", "json").stdout)["run"]
    parts = data["start_s"] + data["steps_s"] + data["evaluations_s"]
    assert data["total_s"] == pytest.approx(parts)
    assert data["steps"] == 26_001


def test_a_short_run_is_told_in_seconds(run: Run, tmp_path: Path) -> None:
    """A start of 2.5 s is no 0.00 h, and one of 720 s is 0.20 h."""
    plan = tmp_path / "plan.json"
    solve = ("solve", "movielens-ncf", "--topology", "dgx-a100-80", "-o", plan)
    for seconds, text in ((2.5, "start 2.500 s,"), (720, "start 0.20 h,")):
        value = f"workload.run={{samples=5,start_s={seconds}}}"
        assert run(*solve, "--solver", "greedy", "--set", value).exit_code == 0
        assert text in run("simulate", plan).stdout


def test_show_cost_model_has_sources(run: Run) -> None:
    """Every coefficient comes with a unit and a source."""
    data = json.loads(run("cost-model", "show", "h100", "--format", "json").stdout)
    assert len(data["coefficients"]) > 20
    assert all(c["unit"] and c["source"] for c in data["coefficients"])


@pytest.mark.parametrize("kind", KINDS)
def test_validate_accepts(run: Run, kind: str) -> None:
    """A good file is called valid by the name that it has."""
    file = DATA / "valid" / f"{kind.replace('-', '_')}.toml"
    result = run(kind, "validate", file)
    assert result.exit_code == 0
    assert result.stdout.startswith("valid: ")


def test_validate_looks_for_the_cost_model(run: Run, tmp_path: Path) -> None:
    """A topology that names a cost model which is not there is not valid."""
    text = (DATA / "valid" / "topology.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"
    top, groups = text.split("[[host_groups]]", 1)
    lines = [line for line in top.split("\n") if not line.startswith("cost_model")]
    top = "\n".join([*lines, 'cost_model = "h10"', ""])
    file.write_text(f"{top}\n[[host_groups]]{groups}", encoding="utf-8")
    result = run("topology", "validate", file)
    assert result.exit_code == 1
    assert "cost_model = 'h10'" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("kind", "name"),
    [("topology", "several_problems"), ("workload", "tables_file_and_more")],
)
def test_validate_shows_all_problems(run: Run, kind: str, name: str) -> None:
    """Every problem of a broken file is on a line of its own, unfolded; code 1."""
    file = DATA / "broken" / kind / f"{name}.toml"
    result = run(kind, "validate", file)
    data = json.loads(run(kind, "validate", file, "--format", "json").stdout)
    assert result.exit_code == 1
    assert data["status"] == "invalid"
    assert len(data["problems"]) > 2
    shown = result.stdout.splitlines()
    assert len(shown) == len(data["problems"])
    assert shown == [line for line in shown if line.startswith(str(file.parent))]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_name_has_suggestion(run: Run, kind: str) -> None:
    """A typo in a shipped name is answered by the nearest name."""
    name = catalog.names(KINDS[kind])[0]
    result = run(kind, "show", name + "q")
    assert result.exit_code == 1
    assert f"did you mean {name!r}" in result.stderr
    assert result.stdout == ""


def test_table_names_are_plain_text(run: Run, tmp_path: Path) -> None:
    """Names that look like markup are shown as they are."""
    file = tmp_path / "odd.toml"
    name = "[bold]x[/bold] :smile:"
    file.write_text(
        "schema_version = 1\nname = 'odd'\nbatch_size = 8\n"
        f"tables = [{{ name = '{name}', num_embeddings = 8, embedding_dim = 4 }}]\n",
        encoding="utf-8",
    )
    assert name in run("workload", "show", file).stdout
