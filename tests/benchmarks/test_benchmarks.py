"""The benchmark is fair: what it draws, what it runs and how it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.costs.scopes import Scope
from shardplan.planning.planner import _solver
from shardplan.records.sharding import Objective, Target
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.registry import load_solver
from tests.benchmarks.baselines import BASELINES, NeuroShard
from tests.benchmarks.cases import GRID
from tests.benchmarks.families import Family, family_problem
from tests.benchmarks.instances import _whole_bytes
from tests.benchmarks.measure import run_solver
from tests.benchmarks.summary import beaten_by, gap, text, to_greedy

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


def drawn(family: Family, seed: int = 0) -> Problem:
    return family_problem(family, seed, 40, 8, Objective.STEP)


@pytest.mark.parametrize("family", Family)
def test_problems_are_drawn_from_the_seed(family: Family) -> None:
    """One seed is one problem; another seed is another one, unless all are equal."""
    first, again, other = drawn(family), drawn(family), drawn(family, seed=1)
    assert first.usage.workload == again.usage.workload
    assert (first.capacity.rank_hbm == again.capacity.rank_hbm).all()
    assert (first.capacity.rank_hbm != other.capacity.rank_hbm).any()


def test_tight_memory_is_98_percent_full() -> None:
    """The tables, each whole on a rank, fill 98 % of the HBM for embeddings."""
    problem = family_problem(Family.TIGHT, 0, 400, 8, Objective.STEP)
    menu = problem.options
    whole = (menu.scope == Scope.RANK) & (menu.column_shards == 1)
    assert len(set(menu.table[whole])) == 400
    fill = _whole_bytes(problem) / problem.capacity.rank_hbm.sum()
    assert fill == pytest.approx(0.98, abs=2e-3)


@pytest.mark.parametrize("family", [Family.HBM, Family.DDR, Family.EQUAL])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_make_plans_that_fit(name: str, family: Family) -> None:
    """A baseline's plan holds every table in columns on ranks with room for them."""
    problem = drawn(family)
    stop = Stop(time_limit_s=2.0)
    found = BASELINES[name].solve(problem, stop, 0, Silent()).assignment
    if found is None:
        pytest.skip("no plan")
    menu = problem.options
    assert (menu.table[found.option] == range(problem.num_bundles)).all()
    assert (menu.scope[found.option] == Scope.RANK).all()
    counts = [menu.num_places(int(option)) for option in found.option]
    assert [len(places) for places in found.places] == counts
    assert problem.loads(found).fits(problem.capacity)


def test_beam_search_never_worsens_with_more_rounds() -> None:
    """The search keeps its best plan."""
    problem = drawn(Family.HBM)
    values = []
    for rounds in (0, 1, 3):
        found = NeuroShard(rounds=rounds).solve(problem, Stop(), 0, Silent())
        assert found.assignment is not None
        values.append(problem.value(found.assignment))
    assert values == sorted(values, reverse=True)


def test_names_of_cases_are_unique() -> None:
    """Results are kept by the name of the case."""
    assert len({case.name for case in GRID}) == len(GRID)


def test_results_are_compared_with_greedy_and_with_the_bound() -> None:
    """Ratios are to greedy's value, gaps to the bound of auto; the best wins."""
    runs = [
        _run("auto", 3.0, bound_s=2.0, progress=[(0.1, 4.0), (5.0, 3.0)]),
        _run("greedy", 4.0, progress=[(0.1, 4.0)]),
        _run("size", None),
        _run("dim", 2.5, progress=[(0.1, 2.5)]),
    ]
    result = {"seed": 0, "options": 1, "build_s": 0.0, "runs": runs}
    assert gap(result) == 0.5
    assert gap(result, 1.0) == 1.0
    assert gap(result, 0.0) == float("inf")
    assert to_greedy(result, "auto") == 0.75
    assert to_greedy(result, "size") == float("inf")
    assert to_greedy(result, "ldm") is None
    assert beaten_by(result) == ["dim"]
    assert f"| {GRID[0].name} | 0.750 |" in text([(GRID[0], result)])


def _run(solver: str, value_s: float | None, **more: object) -> dict[str, object]:
    names = ("bound_s", "solve_s", "cpu_s", "proof_s", "memory_gib", "limit_s")
    rest = {**dict.fromkeys(names, 0.0), "error": "", "status": "", "progress": []}
    rest["step_s"] = None
    return {"solver": solver, "value_s": value_s, "other_s": value_s, **rest, **more}


def test_objective_time_is_beside_step() -> None:
    """Plans of the same problems are compared by their simulated steps."""
    kept = {"options": 1, "build_s": 0.0, "seed": 0}
    results = []
    for case in GRID:
        if case.source == ("dlrm-dcnv2", "dgx-h100", 8, Target.ANY):
            step_s = 0.002 if case.objective is Objective.TIME else 0.004
            run = _run("auto", 0.0019, step_s=step_s, progress=[(0.1, 0.0019)])
            greedy = _run("greedy", 0.003, progress=[(0.1, 0.003)])
            results.append((case, {**kept, "runs": [run, greedy]}))
    assert len(results) == 2
    row = "| dlrm-dcnv2 dgx-h100 26x64 | no bound | 1.900 ms | 2.000 ms | 0.500 | 1 |"
    assert row in text(results)


def test_a_run_under_time_is_simulated() -> None:
    """Its value is a step, which the simulator confirms; the bound may be missing."""
    problem = family_problem(Family.HBM, 0, 40, 8, Objective.TIME)
    solver = _solver("auto", Objective.TIME, DEFAULTS)
    run = run_solver(problem, "auto", solver, 1.0, 0)
    assert run.value_s is not None
    assert run.step_s == pytest.approx(run.value_s, rel=0.1)
    assert 0 <= run.bound_s <= run.value_s
    assert run.other_s is None


def test_a_run_is_certified_and_recorded() -> None:
    """`auto` comes with a bound that was verified, and with its progress."""
    run = run_solver(drawn(Family.HBM), "auto", load_solver("auto"), 1.0, 0)
    assert run.value_s is not None
    assert 0 < run.bound_s <= run.value_s
    assert run.progress[-1][1] == pytest.approx(run.value_s)
    assert run.memory_gib > 0
