"""One more scope is planned over, proved, checked and simulated like those shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.checking import check
from shardplan.costs.scopes import Scope
from shardplan.errors import InfeasibleError
from shardplan.plans.evaluation import evaluate
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import (
    PHASES,
    SUMS,
    Objective,
    Phase,
    ShardingType,
    Target,
)
from shardplan.simulation import SimulationSettings, simulate
from shardplan.solvers import Silent, Stop, load_solver
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    SOLVERS_HERE,
    Instance,
    added_scope,
    assert_plan_valid,
    assert_same_loads,
    halves,
    plan_of,
    proof_of,
    random_assignment,
    random_places,
    topology,
    varied,
    workload,
)
from tests.solvers.helpers import Hosts, brute_force, toy_problem

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Problem
    from shardplan.simulation import Simulation
    from shardplan.steps.operation import Operation

FOUR_HOSTS = topology(num_hosts=4)
SCOPE_SHAPES = {**CLUSTERS, "four_hosts": FOUR_HOSTS}
NARROW = {"embedding_dim": 64}


def on_a_half() -> Instance:
    """Three tables that must be cut over ranks 2 and 3: half of the first host."""
    limits = {"sharding_types": ["table_row_wise"], "ranks": [2, 3]}
    return Instance(
        workload(
            {}, {"pooling_factor": 3.0}, {"embedding_dim": 64}, constraints=limits
        ),
        CLUSTERS["two_hosts"],
        COST_MODEL,
    )


def on_a_rack() -> Instance:
    """A table of 51 GB, with 8 GB for tables on each of four ranks per host."""
    limits = {"sharding_types": ["table_row_wise"], "compute_kernels": ["fused"]}
    return Instance(
        workload({"num_embeddings": 10**8}, constraints=limits), FOUR_HOSTS, COST_MODEL
    )


def seconds(plan: Plan, shard: int, phase: Phase) -> float:
    """Price of one shard in one phase."""
    return float(evaluate(plan).prices.cost[shard, 0, PHASES.index(phase)])


def operation(simulation: Simulation, name: str) -> Operation:
    """Return an operation of the steady step."""
    runs = simulation.timeline.steady_runs
    return next(run.operation for run in runs if run.operation.name == name)


@pytest.mark.parametrize("solver", SOLVERS_HERE)
def test_half_a_host(solver: str, half: Scope) -> None:
    """The only places are halves; every number is that of two ranks."""
    result = on_a_half().solve(solver=solver)
    assert_plan_valid(result.plan)
    assert result.plan.certificate is not None
    evaluation = evaluate(result.plan)
    assert {shard.scope for shard in evaluation.shards} == {half}
    assert {shard.ranks for shard in evaluation.shards} == {(2, 3)}
    # 1,000 samples of 128 numbers of 4 bytes: half of them to the other rank at 80
    # GB/s; of the rest, 4/8 leave the host by a NIC of 10 GB/s at 0.5.
    exchange = 512_000 * (0.5 / 8e10 + 0.5 * 4 / 8 / 5e9)
    assert seconds(result.plan, 0, Phase.FWD_COMMS) == pytest.approx(exchange)
    assert seconds(result.plan, 0, Phase.BWD_COMMS) == pytest.approx(exchange)
    # 500 ids and 1,000 lengths of 8 bytes, of which 4/8 pass a NIC.
    ids = 12_000 * 4 / 8 / 5e9
    assert seconds(result.plan, 0, Phase.INPUT_DIST) == pytest.approx(ids)


@pytest.mark.parametrize("solver", SOLVERS_HERE)
def test_two_hosts(solver: str, rack: Scope) -> None:
    """A table too large for a host goes to two; its rows reduce over their NICs."""
    result = on_a_rack().solve(solver=solver)
    assert_plan_valid(result.plan)
    (shard,) = evaluate(result.plan).shards
    assert shard.scope is rack
    assert shard.ranks in (tuple(range(8)), tuple(range(8, 16)))
    assert shard.rows == 12_500_000
    # 1/4 - 1/8 of the array between the hosts, then 8/16 of an eighth to the others.
    exchange = 512_000 * (1 / 8 + 1 / 16) / 5e9
    assert seconds(result.plan, 0, Phase.FWD_COMMS) == pytest.approx(exchange)


def test_without_the_scope_the_table_has_no_place() -> None:
    """What `test_two_hosts` plans is the new scope's merit alone."""
    with pytest.raises(InfeasibleError):
        on_a_rack().solve(solver="greedy")


def test_halves_are_simulated(half: Scope) -> None:
    """1.28 MB reduce in a half: 8 us by bandwidth, 10 us of latency, 0.6-norm."""
    simulation = simulate(on_a_half().solve(solver="greedy").plan)
    expected = (8e-6**0.6 + 1e-5**0.6) ** (1 / 0.6)
    for name in ("half_reduce_scatter", "half_all_gather"):
        inside = operation(simulation, name)
        np.testing.assert_allclose(inside.seconds[[2, 3]], expected)
        assert inside.traffic is not None
        half_of_it = [[0, 0, 640_000, 640_000, 0, 0, 0, 0]] * 2
        np.testing.assert_allclose(inside.traffic.scale_up, half_of_it)
        np.testing.assert_array_equal(inside.traffic.nic, 0.0)


