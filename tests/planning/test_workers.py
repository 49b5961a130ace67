"""When a search takes several processes: never by surprise, never another plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shardplan.errors import InputError
from shardplan.planning import planner
from shardplan.planning.workers import shared
from shardplan.plans.plan_file import format_plan
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import Stop
from shardplan.solvers.crew.crew import Crew
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.registry import load_solver
from tests.helpers import assert_plan_valid, dlrm_like, two_hosts

ROOT = Path(__file__).resolve().parents[2]


def choose(
    workers: int = 2,
    name: str = "auto",
    objective: Objective = Objective.STEP,
    params: Any = DEFAULTS,
    **stop: float,
) -> tuple[object, object, str]:
    solver = load_solver(name)
    found, why = shared(solver, name, objective, params, workers, Stop(**stop))
    return solver, found, why


@pytest.mark.parametrize("objective", list(Objective))
def test_several(objective: Objective) -> None:
    """All objectives can be searched by several; the proof is then made by others."""
    solver, found, why = choose(objective=objective)
    assert not why
    assert isinstance(found, Crew)
    if objective in SUMS:
        assert not found.solver._params.strengthen
    else:
        assert found.solver is solver


@pytest.mark.parametrize("options", [{"workers": 1}, {"time_limit_s": 2.9}])
def test_one(options: dict[str, Any]) -> None:
    """One is wanted, or more would not be worth their start: nothing to be said."""
    solver, found, why = choose(**options)
    assert found is solver
    assert not why


_NO_PROOF = DEFAULTS.model_copy(
    update={"auto": DEFAULTS.auto.model_copy(update={"strengthen": False})}
)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "ldm"}, "solver ldm does not take more"),
        ({"work_limit": 1e4}, "a work limit counts the moves of one search"),
        ({"params": _NO_PROOF}, "the proof is switched off"),
    ],
)
def test_one_with_a_reason(options: dict[str, Any], text: str) -> None:
    """What was asked for and is not done is said."""
    solver, found, why = choose(**options)
    assert found is solver
    assert text in why


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**9, "2", True, None])
def test_wrong_values(value: object) -> None:
    """Refused before any work is done."""
    with pytest.raises(InputError, match=r"workers.*whole number from 1 to 64"):
        two_hosts().solve(workers=value)


@pytest.mark.parametrize("objective", list(Objective))
def test_work_limits_give_the_same_bytes(objective: Objective) -> None:
    """For any number of processes; a remark says that there is one."""
    results = [
        two_hosts().solve(objective, work_limit=500, workers=workers)
        for workers in (1, 2, 3, 4)
    ]
    plans = {format_plan(result.plan) for result in results}
    assert len(plans) == 1
    remarks = ["".join(result.remarks).count("One process") for result in results]
    assert remarks == [0, 1, 1, 1]


@pytest.mark.parametrize("objective", list(Objective))
def test_plans_of_several_are_valid(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan keeps all rules and proves its bound, that of other processes."""
    monkeypatch.setattr("shardplan.solvers.crew.worker._PATIENCE_S", 0.0)
    result = dlrm_like().solve(objective, workers=2, gap=0.5)
    assert_plan_valid(result.plan)
    assert result.bound == "proven"
    assert not result.remarks or "process" not in result.remarks[-1]


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """What calls it is not run again in other processes."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, shardplan\n"
        "result = shardplan.solve('dlrm-dcnv2', 'dgx-h100:2', time_limit_s=5, "
        "workers=2)\n"
        "print(json.dumps([result.status, result.plan.outcome.warnings]))\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    status, warnings = json.loads(done.stdout)
    assert status in ("feasible", "time_limit")
    assert warnings == []


def test_studies_have_one_process_per_point() -> None:
    """A point cannot ask for more: the pool of the study has as many as are wanted."""
    from shardplan.records.study import StudyBase

    assert "workers" not in StudyBase.model_fields
    assert planner.solve.__kwdefaults__["workers"] == 1
