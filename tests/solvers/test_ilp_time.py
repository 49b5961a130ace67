"""The integer program of the predicted step against brute force, and its manners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.planning.planner import integer_program
from shardplan.problems.legality import faults
from shardplan.problems.problem import Assignment, build_problem
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.ilp import cbc, model, solution
from shardplan.solvers.ilp.curves import is_convex, pieces_of
from shardplan.solvers.ilp.model import IntegerProgram
from shardplan.solvers.ilp.variables import count_variables, legal_places
from shardplan.solvers.params import IlpParams
from shardplan.steps.operation_loads import operation_loads
from tests.helpers import (
    COST_MODEL,
    HAS_CBC,
    Instance,
    assert_plan_valid,
    host_group,
    random_assignment,
    topology,
    two_hosts,
    workload,
)
from tests.solvers.helpers import brute_force

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.topology import Topology

CLUSTERS = {
    "one host": topology(),
    "two hosts": topology(num_hosts=2, local_world_size=2),
    "two classes": topology(
        host_group("new", local_world_size=2),
        host_group("old", 0.5, local_world_size=1),
    ),
}
TYPES = ("table_wise", "row_wise", "table_row_wise", "data_parallel")
DENSE = {
    "num_dense": 13,
    "bottom_mlp": [256, 128],
    "top_mlp": [256, 1],
    "interaction": "cat",
}


def instance(cluster: Topology, *tables: dict, types=TYPES, **changes) -> Instance:
    only = {"compute_kernels": ["fused"], "sharding_types": list(types)}
    tables = tuple({**table, "constraints": only} for table in tables)
    return Instance(workload(*tables, **changes), cluster, COST_MODEL)


def draw(name: str, seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    tables = [
        {
            "num_embeddings": int(10 ** rng.uniform(3, 6.5)),
            "embedding_dim": int(rng.choice([16, 64, 128])),
            "pooling_factor": float(rng.uniform(1, 40)),
        }
        for _ in range(2)
    ]
    pipeline = ["none", "sparse_dist", "prefetch_sparse_dist"][seed % 3]
    return instance(
        CLUSTERS[name],
        *tables,
        global_batch_size=int(10 ** rng.uniform(3, 5)),
        pipeline=pipeline,
        **({"dense": DENSE} if seed % 2 else {}),
    )


def alike(number: int = 2) -> Problem:
    """Equal tables that may be cut by rows, on four ranks."""
    table = {"num_embeddings": 10**5, "pooling_factor": 20.0}
    types = ("table_wise", "row_wise")
    made = instance(topology(), *[table] * number, types=types, global_batch_size=2000)
    return made.problem(objective=Objective.TIME)


def far(problem: Problem) -> Assignment:
    """Draw a plan that is no good."""
    rng = np.random.default_rng(0)
    return max((random_assignment(problem, rng) for _ in range(20)), key=problem.value)


@pytest.mark.parametrize(
    ("name", "seed"), [("one host", 0), ("two hosts", 2), ("two classes", 2)]
)
def test_agrees_with_brute_force(name: str, seed: int) -> None:
    """From a bad plan, one is found within what curves may be off; no proof is said."""
    problem = draw(name, seed).problem(objective=Objective.TIME)
    value, best = brute_force(problem)
    assert best is not None
    assert problem.value(best) == pytest.approx(value, rel=1e-9)
    start = far(problem)
    assert problem.value(start) > 1.02 * value
    stop = Stop(gap=5e-3)
    result = IntegerProgram(start).solve(problem, stop, 0, Silent())
    assert result.assignment is not None
    assert faults(problem, result.assignment) == []
    assert problem.loads(result.assignment).fits(problem.capacity)
    assert problem.value(result.assignment) <= 1.01 * value
    assert (result.status, result.lower_bound_s) == (SolveStatus.FEASIBLE, 0.0)


def test_leaves_a_collective_whose_fixed_time_is_too_much() -> None:
    """The plan with the least sum reduces; the step is shorter without."""
    problem = alike(3)
    by_sum = build_problem(problem.usage.workload, problem.cluster.topology, COST_MODEL)
    assert problem.options.start.tolist() == by_sum.options.start.tolist()
    start = IntegerProgram().solve(by_sum, Stop(), 0, Silent()).assignment
    assert start is not None
    column = problem.pricer.phases.index("reduce_scatter")
    assert problem.loads(start).cost[:, column].any()
    result = IntegerProgram(start).solve(problem, Stop(gap=0.03), 0, Silent())
    assert result.assignment is not None
    assert not problem.loads(result.assignment).cost[:, column].any()
    assert problem.value(result.assignment) < problem.value(start)


def test_a_start_has_its_value_in_the_program() -> None:
    """Variables of any plan fulfil all rows; near itself the step is exact."""
    problem = draw("two hosts", 1).problem(objective=Objective.TIME)
    rng = np.random.default_rng(2)
    near = far(problem)
    built = model.build(problem, near=near)
    assert built.step is not None
    low = np.array([row.lower for row in built.program.rows])
    high = np.array([row.upper for row in built.program.rows])
    others = [random_assignment(problem, rng) for _ in range(5)]
    for plan in (near, *(p for p in others if problem.value(p) < problem.value(near))):
        values = solution.values_of(problem, built.variables, plan, built.unit_s)
        built.step.fill(values, problem.loads(plan).cost)
        sums = built.program.matrix() @ values
        assert (sums >= low - 1e-9).all()
        assert (sums <= high + 1e-9).all()
        step_s = values[built.step.step.index] * built.unit_s
        exact = 1e-8 if plan is near else 1e-2
        assert step_s == pytest.approx(problem.value(plan), rel=exact)


def test_same_seed_same_plan() -> None:
    """Two solves with one seed give the same assignment."""
    first, second = (
        IntegerProgram().solve(alike(), Stop(gap=0.03), 3, Silent()) for _ in range(2)
    )
    assert first.assignment is not None
    assert second.assignment is not None
    assert first.assignment.option.tolist() == second.assignment.option.tolist()
    assert [p.tolist() for p in first.assignment.places] == [
        p.tolist() for p in second.assignment.places
    ]


def test_the_planner_gives_it_the_step_itself() -> None:
    """The plan is valid, claims no more than is proven, no longer than greedy's."""
    found = two_hosts().solve(objective="time", solver="ilp", time_limit_s=3.0)
    assert_plan_valid(found.plan)
    assert (found.bound, found.plan.outcome.claimed_bound_s) == ("proven", None)
    assert 0.0 < found.lower_bound_s <= found.objective_s
    greedy = two_hosts().solve(objective="time", solver="greedy")
    assert found.objective_s <= greedy.objective_s


