"""The frozen catalogue loads, and says what it said."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from shardplan.checking import check
from shardplan.planning.planner import solve
from shardplan.simulation import simulate
from tests.benchmarks.frozen import FOLDER, frozen_cost_model, frozen_topology

TOPOLOGIES = sorted(path.stem for path in (FOLDER / "topologies").glob("*.toml"))
COST_MODELS = sorted(path.stem for path in (FOLDER / "cost_models").glob("*.toml"))


def _changed(written: Any, loaded: Any, key: str = "") -> list[str]:
    """Return where a record does not hold what its file says."""
    if isinstance(written, dict):
        return [
            fault
            for name, value in written.items()
            for fault in _changed(value, (loaded or {}).get(name), f"{key}.{name}")
        ]
    if isinstance(written, list):
        return [
            fault
            for index, (value, other) in enumerate(zip(written, loaded, strict=True))
            for fault in _changed(value, other, f"{key}[{index}]")
        ]
    return [] if str(written) == str(loaded) or written == loaded else [key]


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topology_is_what_its_file_says(name: str) -> None:
    """Every value of the file arrives in the record."""
    text = (FOLDER / "topologies" / f"{name}.toml").read_text(encoding="utf-8")
    assert _changed(tomllib.loads(text), frozen_topology(name).model_dump()) == []


@pytest.mark.parametrize("name", COST_MODELS)
def test_cost_model_is_what_its_file_says(name: str) -> None:
    """Every value of the file arrives in the record."""
    text = (FOLDER / "cost_models" / f"{name}.toml").read_text(encoding="utf-8")
    assert _changed(tomllib.loads(text), frozen_cost_model(name).model_dump()) == []


def test_all_of_it_is_here() -> None:
    """The catalogue of that commit had twelve topologies and seven cost models."""
    assert len(TOPOLOGIES) == 12
    assert COST_MODELS == ["a100", "b200", "cpu", "h100", "h200", "torchrec", "v100"]


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topology_still_plans(name: str) -> None:
    """Every machine of then goes through today's line, with its cost model of then."""
    topology = frozen_topology(name)
    assert topology.cost_model is not None
    model = frozen_cost_model(topology.cost_model)
    plan = solve(
        "dlrm-s", topology, cost_model=model, solver="greedy", objective="step"
    ).plan
    assert check(plan) == ()
    assert simulate(plan).step_time_s > 0


def test_capacities_are_those_of_then() -> None:
    """Targets depend on what fits: the data sheets' decimal gigabytes."""
    capacities = {
        name: frozen_topology(name).host_groups[0].device.hbm_bytes / 1e9
        for name in ("dgx-a100-40", "dgx-h100", "dgx-h200", "dgx-b200", "gb200-nvl72")
    }
    assert list(capacities.values()) == [40, 80, 141, 180, 186]


def test_predictions_with_the_frozen_catalogue(golden: Any) -> None:
    """Steps are pinned, so that a change of formulas that moves targets is seen."""
    lines = []
    for workload, name, hosts in (
        ("dlrm-dcnv2", "dgx-h100", 1),
        ("dlrm-dcnv2", "dgx-h100", 8),
        ("dlrm-dcnv2", "dgx-b200", 1),
        ("merlin-medium", "dgx-a100-80", 2),
        ("dlrm-v1", "cpu-host", 4),
    ):
        topology = frozen_topology(name, hosts)
        assert topology.cost_model is not None
        model = frozen_cost_model(topology.cost_model)
        plan = solve(
            workload, topology, cost_model=model, solver="greedy", objective="step"
        ).plan
        lines.append(f"{workload} {name}:{hosts}: {simulate(plan).step_time_s:.4g}")
    golden("frozen.txt", "\n".join(lines) + "\n")
