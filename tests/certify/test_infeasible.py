"""Proofs that nothing fits, and the changes that would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.certify.infeasible import is_proof, memory_proof, memory_proofs
from shardplan.certify.relaxed import Relaxed
from shardplan.errors import InfeasibleError
from shardplan.planning.relaxations import relaxations
from shardplan.problems.problem import build_problem
from shardplan.problems.totals import memory_shortfalls
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Target
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.registry import load_solver
from tests.certify.test_dual import CLUSTERS
from tests.helpers import (
    COST_MODEL,
    MIXED,
    ONE_HOST,
    Instance,
    host_group,
    topology,
    workload,
)
from tests.solvers.helpers import (
    TW,
    Hosts,
    brute_force,
    make_problem,
    toy_problem,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.topology import Topology

ROWS = 30_000_000  # 15.4 GB with 128 columns of fp32; a rank has 8 GB for tables


def instance(**constraints: object) -> Instance:
    """Three tables of 15.4 GB on four ranks of 10 GB; DDR is not allowed."""
    limits = {"compute_kernels": ["fused"], **constraints}
    tables = [{"num_embeddings": ROWS} for _ in range(3)]
    return Instance(workload(*tables, constraints=limits), ONE_HOST, COST_MODEL)


def greedy_finds(problem: Problem) -> bool:
    found = load_solver("greedy").solve(problem, Stop(), 0, Silent())
    return found.assignment is not None


@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_a_proof_is_never_wrong(groups: list[Hosts]) -> None:
    """Where a proof is found, brute force finds no plan either."""
    proofs = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        tables = int(rng.integers(1, 4))
        problem = toy_problem(rng, tables, groups, fill=rng.uniform(0.6, 1.6))
        if memory_proofs(problem):
            assert brute_force(problem)[1] is None
            proofs += 1
    assert proofs > 0


def test_weighted_sums_of_tiers_prove_more() -> None:
    """No tier is short alone, nor is their sum; a weighted sum is.

    Each of three tables takes 3 bytes of HBM or 2 of DDR; there are 4 and 2. Their
    sum is needed 3 x 2 = 6 times, which is there. At prices of 2 and 3 every table
    costs 6, together 18, but all pools only 2 x 4 + 3 x 2 = 14.
    """
    cost = np.full((6, 1, 6), 1e-4)
    tier_bytes = np.array([[3.0, 0, 0], [0, 2.0, 0]] * 3)
    room = (np.array([4.0]), np.array([2.0]), np.array([9.0]))
    problem = make_problem([Hosts(1, 1, 1)], [[TW, TW]] * 3, cost, tier_bytes, room)
    assert memory_shortfalls(problem) == []
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.shortfall.needed_bytes > proof.shortfall.available_bytes
    assert is_proof(Relaxed.of(problem), proof.prices)
    generous = proof.prices.replace(hbm=(proof.prices.hbm[0] / 100,), ddr=(0.0,))
    assert not is_proof(Relaxed.of(problem), generous)


def test_prices_of_time_prove_nothing() -> None:
    """A proof is about memory: prices of seconds make it void."""
    problem = toy_problem(np.random.default_rng(0), 2, [Hosts(1, 2, 2)], fill=0.1)
    assert memory_proof(problem) is None
    relaxed = Relaxed.of(problem)
    proof = memory_proof(
        toy_problem(np.random.default_rng(0), 2, [Hosts(1, 2, 2)], fill=2.0)
    )
    assert proof is not None
    timed = proof.prices.replace(ranks=((0.1,) * 6,))
    assert not is_proof(relaxed, timed)


def test_changes_that_help() -> None:
    """46 GB of tables on 32 GB: more hosts, larger ranks, DDR or fewer bits."""
    inputs = Inputs(**instance()._asdict())
    found = {r.change: r for r in relaxations(inputs, Target.ANY, greedy_finds)}
    # A table takes 3.84 GB per rank of one host, so 2 fit a host: 2 hosts are enough.
    assert found["hosts"].value == 2
    assert found["hosts"].text == "2 hosts (8 ranks) instead of 1"
    # 46.08 GB over 4 ranks are 11.52 GB each, and 1.0 GB + 10 % are kept free.
    assert 13.9e9 <= found["hbm"].value <= 15e9
    assert found["low_precision"].text == "rows in fp16 (constraint dtypes)"
    # 46.08 GB must become at most 4 x 8.0 GB, whatever is cut.
    assert 1.44 <= found["rows"].value <= 1.5
    assert f"{found['rows'].value:.2f} times fewer rows" in found["rows"].text
    assert "ddr" not in found
    assert "row_wise" not in found
    assert "optimizer" not in found  # row-wise Adagrad is a rounding error here


@pytest.mark.parametrize(
    ("columns", "advice"), [(64, "optimizer rowwise_adagrad"), (1, "optimizer sgd")]
)
def test_an_optimizer_with_less_state(columns: int, advice: str) -> None:
    """Adam triples the bytes; with one column row-wise Adagrad still doubles them."""
    tables = workload(
        {"num_embeddings": 6 * 10**9 // columns, "embedding_dim": columns},
        optimizer="adam" if columns > 1 else "rowwise_adagrad",
        constraints={"compute_kernels": ["fused"]},
    )
    inputs = Inputs(workload=tables, topology=ONE_HOST, cost_model=COST_MODEL)
    found = {r.change: r.text for r in relaxations(inputs, Target.ANY, greedy_finds)}
    assert found["optimizer"] == advice


STRANGE = {
    "no-nics": topology(scale_out={}),
    "rank-hbm": ONE_HOST.replace(rank_hbm_bytes=(10**10, 9 * 10**9, 10**10, 10**10)),
    "no-ddr": topology(host={**host_group()["host"], "ddr_bytes": 0}),
    "many-ranks": topology(
        num_hosts=10_000, scale_out={"nics_per_host": 1, "nic_bw": 1e9}
    ),
    "mixed": MIXED,
    "tiny": topology(device={**host_group()["device"], "hbm_bytes": 2 * 10**8}),
}


@pytest.mark.parametrize("cluster", STRANGE.values(), ids=STRANGE.keys())
def test_clusters_that_cannot_grow_in_every_way(cluster: Topology) -> None:
    """Advice comes for any cluster; what it cannot do is left out."""
    rows = 7 * 10**13 if cluster.world_size > 100 else ROWS
    limits = {"compute_kernels": ["fused"], "sharding_types": ["table_wise"]}
    tables = workload(*[{"num_embeddings": rows} for _ in range(3)], constraints=limits)
    inputs = Inputs(workload=tables, topology=cluster, cost_model=COST_MODEL)
    found = {r.change: r for r in relaxations(inputs, Target.ANY, greedy_finds)}
    if cluster is STRANGE["no-nics"]:
        assert "hosts" not in found
    if cluster is STRANGE["rank-hbm"]:
        assert found["hbm"].value > 10**10
        assert "hosts" not in found
    with pytest.raises(InfeasibleError, match="infeasible") as caught:
        Instance(tables, cluster, COST_MODEL).solve(solver="greedy")
    assert caught.value.relaxations == tuple(r.text for r in found.values())


def test_hosts_without_ddr_may_get_some() -> None:
    """Twice nothing is nothing: the search for DDR begins at one byte more."""
    tables = workload(*[{"num_embeddings": ROWS} for _ in range(3)])
    inputs = Inputs(workload=tables, topology=STRANGE["no-ddr"], cost_model=COST_MODEL)
    found = {r.change: r for r in relaxations(inputs, Target.ANY, greedy_finds)}
    assert found["ddr"].value > 0


def test_advice_ends_by_counted_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, the same changes are tried; a budget bounds them."""
    inputs = Inputs(**instance()._asdict())
    tried: list[int] = []

    def counting(*arguments: Any, **options: Any) -> Problem:
        problem = build_problem(*arguments, **options)
        tried.append(len(problem.options))
        return problem

    module = "shardplan.planning.relaxations"
    monkeypatch.setattr(f"{module}.build_problem", counting)
    everything = relaxations(inputs, Target.ANY, greedy_finds)
    hours = iter(range(10**9))
    monkeypatch.setattr("time.monotonic", lambda: 3600.0 * next(hours))
    monkeypatch.setattr("time.perf_counter", lambda: 3600.0 * next(hours))
    assert relaxations(inputs, Target.ANY, greedy_finds) == everything
    budget = sum(tried) // 4
    monkeypatch.setattr(f"{module}._MOST_WORK", budget)
    tried.clear()
    fewer = relaxations(inputs, Target.ANY, greedy_finds)
    assert fewer == everything[: len(fewer)] != everything
    assert sum(tried[:-1]) <= budget


