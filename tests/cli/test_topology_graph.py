"""topology graph: routes, cuts and drawings of a cluster's links."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.costs.communication.graph import topology_graph
from shardplan.io.catalog import load_topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Run

LEAFS = """\
schema_version = 1
name = "two \\"leafs\\" \\\\"

[[host_groups]]
name = "gpus"
num_hosts = 4
local_world_size = 4
device = { name = "gpu", hbm_bytes = 80e9, hbm_bw = 2e12 }
host = { ddr_bytes = 1e12, ddr_bw = 4e11, pcie_bw = 2e10, ranks_per_pcie_link = 2 }
scale_up = { kind = "switch", domain_size = 4, bw = 1e11, latency_s = 2e-6 }
scale_out = { nics_per_host = 4, nic_bw = 1e10, latency_s = 6e-6 }

[fabric]
hosts_per_leaf = 2
oversubscription = 4.0
spine_latency_s = 1e-6
"""


@pytest.fixture
def leafs(tmp_path: Path) -> Path:
    """Four hosts of four ranks under two leafs, with an odd name."""
    path = tmp_path / "leafs.toml"
    path.write_text(LEAFS, encoding="utf-8")
    return path


def json_of(run: Run, *arguments: str | Path) -> dict[str, Any]:
    """Run the command for JSON."""
    result = run("topology", "graph", *arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_text(run: Run, leafs: Path, golden: Callable[[str, str], None]) -> None:
    """Links by kind, the route link by link, the cut and the fullest link."""
    asked = ("--route", "0", "15", "--ranks", "0-7")
    golden("cli/topology-graph.txt", run("topology", "graph", leafs, *asked).stdout)


def test_json_is_the_graph(run: Run) -> None:
    """All nodes and links of the graph, by names that are unique."""
    data = json_of(run, "dgx-h100:2")
    assert (data["name"], data["world_size"]) == ("dgx-h100", 16)
    assert (data["route"], data["group"]) == (None, None)
    graph = topology_graph(load_topology("dgx-h100:2"))
    assert [node["id"] for node in data["nodes"]] == [f"{k} {i}" for k, i in graph]
    ranks = [node["host"] for node in data["nodes"] if node["kind"] == "rank"]
    assert ranks == [0] * 8 + [1] * 8
    assert {
        (frozenset((f"{a[0]} {a[1]}", f"{b[0]} {b[1]}")), link["bandwidth"])
        for a, b, link in graph.edges(data=True)
    } == {(frozenset((k["source"], k["target"])), k["bw"]) for k in data["links"]}


def test_a_route(run: Run, leafs: Path) -> None:
    """From rank to rank over the spine: the narrowest link and all latencies."""
    route = json_of(run, leafs, "--route", "15", "0")["route"]
    nodes = [link["source"] for link in route["links"]]
    assert nodes == [
        *("rank 15", "pcie 7", "nics 3", "leaf 1", "spine 0"),
        *("leaf 0", "nics 0", "pcie 0"),
    ]
    assert route["links"][-1]["target"] == "rank 0"
    # A PCIe link's half of 40 GB/s of NICs; an uplink has 80 GB/s / 4, too.
    assert route["bw"] == 2e10
    # 6 us on the NICs and 1 us over the spine.
    assert route["latency_s"] == pytest.approx(7e-6)


def test_a_group(run: Run, leafs: Path) -> None:
    """Two hosts meet the others over one uplink, which fills first among all."""
    group = json_of(run, leafs, "--ranks", "0-7")["group"]
    assert group["ranks"] == list(range(8))
    assert group["cut_bw"] == 2e10
    # 4 ranks send 4 each over 40 GB/s; a rank sends 3 at 100 GB/s inside.
    assert (group["bottleneck"]["source"], group["bottleneck"]["target"]) == (
        *("nics 0", "leaf 0"),
    )
    everyone = json_of(run, leafs, "--ranks", "0-15")["group"]
    assert everyone["cut_bw"] is None
    assert everyone["bottleneck"]["target"] == "spine 0"
    one = json_of(run, leafs, "--ranks", "3,3")["group"]
    assert (one["ranks"], one["bottleneck"]) == ([3], None)


def test_a_drawing(run: Run, leafs: Path, tmp_path: Path) -> None:
    """Every link has a line, the route in bold; names cannot end their quotes."""
    file = tmp_path / "links.dot"
    asked = ("--format", "dot", "--route", "0", "1", "-o", str(file))
    assert run("topology", "graph", leafs, *asked).stdout == ""
    text = file.read_text(encoding="utf-8")
    assert text.startswith('graph "two \\"leafs\\" \\\\" {\n')
    links = re.findall(r'^  ("\w+ \d+" -- "\w+ \d+") \[(.+)\];$', text, re.MULTILINE)
    assert len(links) == len(json_of(run, leafs)["links"])
    assert [ends for ends, style in links if "bold" in style] == [
        *('"rank 0" -- "domain 0"', '"rank 1" -- "domain 0"'),
    ]


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (("--route", "0", "16"), "there is no rank 16: the last one is 15"),
        (("--route", "3", "3"), "needs two ranks that differ"),
        (("--route", "0", "x"), "not a valid"),
        (("--route", "0"), "requires 2 arguments"),
        (("--ranks", "4-99"), "there is no rank 99: the last one is 15"),
        (("--ranks", ""), "must look like '0-7,12'"),
        (("--format", "svg"), "'svg' is not one of"),
    ],
)
def test_wrong_usage(run: Run, leafs: Path, asked: tuple[str, ...], rule: str) -> None:
    """What cannot be asked is said, with code 2 and no output."""
    result = run("topology", "graph", leafs, *asked)
    assert (result.exit_code, result.stdout) == (2, "")
    assert rule in result.stderr


def test_unknown_topology(run: Run) -> None:
    """A wrong name is an error of the input."""
    result = run("topology", "graph", "dgx-h10")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean" in result.stderr
