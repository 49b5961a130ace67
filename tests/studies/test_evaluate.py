"""Columns of a point say what the planner and the simulation say."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.plans.plan_file import format_plan
from shardplan.simulation import simulate
from shardplan.studies import run
from shardplan.studies.columns import RESULTS
from shardplan.studies.evaluate import error_values, evaluate_point, solve_point
from shardplan.studies.expand import expand
from shardplan.studies.resolve import Resolver
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.studies.resolve import ResolvedPoint

SERVERS = """\
schema_version = 1
name = "servers"

[base]
kind = "parameter-servers"
workload = "merlin-tiny"
topology = "cpu-host"

[axes]
"parameter_servers.mode" = ["synchronous", "bounded_staleness", "asynchronous"]

[parameter_servers]
workers = 8
servers = 4
batch_size = 1000
"""


@pytest.fixture
def points(tmp_path: Path) -> list[ResolvedPoint]:
    spec = quick.spec(tmp_path)
    resolver = Resolver(spec)
    return [resolver.resolve(point) for point in expand(spec)]


def test_a_plan(points: list[ResolvedPoint]) -> None:
    """Each column is that of the plan that is found again, or of its simulation."""
    point = points[6]
    row, result = evaluate_point(point), solve_point(point)
    assert list(row) == [column.name for column in RESULTS]
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    step = simulate(result.plan)
    ranks = point.inputs.topology.world_size
    expected = {
        "status": "feasible",
        "feasible": True,
        "hosts": 2,
        "world_size": ranks,
        "objective_s": result.objective_s,
        "lower_bound_s": result.lower_bound_s,
        "gap": result.gap,
        "step_time_s": step.step_time_s,
        "throughput_samples_per_s": step.throughput_samples_per_s,
        "throughput_per_rank": step.throughput_samples_per_s / ranks,
        "plan_sha256": sha256(format_plan(result.plan).encode()).hexdigest(),
        "shortfall_tier": None,
    }
    assert {name: row[name] for name in expected} == expected
    memory = step.memory
    fill = (memory.hbm_bytes / memory.hbm_capacity_bytes).max()
    assert row["hbm_fill"] == pytest.approx(fill)
    exposed = step.exposed_s_by_stage()
    assert exposed[row["bottleneck"]] == max(exposed.values())


def test_what_fits_nowhere(points: list[ResolvedPoint]) -> None:
    row = evaluate_point(points[1])
    assert (row["status"], row["feasible"]) == ("infeasible", False)
    assert row["shortfall_bytes"] > 0
    assert row["hosts"] == 1
    assert row["step_time_s"] is row["plan_sha256"] is None
    assert "\n" not in row["message"]


def test_an_error() -> None:
    row = error_values(ValueError("one\ntwo"))
    assert row["status"] == "error"
    assert row["message"] == "ValueError: one; two"
    assert {row[c.name] for c in RESULTS if c.name not in ("status", "message")} == {
        None
    }


def test_parameter_servers_of_all_modes(tmp_path: Path) -> None:
    """The more staleness, the more samples per second; there is no plan."""
    path = tmp_path / "servers.toml"
    path.write_text(SERVERS, encoding="utf-8")
    found = run(path)
    rows: list[dict[str, Any]] = [dict(row.values) for row in found.rows]
    assert found.counts == {"feasible": 3}
    speeds = [row["throughput_samples_per_s"] for row in rows]
    assert speeds == sorted(speeds)
    for row in rows:
        assert (row["hosts"], row["world_size"]) == (12, 8)
        assert row["throughput_per_rank"] == pytest.approx(
            row["throughput_samples_per_s"] / 8
        )
        assert row["plan_sha256"] is row["objective_s"] is None
