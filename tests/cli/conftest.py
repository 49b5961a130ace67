"""Run the command line in this process, and plans to run it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from click.testing import CliRunner

from shardplan.cli.main import cli
from shardplan.studies.runner import run as run_study
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

WORKLOAD = """\
schema_version = 1
name = "small"
global_batch_size = 4096
access = { kind = "zipf", alpha = 1.1 }
tables = [
  { name = "users", num_embeddings = 20_000_000, embedding_dim = 128 },
  { name = "items", num_embeddings = 5_000_000, embedding_dim = 64 },
  { name = "tags", num_embeddings = 30_000, embedding_dim = 32, pooling_factor = 20 },
  { name = "days", num_embeddings = 7, embedding_dim = 16 },
]

[dense]
num_dense = 13
bottom_mlp = [64, 16]
top_mlp = [64, 1]
"""


STUDY = """\
schema_version = 1
name = "hosts-and-rows"

[base]
workload = "small.toml"
topology = "dgx-h100"

[axes]
hosts = [1, 2]
"workload.tables.*.dtype" = ["fp32", "fp16"]
"""


class Run(Protocol):
    """Runs ``shardplan`` with arguments."""

    def __call__(self, *arguments: str | Path) -> Result: ...


@pytest.fixture(scope="session")
def run() -> Run:
    """Run ``shardplan`` in this process; an unexpected exception fails the test."""

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(
            cli, list(map(str, arguments)), prog_name="shardplan", terminal_width=80
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workload file of four tables."""
    path = tmp_path_factory.mktemp("workloads") / "small.toml"
    path.write_text(WORKLOAD, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def study_file(small: Path) -> Path:
    """A study of four points of the small workload."""
    path = small.parent / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def study_results(run: Run, study_file: Path) -> Path:
    """Its results."""
    path = study_file.parent / "results"
    result = run("study", "run", study_file, "-o", path, "--workers", "1")
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def soon() -> tuple[str, ...]:
    """Options of a search on two hosts that ends soon, at the same plan everywhere."""
    return ("--topology", "dgx-h100:2", "--work-limit", "2000")


@pytest.fixture(scope="session")
def plan_file(run: Run, small: Path, soon: tuple[str, ...]) -> Path:
    """A plan of the small workload for two hosts."""
    path = small.parent / "plan.json"
    result = run("solve", small, *soon, "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def sum_plan_file(run: Run, small: Path, soon: tuple[str, ...]) -> Path:
    """A plan of the same workload for the sum over phases."""
    path = small.parent / "sum.json"
    result = run("solve", small, *soon, "--objective", "step", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def other_plan_file(run: Run, small: Path, soon: tuple[str, ...]) -> Path:
    """A plan of the same workload in which no rows are cut and nothing copied."""
    text = WORKLOAD + '\n[constraints]\nsharding_types = ["table_wise"]\n'
    workload = small.parent / "whole.toml"
    workload.write_text(text, encoding="utf-8")
    path = small.parent / "whole.json"
    result = run("solve", workload, *soon, "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def tampered(plan_file: Path, tmp_path: Path) -> Path:
    """A plan that claims another objective than it has."""
    import json

    data = json.loads(plan_file.read_text(encoding="utf-8"))
    data["outcome"]["objective_s"] *= 2
    path = tmp_path / "tampered.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of results of twelve points, of which six fit nowhere."""
    folder = tmp_path_factory.mktemp("quick")
    run_study(quick.write(folder), folder / "results")
    return folder / "results"