def test_that_nothing_fits_is_proven() -> None:
    """Memory is exact in the program, so what it says of it is a proof."""
    huge = instance(topology(), {"num_embeddings": 10**9}, types=("table_wise",))
    problem = huge.problem(objective=Objective.TIME)
    found = IntegerProgram().solve(problem, Stop(), 0, Silent())
    assert found.assignment is None
    assert found.status is SolveStatus.INFEASIBLE


def test_lp_text_has_the_path() -> None:
    """Operations, their curves and the path are rows of the file."""
    text = integer_program(*draw("two hosts", 1), objective="time")
    for row in (
        "end_interaction_forward_rank3",
        "path_1_rank0_after_",
        "load_embedding_forward_rank3:",
        "link0_output_all_to_all_rank0:",
        "needs_reduce_scatter_b0:",
        "one_piece_reduce_scatter_rank0:",
        "curve0_embedding_backward_rank2:",
    ):
        assert row in text
    assert "_before:" in text
    assert text.split("Subject To")[0].strip().endswith("step")


def test_too_large() -> None:
    """Variables of the step count, too; the refusal says what to do."""
    problem = alike()
    own = count_variables(problem, legal_places(problem))
    params = IlpParams(max_variables=own + 1)
    with pytest.raises(InputError, match=rf"at most {own + 1} are .*: use solver auto"):
        model.build(problem, params=params)


def test_pieces_are_as_near_as_asked() -> None:
    """Between its ends a piece is off by the error at most, and not at all here."""
    problem = draw("two hosts", 1).problem(objective=Objective.TIME)
    used = problem.options.item_cost.any(axis=(0, 1))
    shapes = set()
    for load in operation_loads(problem.pricer, used):
        here_s, most_s, error_s = 3e-5, 1e-3, 1e-6
        pieces = pieces_of(load, here_s, most_s, error_s)
        shapes.add(is_convex(pieces))
        assert [p.low for p in pieces[1:]] == [p.high for p in pieces[:-1]]
        assert (pieces[0].low, pieces[-1].high) == (0.0, most_s)
        for piece in pieces:
            at = np.linspace(piece.low, piece.high, 50)[1:]
            off = load.curve(at) - piece.base - piece.slope * at
            # Curves are looked at in 200 points, between which they may bend.
            assert np.abs(off).max() <= 1.2 * error_s
        here = next(p for p in pieces if p.high == here_s)
        exact = float(load.curve(np.array([here_s]))[0])
        assert here.base + here.slope * here_s == pytest.approx(exact, rel=1e-9)
    assert shapes == {True, False}


@pytest.mark.skipif(not HAS_CBC, reason="CBC is not installed")
def test_cbc_finds_as_good_a_plan() -> None:
    """The other door leads to the same step, up to how exact curves are."""
    problem = alike()
    start = far(problem)
    stop = Stop(gap=0.03)
    by_cbc: SolverResult = cbc.CbcProgram(start).solve(problem, stop, 0, Silent())
    assert by_cbc.assignment is not None
    assert by_cbc.status is SolveStatus.FEASIBLE
    value, _ = brute_force(problem)
    assert problem.value(by_cbc.assignment) <= 1.04 * value
