"""What a check can be asked beyond the plan's own claims."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.checking import Violation, check, examine
from shardplan.checking.checker import proven_bound
from shardplan.checking.target import check_rowless_ranks, check_target
from shardplan.costs.cluster import Cluster
from shardplan.plans.plan import Plan
from shardplan.records.sharding import Target
from tests.helpers import CLUSTERS, COST_MODEL, ONE_HOST, Instance, workload


def rules(plan: Plan, target: Target) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for violation in check(plan, target):
        assert violation.rule == f"target {target.value}"
        found.setdefault(violation.table, []).append(violation.message)
    return found


def test_torchrec_runs_most_shapes(valid: Plan) -> None:
    """TorchRec can run every shape of the plan."""
    assert rules(valid, Target.TORCHREC) == {}


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        ("rows", {"ranks": "0-6"}, "row_wise uses all ranks in order"),
        ("rows", {"ranks": "7,0-6"}, "row_wise uses all ranks in order"),
        ("host", {"ranks": "7,4-6"}, "uses all ranks of one host in order"),
        (
            "rows",
            {"row_sizes": [127, 125] + [126] * 5 + [121]},
            "others train on wrong",
        ),
        ("columns", {"num_columns": 42}, "column shards are multiples of 4, got 42"),
    ],
)
def test_torchrec_refuses(
    data: dict[str, Any], table: str, changes: dict[str, Any], message: str
) -> None:
    """Shapes that TorchRec would load wrongly or not at all are named."""
    entry = next(entry for entry in data["tables"] if entry["name"] == table)
    entry["blocks"][0].update(changes)
    if table == "columns":
        entry["blocks"][1].update(column_offset=42, num_columns=42)
    found = rules(Plan.model_validate(data), Target.TORCHREC)
    assert set(found) == {table}
    assert message in found[table][0]


def test_ranks_that_do_not_exist_are_no_matter_of_a_host(data: dict[str, Any]) -> None:
    """A plan for another cluster is refused for any framework, by its geometry."""
    entry = next(entry for entry in data["tables"] if entry["name"] == "host")
    entry["blocks"][0]["ranks"] = "8-11"
    plan = Plan.model_validate(data)
    for target in Target:
        found = [v for v in check(plan, target) if v.rule == "coverage"]
        assert {violation.table for violation in found} == {"host"}


def test_torchrec_trains_bf16_on_gpus_alone(valid: Plan) -> None:
    """On CPUs FBGEMM has rows of fp32 and fp16."""
    table = valid.inputs.workload.tables[0]
    placed = next(entry for entry in valid.tables if entry.name == table.name)
    placed = placed.replace(dtype="bf16")
    for name, expected in (("one_host", False), ("cpu", True)):
        cluster = Cluster.of(CLUSTERS[name])
        found = [
            v.message for v in check_target(placed, table, Target.TORCHREC, cluster)
        ]
        assert ("rows are trained as fp16, fp32, not as bf16" in found) == expected


def test_torchrec_needs_one_width_per_rank(data: dict[str, Any]) -> None:
    """Shards of 40 and of 44 columns may be on two ranks, not on one."""
    entry = next(entry for entry in data["tables"] if entry["name"] == "columns")
    entry["blocks"][1]["ranks"] = "0"
    found = [v for v in check(Plan.model_validate(data), Target.TORCHREC)]
    assert "rank 0 holds shards of [40, 44] columns" in found[0].message


def test_torchrec_takes_its_own_rows_in_words(data: dict[str, Any]) -> None:
    """1,003 rows over 8 ranks are seven blocks of 126, and one of what is left."""
    entry = next(entry for entry in data["tables"] if entry["name"] == "rows")
    entry["blocks"][0]["row_sizes"] = [126] * 7 + [121]
    found = check(Plan.model_validate(data), Target.TORCHREC)
    # Row sizes in words are priced one by one, those of the menu as even parts.
    assert [violation.rule for violation in found] == ["objective"]


def test_torchrec_needs_rows_on_every_rank_and_has_no_split() -> None:
    """Five rows over four ranks leave one empty; the static split is not TorchRec's."""
    tables = (
        {"num_embeddings": 5},
        {"constraints": {"compute_kernels": ["fused_uvm_split"]}},
    )
    instance = Instance(workload(*tables), ONE_HOST, COST_MODEL)
    plan = instance.solve(solver="greedy").plan
    block = {"num_columns": 128, "ranks": "0-3"}
    rows = plan.tables[0].replace(
        sharding_type="row_wise",
        compute_kernel="fused",
        tiers={"hbm": 1},
        blocks=(block,),
    )
    found = rules(plan.replace(tables=(rows, plan.tables[1])), Target.TORCHREC)
    assert found["t1"][0] == "there is no kernel 'fused_uvm_split'"


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        ({"num_embeddings": 100}, None),
        ({"num_embeddings": 2}, "rank 3 gets no row of any row_wise table"),
        ({"torchrec": {"module": "b"}}, "rank 3 gets no row of any row_wise table"),
        ({"torchrec": {"module": "a", "output_dtype": "FP16"}}, "rank 3 gets no row"),
        ({"torchrec": {"module": "a", "pooling": "MEAN"}}, "rank 3 gets no row"),
        ({"constraints": {"compute_kernels": ["fused_uvm"]}}, None),
    ],
)
def test_torchrec_needs_a_row_on_every_rank_of_what_it_fuses(
    other: dict[str, Any], rule: str | None
) -> None:
    """Of five rows on four ranks the last has none; a fused larger table mends it."""
    first = {"num_embeddings": 5, "torchrec": {"module": "a"}}
    tables = (first, {"torchrec": {"module": "a"}, "num_embeddings": 100, **other})
    plan = Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="greedy").plan
    block = {"num_columns": 128, "ranks": "0-3"}
    rows = [
        placement.replace(
            sharding_type="row_wise",
            compute_kernel="fused_uvm" if "constraints" in table else "fused",
            tiers={"ddr": 1} if "constraints" in table else {"hbm": 1},
            blocks=(block,),
        )
        for placement, table in zip(plan.tables, tables, strict=True)
    ]
    cut = plan.replace(tables=tuple(rows))
    found = list(check_rowless_ranks(cut, Target.TORCHREC))
    assert [violation.table for violation in found][:1] == (["t0"] if rule else [])
    assert rule is None or rule in found[0].message
    assert not list(check_rowless_ranks(cut, Target.ANY))


