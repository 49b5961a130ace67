"""``shardplan network fit``: from files of nccl-tests to a network of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shardplan.io.catalog import load_network, load_topology
from shardplan.simulation.collective_times import Bench
from tests.calibration.written import write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

INSIDE = load_network("nvlink4")
LIKE = ("--like", "infiniband-rail", "--line-bw", "400 Gb/s")


@pytest.fixture
def all_to_all(tmp_path: Path) -> str:
    """What alltoall_perf wrote on two hosts."""
    bench = Bench(2, 8, 50e9, INSIDE)
    return write(tmp_path, "a2a.json", "ethernet-400", bench, "all_to_all")


def test_a_fit_becomes_a_network(run: Run, all_to_all: str, tmp_path: Path) -> None:
    """It is valid, a topology may name it, and the report says what was kept."""
    file = tmp_path / "mine.toml"
    result = run("network", "fit", all_to_all, *LIKE, "-o", file)
    assert result.exit_code == 0, result.output
    assert "reduce of infiniband-rail, not measured" in result.stdout
    assert run("network", "validate", file).stdout == "valid: mine\n"
    found = load_network(file).all_to_all
    truth = load_network("ethernet-400").all_to_all
    assert found.latency_s.value == pytest.approx(truth.latency_s.value, rel=0.02)
    assert found.bw_efficiency.value == pytest.approx(0.6, rel=0.02)
    cluster = tmp_path / "cluster.toml"
    run("topology", "copy", "dgx-h100", cluster)
    text = cluster.read_text().replace('"infiniband-rail"', '"./mine.toml"')
    cluster.write_text(text)
    network = load_topology(cluster).fabric.network
    assert network == load_network(file)


def test_the_report_in_json(run: Run, all_to_all: str, tmp_path: Path) -> None:
    """Points, residuals, ranges, and what was kept."""
    file = tmp_path / "mine.toml"
    result = run(
        *("network", "fit", all_to_all, *LIKE, "-o", file, "--name", "own"),
        *("--format", "json"),
    )
    data = json.loads(result.stdout)
    assert (data["name"], data["like"]) == ("own", "infiniband-rail")
    assert data["kept_operations"] == ["reduce"]
    (operation,) = data["operations"]
    assert operation["num_points"] == 12
    assert operation["mean_error"] < 0.01
    assert {c["name"] for c in operation["coefficients"]} == {
        *("latency_s", "bw_efficiency", "exponent")
    }
    assert all(
        c["range"][0] < c["value"] < c["range"][1] for c in operation["coefficients"]
    )
    assert data["benchmarks"][0]["left_out"] == {}


def test_on_standard_output_is_the_network_alone(run: Run, all_to_all: str) -> None:
    """``-o -`` writes the file, and no report."""
    result = run("network", "fit", all_to_all, *LIKE, "-o", "-")
    assert result.stdout.startswith("# Fitted by shardplan network fit at 5e+10")
    assert "Residuals" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--like", "infiniband-rial"), 1, "did you mean 'infiniband-rail'?"),
        (("--line-bw", "400 Gb/s"), 1, "--like: is needed"),
        (("--line-bw", "fast"), 2, "--line-bw"),
        (("--like", "infiniband-rail"), 1, "--line-bw: is needed"),
        ((*LIKE, "--ranks-per-host", "5"), 1, "no multiple of the 5"),
        ((*LIKE, "--inside", "nvlnk4"), 1, "did you mean 'nvlink4'?"),
        ((*LIKE, "--name", " x"), 1, "name"),
    ],
)
def test_wrong_arguments(
    run: Run,
    all_to_all: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    """Told by name; nothing is written."""
    file = tmp_path / "mine.toml"
    result = run("network", "fit", all_to_all, *arguments, "-o", file)
    assert result.exit_code == code
    assert message in result.stderr
    assert not file.exists()


def test_what_is_no_toml(run: Run, all_to_all: str, tmp_path: Path) -> None:
    """The format follows the name everywhere."""
    result = run("network", "fit", all_to_all, *LIKE, "-o", tmp_path / "mine.json")
    assert result.exit_code == 2
    assert "must end in .toml" in result.stderr
    nameless = run("network", "fit", "all_reduce=", *LIKE, "-o", tmp_path / "a.toml")
    assert nameless.exit_code == 1
    assert "'': is no path: name a file" in nameless.stderr
    missing = run("network", "fit", "none.json", *LIKE, "-o", tmp_path / "mine.toml")
    assert missing.exit_code == 1
    assert "none.json" in missing.stderr