def test_racks_are_simulated(rack: Scope) -> None:
    """An eighth of 512 kB passes each NIC of the rack, then half of an eighth."""
    simulation = simulate(on_a_rack().solve(solver="greedy").plan)
    inside = operation(simulation, "rack_reduce_scatter")
    across = operation(simulation, "output_all_to_all")
    assert inside.traffic is not None
    assert across.traffic is not None
    holds = inside.traffic.nic[0] > 0
    assert holds.sum() == 8
    np.testing.assert_allclose(inside.traffic.nic, 64_000 * np.array([holds] * 2))
    np.testing.assert_allclose(across.traffic.nic[0], 32_000 * holds)
    # All others receive as much as the eight together send.
    np.testing.assert_allclose(across.traffic.nic[1], 32_000 * ~holds)


@pytest.mark.parametrize("name", SCOPE_SHAPES)
@pytest.mark.parametrize("objective", SUMS)
def test_every_plan_means_the_same_everywhere(
    name: str, objective: Objective, half: Scope, rack: Scope
) -> None:
    """Menu, plan and simulator agree; proofs hold; checks find nothing."""
    instance = varied(SCOPE_SHAPES[name])
    problem = instance.problem(objective=objective)
    rng = np.random.default_rng(0)
    offered = [scope for scope in (half, rack) if scope in problem.options.scope]
    for wanted in [Scope.RANK, *offered] * 2:
        assignment = with_scope(problem, random_assignment(problem, rng), wanted, rng)
        plan = plan_of(instance, problem, assignment)
        evaluation = evaluate(plan)
        assert wanted in {shard.scope for shard in evaluation.shards}
        assert_same_loads(evaluation, problem, assignment)
        assert evaluation.value(objective) >= proof_of(problem).bound_s
        bare = simulate(plan, SimulationSettings.bare())
        expected = evaluation.value(Objective.STEP)
        assert bare.step_time_s == pytest.approx(expected, rel=1e-12)
        if evaluation.loads.fits(evaluation.capacity):
            assert_plan_valid(plan)


def with_scope(
    problem: Problem, assignment: Assignment, scope: Scope, rng: np.random.Generator
) -> Assignment:
    """Let one bundle take an option of a scope."""
    menu = problem.options
    option = int(rng.choice(np.flatnonzero(menu.scope == scope)))
    bundle = int(menu.table[option])
    chosen, places = assignment.option.copy(), list(assignment.places)
    chosen[bundle] = option
    places[bundle] = random_places(problem, bundle, option, rng)
    return Assignment(chosen, tuple(places))


@pytest.mark.parametrize("groups", [[Hosts(2, 4, 4)], [Hosts(4, 2, 2)]])
@pytest.mark.parametrize("objective", SUMS)
def test_no_solver_beats_or_misses_the_best_plan(
    groups: list[Hosts], objective: Objective, half: Scope, rack: Scope
) -> None:
    """Against all plans of small problems with both scopes, pins and conflicts."""
    used: set[int] = set()
    for seed in range(4, 9):
        rng = np.random.default_rng(seed)
        problem = toy_problem(
            rng, 2, groups, options_each=6, fill=0.3, objective=objective
        )
        value, best = brute_force(problem)
        assert lower_bound(problem).value_s <= value * (1 + 1e-9)
        if best is None:
            continue
        used |= set(problem.options.scope[best.option].tolist())
        for name in SOLVERS_HERE:
            solver = load_solver(name)
            result = solver.solve(problem, Stop(time_limit_s=20.0), 0, Silent())
            if result.assignment is None:
                assert name in ("greedy", "ldm", "uniform")
                continue
            found = problem.value(result.assignment)
            assert found >= value * (1 - 1e-9)
            assert problem.loads(result.assignment).fits(problem.capacity)
            if name in ("ilp", "auto"):
                assert found == pytest.approx(value, rel=1e-6)
    assert used & {half, rack}


@pytest.mark.parametrize("target", [Target.TORCHREC, Target.HUGECTR])
def test_frameworks_have_no_new_scopes(target: Target, half: Scope) -> None:
    """They cut rows over hosts or all ranks; what others know is no place of theirs."""
    problem = on_a_half().with_workload(constraints={}).problem(target=target)
    assert half not in problem.options.scope


def test_a_scope_of_one_type_is_offered_to_no_other() -> None:
    """`types` says which sharding types reduce in its groups."""
    with added_scope("half", halves, {ShardingType.GRID_SHARD}) as half:
        menu = on_a_half().with_workload(constraints={}).problem().options
        kinds = set(menu.sharding_type[menu.scope == half].tolist())
        assert kinds == {list(ShardingType).index(ShardingType.GRID_SHARD)}


def test_a_plan_needs_its_scope() -> None:
    """Where nobody knows the scope, its plans are refused."""
    with added_scope("half", halves):
        plan = on_a_half().solve(solver="greedy").plan
        assert check(plan) == ()
    rule = "cuts rows over all ranks of one host or domain, which [2, 3]... are not"
    assert [violation.message for violation in check(plan)] == [
        f"table_row_wise {rule}"
    ] * 3