def test_a_certificate_proves_its_bound_and_no_more(one_host: Instance) -> None:
    """A bound above what the certificate gives is caught, however small the lie."""
    plan = one_host.solve(solver="greedy").plan
    assert examine(plan).bound == "proven"
    assert proven_bound(plan) >= plan.outcome.lower_bound_s > 0
    bound = plan.outcome.lower_bound_s * 1.01
    outcome = plan.outcome.replace(
        lower_bound_s=bound, gap=plan.outcome.objective_s / bound - 1
    )
    found = check(plan.replace(outcome=outcome))
    assert [violation.rule for violation in found] == ["certificate"]
    assert examine(plan.replace(outcome=outcome)).bound == "claimed"


def test_a_bound_without_certificate_is_only_claimed(valid: Plan) -> None:
    """It is no violation, but it is not called proven."""
    assert check(valid) == ()
    assert examine(valid).bound == "claimed"
    assert proven_bound(valid) == 0.0


def small_plan() -> Plan:
    """Two unequal tables on one host, by the integer program."""
    tables = [{"num_embeddings": 20_000}, {"num_embeddings": 9_000}]
    return Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="ilp").plan


def test_optimal_without_certificate_is_claimed() -> None:
    """A plan that calls itself optimal, gap 0, proves nothing by saying so."""
    plan = small_plan()
    value = plan.outcome.objective_s
    sure = plan.outcome.replace(
        status="optimal", lower_bound_s=value, gap=0.0, claimed_bound_s=None
    )
    verdict = examine(plan.replace(outcome=sure, certificate=None))
    assert verdict.violations == ()
    assert (verdict.bound, verdict.optimality) == ("claimed", "claimed")
    assert "no certificate" in verdict.unproven


