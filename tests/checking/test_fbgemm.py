"""Where FBGEMM, and so TorchRec, has an optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import check
from shardplan.checking.target import check_target
from shardplan.costs.cluster import Cluster
from shardplan.errors import InfeasibleError, InputError
from shardplan.planning.planner import solve
from shardplan.problems.options.rules import allowed
from shardplan.records.placement import TablePlacement
from shardplan.records.sharding import ComputeKernel, Target
from shardplan.records.tables import EmbeddingTable, TableConstraints
from shardplan.records.targets import RUNTIMES, optimizer_rule
from shardplan.records.workload import Optimizer
from tests.helpers import CLUSTERS, COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

CPU = CLUSTERS["cpu"]
TABLE = {"num_embeddings": 100_000}


def kernels(
    optimizer: str, topology: Topology, target: Target = Target.TORCHREC
) -> set[str]:
    """Kernels that are left of all."""
    table = EmbeddingTable(name="t", num_embeddings=100, embedding_dim=8)
    limits = TableConstraints(compute_kernels=tuple(ComputeKernel))
    rest = allowed(
        table, limits, Cluster.of(topology), RUNTIMES[target], Optimizer(optimizer)
    )
    return {kernel.value for kernel in rest.kernels}


@pytest.mark.parametrize(
    ("optimizer", "on_cpu", "on_ssd"),
    [
        ("sgd", True, False),
        ("rowwise_adagrad", True, True),
        ("adagrad", True, False),
        ("adam", False, True),
        ("partial_rowwise_adam", False, True),
        ("lamb", False, False),
        ("lars_sgd", False, False),
    ],
)
def test_kernels_of_an_optimizer(optimizer: str, on_cpu: bool, on_ssd: bool) -> None:
    """Fused kernels of CPU ranks, and rows on SSD, know few optimizers."""
    assert ("fused" in kernels(optimizer, CPU)) is on_cpu
    assert "dense" in kernels(optimizer, CPU)
    assert ("key_value" in kernels(optimizer, ONE_HOST)) is on_ssd
    assert "key_value" in kernels(optimizer, ONE_HOST, Target.ANY)


def test_a_plan_for_cpu_ranks_replicates_what_has_no_kernel() -> None:
    """Adam on CPU ranks: replicas have an optimizer of their own; others are named."""
    model = workload(TABLE, optimizer="adam")
    plan = solve(model, CPU, COST_MODEL, target="torchrec", solver="greedy").plan
    assert [t.compute_kernel.value for t in plan.tables] == ["dense"]
    forced = {**TABLE, "constraints": {"sharding_types": ["table_wise"]}}
    model = workload(forced, optimizer="adam")
    elsewhere = solve(model, CPU, COST_MODEL, solver="greedy").plan
    (violation,) = check(elsewhere, Target.TORCHREC)
    assert violation.message == "FBGEMM has no adam for ranks on CPUs"
    with pytest.raises(InfeasibleError, match="no legal option"):
        solve(model, CPU, COST_MODEL, target="torchrec", solver="greedy")


def test_rows_on_ssd() -> None:
    """A plan with rows on SSD is refused for an optimizer that is not there."""
    forced = {**TABLE, "constraints": {"compute_kernels": ["key_value"]}}
    model = workload(forced, optimizer="lamb")
    plan = solve(model, ONE_HOST, COST_MODEL, solver="greedy").plan
    (violation,) = check(plan, Target.TORCHREC)
    assert violation.message == "FBGEMM has no lamb for rows on SSD"
    good = solve(
        model.replace(optimizer="adam"), ONE_HOST, COST_MODEL, solver="greedy"
    ).plan
    assert check(good, Target.TORCHREC) == ()


@pytest.mark.parametrize(
    ("tables", "optimizer", "is_refused"),
    [
        ([{}, {"batch_factor": 0.5}], "lamb", True),
        ([{}, {"batch_factor": 0.5}], "adam", False),
        ([{"batch_factor": 0.5}, {"batch_factor": 0.5}], "lamb", False),
        # A collection of sequences is another module, with a batch of its own.
        ([{}, {"batch_factor": 0.5, "is_pooled": False}], "lamb", False),
    ],
)
def test_batches_of_one_module(
    tables: list[dict[str, Any]], optimizer: str, is_refused: bool
) -> None:
    """Tables that are looked up together have one batch, but for some optimizers."""
    model = workload(*tables, optimizer=optimizer)
    rule = optimizer_rule(model, Target.TORCHREC)
    assert (rule is not None) is is_refused
    assert optimizer_rule(model, Target.ANY) is None
    if rule is not None:
        assert "batch_factor 0.5, others 1" in rule
        assert rule.endswith("ensemble_rowwise_adagrad, adam")
        with pytest.raises(InputError, match="tables of several batches"):
            solve(model, ONE_HOST, COST_MODEL, target="torchrec", solver="greedy")


def test_gradients_alone_are_refused() -> None:
    """TorchRec cannot train rows that nothing updates."""
    rule = optimizer_rule(workload({}, optimizer="none"), Target.TORCHREC)
    assert rule is not None
    assert "sgd" in rule
    assert "none" not in rule


@pytest.mark.parametrize(("rows", "is_refused"), [(14, True), (15, False)])
def test_every_cpu_rank_gets_rows(rows: int, is_refused: bool) -> None:
    """Of 14 rows, two for each of eight ranks, the last has none.

    On CPUs FBGEMM takes a table without rows for a feature of the next one.
    """
    table = EmbeddingTable(name="t", num_embeddings=rows, embedding_dim=8)
    cut = TablePlacement(
        name="t",
        sharding_type="row_wise",
        compute_kernel="fused",
        dtype="fp32",
        tiers={"ddr": 1},
        blocks=({"num_columns": 8, "ranks": "0-7"},),
    )
    found = {
        name: [
            violation.message
            for violation in check_target(
                cut, table, Target.TORCHREC, Cluster.of(CLUSTERS[name])
            )
        ]
        for name in ("cpu", "two_hosts")
    }
    assert found["two_hosts"] == []
    assert len(found["cpu"]) == is_refused
    if is_refused:
        assert "14 rows leave a rank of 8 without one" in found["cpu"][0]


def test_sequences_on_cpus_are_not_replicated() -> None:
    """FBGEMM's dense kernel for CPUs pools them; on GPUs, and pooled, it is right."""
    only = {"constraints": {"sharding_types": ["data_parallel"]}}
    sequences = workload({**only, "is_pooled": False})
    options = {"target": "torchrec", "solver": "greedy"}
    with pytest.raises(InfeasibleError, match="on CPUs TorchRec only has table_wise"):
        solve(sequences, CPU, COST_MODEL, **options)
    assert solve(sequences, CLUSTERS["two_hosts"], COST_MODEL, **options).plan.tables
    assert solve(workload(only), CPU, COST_MODEL, **options).plan.tables
    elsewhere = solve(sequences, CPU, COST_MODEL, solver="greedy").plan
    (violation,) = check(elsewhere, Target.TORCHREC)
    assert violation.message.startswith("on CPUs sequence embeddings are wrong")
