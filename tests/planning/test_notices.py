"""Notices are true, and said only when they are."""

from __future__ import annotations

from typing import Any

import pytest

import shardplan
from shardplan.checking import examine
from shardplan.planning import quick_plan
from shardplan.planning.notices import notices as notices_of
from shardplan.planning.result import PlanResult
from shardplan.units import format_seconds
from tests.helpers import CLUSTERS, COST_MODEL, ONE_HOST, Instance, workload


def with_outcome(result: PlanResult, **changes: Any) -> PlanResult:
    """Return the same plan with another story about how it was found."""
    plan = result.plan.replace(outcome=result.plan.outcome.replace(**changes))
    return PlanResult(plan, result.runtime_s, examine(plan))


@pytest.fixture(scope="module")
def spread() -> PlanResult:
    """Six tables on two hosts, which the network makes slow."""
    return shardplan.solve(
        "movielens-ncf", "dgx-a100-40:2", solver="greedy", objective="step"
    )


def test_tables_that_leave_hbm() -> None:
    """They are counted and named, the largest first, with the bytes and where."""
    big = {
        "num_embeddings": 60_000_000,
        "constraints": {"compute_kernels": ["fused_uvm"]},
    }
    tables = [{}, big, {}]
    found = Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="greedy")
    (text,) = notices_of(found)
    ddr = shardplan.evaluate(found.plan).loads.ddr.sum()
    assert text.startswith("1 of 3 tables leave HBM (t1): ")
    assert f"{ddr / 1e9:.1f} GB in DDR" in text
    assert "SSD" not in text


def test_tables_in_hbm_are_no_news() -> None:
    """Nor are those of hosts that have nothing but DDR."""
    for cluster in (ONE_HOST, CLUSTERS["cpu"]):
        found = Instance(workload({}, {}), cluster, COST_MODEL).solve(solver="greedy")
        assert not [text for text in notices_of(found) if "HBM" in text]


def test_fewer_hosts(spread: PlanResult) -> None:
    """The step that is promised is that of a plan that exists."""
    (text,) = [text for text in notices_of(spread) if "would be faster" in text]
    assert text.startswith("1 host instead of 2 would be faster: ")
    alone = shardplan.solve(
        "movielens-ncf", "dgx-a100-40", solver="greedy", objective="step"
    )
    step = shardplan.simulate(alone.plan).step_time_s
    assert f"takes {format_seconds(step)} per" in text
    assert step < shardplan.simulate(spread.plan).step_time_s


def test_fewer_hosts_need_the_same_samples(spread: PlanResult) -> None:
    """With a batch per rank fewer hosts train on fewer samples: no comparison."""
    model = spread.plan.inputs.workload
    per_rank = model.replace(global_batch_size=None, batch_size=4096)
    found = shardplan.solve(
        per_rank, "dgx-a100-40:2", solver="greedy", objective="step"
    )
    assert not [text for text in notices_of(found) if "faster" in text]


@pytest.mark.parametrize(
    ("topology", "size", "layout"),
    [("dgx-h100:3", 12, "inside"), ("dgx-h100:4", 16, "across")],
)
def test_fewer_hosts_than_sharding_groups_need_are_no_news(
    topology: str, size: int, layout: str
) -> None:
    """Groups of 12 ranks do not fit into one host: there is nothing to compare."""
    found = shardplan.solve(
        "movielens-ncf",
        topology,
        solver="greedy",
        sharding_group=size,
        replicas=layout,
        sync_every=1000,
    )
    assert found.plan.world_size == size
    assert not [text for text in notices_of(found) if "faster" in text]


def test_hbm_listed_rank_by_rank_has_no_fewer_hosts(spread: PlanResult) -> None:
    """It says nothing of a cluster of another size."""
    topology = spread.plan.inputs.topology
    listed = topology.replace(rank_hbm_bytes=(40_000_000_000,) * 16)
    found = shardplan.solve(
        spread.plan.inputs.workload, listed, solver="greedy", objective="step"
    )
    assert not [text for text in notices_of(found) if "faster" in text]