def test_a_failure_of_advice_does_not_replace_the_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever goes wrong while looking for advice, the shortage is shown."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("shardplan.planning.refusal.relaxations", broken)
    with pytest.raises(InfeasibleError, match="HBM short by") as caught:
        instance().solve(solver="greedy")
    assert caught.value.proven
    assert caught.value.relaxations == ()


def test_row_wise_is_named_where_it_is_not_allowed() -> None:
    """A table of 15 GB does not fit a rank whole, but does in four parts."""
    only = instance(sharding_types=["table_wise"]).with_workload(
        tables=instance().workload.tables[:1]
    )
    inputs = Inputs(**only._asdict())
    found = {r.change for r in relaxations(inputs, Target.ANY, greedy_finds)}
    assert found == {"hbm", "row_wise", "low_precision", "rows"}


def test_no_time_no_advice() -> None:
    """Without time nothing is tried, and nothing claimed."""
    inputs = Inputs(**instance()._asdict())
    assert relaxations(inputs, Target.ANY, greedy_finds, Stop(0.0)) == ()


def test_the_error_says_what_would_help() -> None:
    """The message of a solve has the proof and the changes."""
    with pytest.raises(InfeasibleError, match="any one of these would do") as caught:
        instance().solve(solver="greedy")
    assert caught.value.proven
    assert caught.value.shortfalls[0].tier == "hbm"
    assert "2 hosts (8 ranks) instead of 1" in caught.value.relaxations
    problem = build_problem(*instance(), all_tiers=True)
    assert memory_proofs(problem)[0].tables == ("t0", "t1", "t2")