def test_optimal_beyond_the_certificate_is_claimed() -> None:
    """The bound is proven; that it is met is the word of the integer program."""
    plan = small_plan()
    value, bound = plan.outcome.objective_s, plan.outcome.lower_bound_s / 2
    beyond = plan.outcome.replace(
        status="optimal",
        lower_bound_s=bound,
        gap=value / bound - 1,
        claimed_bound_s=value,
    )
    verdict = examine(plan.replace(outcome=beyond))
    assert verdict.violations == ()
    assert (verdict.bound, verdict.optimality) == ("proven", "claimed")
    assert "claimed by the solver" in verdict.unproven


def test_a_plan_without_any_bound_has_none() -> None:
    """Nothing is proven, nothing claimed, and that is said."""
    plan = small_plan()
    bare = plan.outcome.replace(
        status="feasible", lower_bound_s=0.0, gap=None, claimed_bound_s=None
    )
    verdict = examine(plan.replace(outcome=bare, certificate=None))
    assert (verdict.bound, verdict.optimality) == ("none", "none")
    assert verdict.unproven == "the plan has no lower bound"


def test_the_bound_of_a_wrong_plan_is_not_proven() -> None:
    """The gap of an objective that is not the plan's own proves nothing."""
    plan = small_plan()
    value = plan.outcome.objective_s * 1.5
    outcome = plan.outcome.replace(
        objective_s=value, gap=value / plan.outcome.lower_bound_s - 1
    )
    verdict = examine(plan.replace(outcome=outcome))
    assert "objective" in {violation.rule for violation in verdict.violations}
    assert verdict.bound == "claimed"


def test_a_certificate_of_another_menu_says_what_to_do() -> None:
    """It proves nothing about this one, whatever version made it."""
    plan = small_plan()
    proof = plan.certificate
    assert proof is not None
    old = plan.replace(certificate=proof.replace(num_options=proof.num_options + 1))
    verdict = examine(old)
    assert verdict.bound == "claimed"
    assert "solve again" in verdict.violations[0].message


def test_bounds_of_tables_that_needed_all_tiers() -> None:
    """A plan that was found on the menu of all tiers is checked with that menu."""
    limits = {"sharding_types": ["table_wise"]}
    big = {"num_embeddings": 18_000_000, "constraints": limits}
    instance = Instance(workload(big), ONE_HOST, COST_MODEL)
    plan = instance.solve(solver="greedy").plan
    assert plan.tables[0].compute_kernel != "fused"
    assert check(plan) == ()
    assert examine(plan).bound == "proven"


def test_violations_read_well() -> None:
    """The table is shown where there is one."""
    assert str(Violation("gap", "", "is wrong")) == "gap: is wrong"
    assert str(Violation("tiers", "t0", "is wrong")) == "tiers: t0: is wrong"


def test_rows_on_cpus_are_in_host_memory() -> None:
    """A plan for CPUs has everything in DDR, and only there."""
    plan = (
        Instance(workload({}), CLUSTERS["cpu"], COST_MODEL).solve(solver="greedy").plan
    )
    wrong = plan.tables[0].replace(tiers={"hbm": 1.0})
    found = check(plan.replace(tables=(wrong,)))
    assert [violation.rule for violation in found] == ["tiers"]


def test_int4_rows_have_whole_bytes() -> None:
    """An odd number of int4 columns is refused."""
    table = {"embedding_dim": 15, "constraints": {"dtypes": ["int4"]}}
    plan = Instance(workload(table), ONE_HOST, COST_MODEL).solve(solver="greedy").plan
    assert plan.tables[0].dtype == "fp32"
    odd = plan.tables[0].replace(dtype="int4")
    found = check(plan.replace(tables=(odd,)))
    assert [v.message for v in found] == ["int4 rows need an even number of columns"]