def test_fewer_hosts_are_tried_only_where_that_is_quick(
    spread: PlanResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan for fewer hosts takes time, which large problems have not."""
    monkeypatch.setattr(quick_plan, "_SMALL", 1)
    assert not [text for text in notices_of(spread) if "faster" in text]


def test_hosts_that_pay_are_no_news() -> None:
    """Where all hosts are needed for speed, nothing is said."""
    found = shardplan.solve(
        "dlrm-dcnv2", "dgx-h100:2", solver="greedy", objective="step"
    )
    assert not [text for text in notices_of(found) if "faster" in text]


def test_the_bound_is_at_fault_if_the_solver_knows_better() -> None:
    """A claimed bound close to the plan shows that the certificate is weak."""
    tables = [{"num_embeddings": 20_000}, {"num_embeddings": 9_000}]
    result = Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="greedy")
    value = result.objective_s
    weak = {"status": "feasible", "lower_bound_s": value / 1.2, "gap": 0.2}
    near = with_outcome(result, **weak, claimed_bound_s=value / 1.01)
    text = " ".join(notices_of(near))
    assert "gap of 20.0 % in the sum over phases is the bound's fault" in text
    assert "it is 1.0 %" in text
    far = with_outcome(result, **weak, claimed_bound_s=value / 1.15)
    assert "Most of the gap" not in " ".join(notices_of(far))


@pytest.mark.parametrize(
    ("solver", "gap", "said"),
    [("auto", 0.2, True), ("greedy", 0.2, False), ("auto", 0.01, False)],
)
def test_few_shards_per_rank_make_the_bound_weak(
    solver: str, gap: float, said: bool
) -> None:
    """It is said of a searched plan with a gap worth talking about."""
    tables = [{"constraints": {"sharding_types": ["table_wise"]}} for _ in range(6)]
    result = Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="greedy")
    bound = result.objective_s / (1 + gap)
    changed = with_outcome(
        *(result,),
        **{"solver": solver, "status": "feasible", "claimed_bound_s": None},
        lower_bound_s=bound,
        gap=result.objective_s / bound - 1,
    )
    text = " ".join(notices_of(changed))
    assert ("with 1.5 shards per rank" in text) is said


def test_another_optimizer_is_said() -> None:
    """HugeCTR has no row-wise Adagrad; what is planned for it is full Adagrad."""
    work = workload({}, optimizer="rowwise_adagrad")
    results = [
        shardplan.solve(
            work, ONE_HOST, COST_MODEL, target=target, solver="greedy", objective="step"
        )
        for target in ("hugectr", "any")
    ]
    said = [any("rowwise_adagrad" in t for t in notices_of(r)) for r in results]
    assert said == [True, False]


def test_caches_that_must_not_be_fused_are_news() -> None:
    """Two widths are two kinds of caches; one width, or another target, is no news."""
    limits = {"compute_kernels": ["fused_uvm_caching"], "cache_load_factor": 0.1}
    limits["sharding_types"] = ["table_wise"]
    said = []
    for target, dim in (("torchrec", 64), ("torchrec", 128), ("any", 64)):
        work = workload({"embedding_dim": dim}, {}, constraints=limits)
        found = shardplan.solve(
            work,
            ONE_HOST,
            COST_MODEL,
            target=target,
            solver="greedy",
            objective="step",
        )
        said.append([text for text in notices_of(found) if "caches" in text])
    assert said[1:] == [[], []]
    (text,) = said[0]
    assert text.startswith("Cached tables differ in width or share: 2 kinds of caches")


def test_stashed_tables_are_news(spread: PlanResult) -> None:
    """TorchRec's cost model counts them as if they stayed; each is named."""
    work = workload(*2 * [{"torchrec": {"stash_weights": True}}])
    result = shardplan.solve(work, ONE_HOST, "torchrec", solver="greedy")
    (text,) = [text for text in notices_of(result) if "stash" in text]
    assert text.startswith("2 tables (t0, t1): stash_weights: rows are counted as if ")
    assert not [text for text in notices_of(spread) if "stash" in text]
