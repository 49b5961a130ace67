"""``shardplan network show``, and networks in ``topology show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def shown(run: Run, *arguments: str | Path) -> dict[str, Any]:
    result = run("network", "show", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_a_domain_has_curves_and_times(run: Run) -> None:
    """Coefficients with sources, what was measured, and times of 2 and 8 ranks."""
    data = shown(run, "nvlink4")
    assert data["measured_ranks"] == [2, 4, 8]
    assert {"topology": "dgx-h100", "place": "domain"} in data["used_by"]
    assert all(c["source"] and c["unit"] for c in data["coefficients"])
    assert data["line_bw"] == 450e9
    assert {t["num_ranks"] for t in data["times"]} == {2, 8}
    assert {t["num_hosts"] for t in data["times"]} == {1}
    assert all(t["time_s"] == sorted(t["time_s"]) for t in data["times"])
    text = run("network", "show", "nvlink4").stdout
    assert "all_reduce       8 ranks" in text
    assert "64 MiB" in text


def test_a_network_of_hosts_has_times_of_hosts(run: Run) -> None:
    """2, 8 and 16 hosts, at the highest rate of topologies that name it."""
    data = shown(run, "infiniband-rail")
    assert data["line_bw"] == 100e9
    assert [t["num_hosts"] for t in data["times"][:3]] == [2, 8, 16]
    slow = shown(run, "infiniband-rail", "--line-bw", "200 Gb/s")
    assert slow["line_bw"] == 25e9
    pairs = list(zip(data["times"], slow["times"], strict=True))
    assert all(b["time_s"][-1] > a["time_s"][-1] for a, b in pairs)
    assert pairs[0][0]["collective"] == "all_to_all"
    assert pairs[0][1]["time_s"][-1] > 3.8 * pairs[0][0]["time_s"][-1]


def test_a_file_that_nothing_names(run: Run, tmp_path: Path) -> None:
    """A network of one's own is shown between hosts, or by its curves."""
    file = tmp_path / "mine.toml"
    assert run("network", "copy", "ethernet-100", file).exit_code == 0
    changed = file.read_text().replace("value = 5e-05", "value = 7e-05")
    assert changed != file.read_text()
    file.write_text(changed)
    data = shown(run, file)
    assert data["used_by"] == []
    assert {t["num_hosts"] for t in data["times"]} == {2, 8, 16}


@pytest.mark.parametrize("rate", ["0", "nan", "400 GB", "-1"])
def test_a_rate_must_be_one(run: Run, rate: str) -> None:
    """Wrong usage is told."""
    result = run("network", "show", "nvlink4", "--line-bw", rate)
    assert result.exit_code == 2
    assert "--line-bw" in result.stderr


def test_topologies_name_their_networks(run: Run) -> None:
    """Text and JSON say which networks a topology has."""
    text = run("topology", "show", "dgx-h100").stdout
    assert "network nvlink4" in text
    assert "network infiniband-rail" in text
    data = json.loads(run("topology", "show", "dgx-h100", "--format", "json").stdout)
    assert data["networks"] == {
        "scale_up": {"dgx-h100": "nvlink4"},
        "fabric": "infiniband-rail",
    }


def test_topology_validate_reads_networks(run: Run, tmp_path: Path) -> None:
    """A network beside the topology is read with it; a wrong name is told by key."""
    file = tmp_path / "mine.toml"
    run("topology", "copy", "dgx-h100", file)
    text = file.read_text()
    file.write_text(text.replace('"infiniband-rail"', '"./rails.toml"'))
    missing = run("topology", "validate", file)
    assert missing.exit_code == 1
    assert "fabric.network" in missing.stdout
    run("network", "copy", "infiniband-rail", tmp_path / "rails.toml")
    assert run("topology", "validate", file).stdout == "valid: dgx-h100\n"
    file.write_text(text.replace('"nvlink4"', '"nvlnk4"'))
    wrong = run("topology", "validate", file)
    assert wrong.exit_code == 1
    assert "host_groups[0].scale_up.network = nvlnk4" in wrong.stdout
    assert "did you mean 'nvlink4'?" in wrong.stdout


def test_settings_name_networks(run: Run, small: Path) -> None:
    """``--set`` takes names; a wrong one is told with the key and the nearest."""
    given = ["solve", small, "--topology", "dgx-h100:2", "--solver", "greedy"]
    other = ["--set", "topology.fabric.network=roce-2021", "--format", "json"]
    slow = json.loads(run(*given, *other).stdout)["objective_s"]
    fast = json.loads(run(*given, "--format", "json").stdout)["objective_s"]
    assert slow > fast
    wrong = run(*given, "--set", "topology.fabric.network=roce-2012")
    assert wrong.exit_code == 1
    assert "topology.fabric.network = roce-2012" in wrong.stderr
    assert "did you mean 'roce-2021'?" in wrong.stderr
