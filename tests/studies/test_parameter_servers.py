"""Parameter servers beside a plan: closed forms of a worker's step, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from shardplan.cli.main import cli
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.planning.planner import solve
from shardplan.records.inputs import Inputs
from shardplan.simulation import simulate
from shardplan.studies.parameter_servers import ServerSetup, compare, worker_step

PAGE = Path(__file__).resolve().parents[2] / "docs/how-it-works/parameter-servers.md"
SETUP = ServerSetup(num_workers=8, num_servers=4, batch_size=1000)


@pytest.fixture(scope="module")
def hosts() -> Inputs:
    """The smallest shipped model on a CPU host."""
    return Inputs(
        workload=load_workload("merlin-tiny"),
        topology=load_topology("cpu-host"),
        cost_model=load_cost_model("cpu"),
    )


def test_bytes_of_a_worker(hosts: Inputs) -> None:
    """Outputs and weights in; ids, lengths, gradients and weights out."""
    workload = hosts.workload
    columns = sum(t.embedding_dim * t.num_outputs for t in workload.tables)
    ids = sum(t.pooling_factor * t.coverage for t in workload.tables)
    lengths = sum(t.num_outputs for t in workload.tables)
    step = worker_step(hosts, SETUP)
    index = 1000 * (ids + lengths) * workload.index_bytes
    assert step.pushed_bytes - step.pulled_bytes == pytest.approx(index)
    empty = worker_step(hosts, ServerSetup(8, 4, 2000))
    assert empty.pulled_bytes - step.pulled_bytes == pytest.approx(1000 * columns * 4)


def test_servers_are_shared(hosts: Inputs) -> None:
    """Twice the workers take twice of each server; twice the servers undo it."""
    base = worker_step(hosts, SETUP)
    more = worker_step(hosts, ServerSetup(16, 4, 1000))
    assert more.server_nic_s == pytest.approx(2 * base.server_nic_s)
    assert more.server_memory_s == pytest.approx(2 * base.server_memory_s)
    assert more.worker_nic_s == base.worker_nic_s
    both = worker_step(hosts, ServerSetup(16, 8, 1000))
    assert both.step_s == pytest.approx(base.step_s)


def test_overlap(hosts: Inputs) -> None:
    """The longest part beside the others, or computation and exchange in a row."""
    step = worker_step(hosts, SETUP)
    exchange = max(step.worker_nic_s, step.server_nic_s, step.server_memory_s)
    assert step.step_s == pytest.approx(max(step.compute_s, exchange))
    apart = worker_step(hosts, ServerSetup(8, 4, 1000, overlaps=False))
    assert apart.step_s == pytest.approx(step.compute_s + exchange)


def test_systems_in_order(hosts: Inputs) -> None:
    """The more staleness, the more throughput; a plan's is that of its simulation."""
    plan = solve("merlin-tiny", "dgx-a100-40", solver="greedy").plan
    data = compare(plan, hosts, SETUP, staleness=(0, 1, 8))
    speeds = [one["throughput_samples_per_s"] for one in data["systems"]]
    assert speeds[:5] == sorted(speeds[:5])
    assert speeds[0] == pytest.approx(speeds[1])
    assert speeds[-1] == simulate(plan).throughput_samples_per_s
    assert data["systems"][-2]["speedup"] == pytest.approx(1.0)


def run(*arguments: str) -> Any:
    """Run the study of the smallest model."""
    study = ["study", "parameter-servers", "merlin-tiny", "--topology", "dgx-a100-40"]
    return CliRunner().invoke(cli, [*study, *arguments])


def test_the_page_documents_the_json() -> None:
    """Every key and every system of the JSON is on the page."""
    result = run("--workers", "4", "--staleness", "2", "--format", "json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [one["system"] for one in data["systems"]] == [
        *("synchronous", "bounded_staleness", "asynchronous", "shardplan")
    ]
    keys = {*data, *data["setup"], *data["worker"], *data["systems"][0]}
    names = {one["system"] for one in data["systems"]}
    page = PAGE.read_text(encoding="utf-8")
    assert not [name for name in keys | names if f"`{name}`" not in page]


def test_text_and_wrong_use() -> None:
    """The text names every system; zero workers are wrong usage."""
    result = run("--servers", "2")
    assert result.exit_code == 0, result.output
    assert "servers, at most 8 steps ahead" in result.stdout
    assert run("--workers", "0").exit_code == 2
