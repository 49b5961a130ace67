"""Placing options one by one: legal, fitting, and honouring every constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.costs.shards import KERNELS
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import PHASES, ComputeKernel
from shardplan.solvers.placement import (
    Placer,
    mean_phase_load,
    place_fallback,
    placing_order,
)
from shardplan.solvers.selection import select
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    TWO_HOSTS,
    Instance,
    assert_plan_valid,
    varied,
    workload,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

SCALE = np.ones(len(PHASES))
MANY = [
    {"num_embeddings": 400_000 // (i + 1), "pooling_factor": 8.0 / (i + 1)}
    for i in range(5)
]
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "types": {"sharding_types": ["table_row_wise", "column_wise"]},
    "one type": {"sharding_types": ["grid_shard"]},
    "columns on a host": {"sharding_types": ["table_column_wise"]},
    "copies": {"sharding_types": ["data_parallel"]},
    "kernels": {"compute_kernels": ["fused_uvm"]},
    "cache": {"compute_kernels": ["fused_uvm_caching"], "cache_load_factor": 0.3},
    "split": {"compute_kernels": ["fused_uvm_split"], "cache_load_factor": 0.3},
    "flash": {"compute_kernels": ["key_value"]},
    "pins": {"ranks": [1, 2, 6]},
    "one rank": {"ranks": [5]},
    "hosts": {"hosts": [1]},
    "forbidden": {"forbidden_ranks": [0, 1, 2, 3, 4]},
    "widths": {"sharding_types": ["column_wise"], "min_column_width": 48},
    "row types": {"dtypes": ["int8", "fp16"]},
    "all at once": {
        "sharding_types": ["column_wise"],
        "compute_kernels": ["fused", "fused_uvm"],
        "hosts": [0],
        "forbidden_ranks": [2],
        "min_column_width": 32,
        "dtypes": ["bf16"],
    },
}


def used_ranks(plan: Plan, table: int) -> set[int]:
    return {rank for block in plan.tables[table].blocks for rank in block.ranks}


@pytest.mark.parametrize("solver", ["greedy", "ldm"])
@pytest.mark.parametrize("target", ["any", "torchrec"])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_kept(name: str, target: str, solver: str) -> None:
    """Each kind of constraint is honoured, and `check` agrees."""
    if name == "split" and target == "torchrec":
        return
    limits = CONSTRAINTS[name]
    tables = workload(*MANY, constraints=limits, optimizer="rowwise_adagrad")
    plan = (
        Instance(tables, TWO_HOSTS, COST_MODEL).solve(solver=solver, target=target).plan
    )
    assert_plan_valid(plan)
    for index, placement in enumerate(plan.tables):
        ranks = used_ranks(plan, index)
        assert placement.sharding_type in limits.get(
            "sharding_types", [placement.sharding_type]
        )
        assert placement.compute_kernel in limits.get(
            "compute_kernels", [placement.compute_kernel]
        )
        assert ranks <= set(limits.get("ranks", range(8)))
        assert not ranks & set(limits.get("forbidden_ranks", []))
        assert {rank // 4 for rank in ranks} <= set(limits.get("hosts", [0, 1]))
        assert placement.dtype in ["fp32", *limits.get("dtypes", [])]
        if "cache_load_factor" in limits:
            assert placement.tiers.hbm == limits["cache_load_factor"]
        for block in placement.blocks:
            assert block.num_columns >= limits.get("min_column_width", 4)


@pytest.mark.parametrize("solver", ["greedy", "ldm"])
def test_tables_keep_apart(solver: str) -> None:
    """No rank holds two tables of a group, though others may join either."""
    names = [f"t{i}" for i in range(4)]
    tables = workload(*MANY, separate=[names])
    plan = Instance(tables, TWO_HOSTS, COST_MODEL).solve(solver=solver).plan
    assert_plan_valid(plan)
    ranks = [used_ranks(plan, index) for index in range(4)]
    assert sum(len(r) for r in ranks) == len(set.union(*ranks))


@pytest.mark.parametrize("solver", ["greedy", "ldm"])
def test_bundles_keep_apart_and_pinned(solver: str) -> None:
    """Colocated, separated and pinned tables at once."""
    tables = workload(
        {**MANY[0], "constraints": {"hosts": [1]}},
        *MANY[1:],
        colocate=[["t0", "t1"]],
        separate=[["t1", "t2"], ["t2", "t3"]],
    )
    plan = Instance(tables, TWO_HOSTS, COST_MODEL).solve(solver=solver).plan
    assert_plan_valid(plan)
    assert used_ranks(plan, 0) == used_ranks(plan, 1) <= {4, 5, 6, 7}
    assert not used_ranks(plan, 1) & used_ranks(plan, 2)


def test_items_go_to_the_least_loaded_rank(one_host: Instance) -> None:
    """Equal tables take the ranks in order, and loads follow."""
    problem = one_host.problem()
    placer = Placer(problem, SCALE)
    menu = problem.options
    for bundle in range(4):
        whole = menu.start[bundle] + np.flatnonzero(
            (menu.scope == Scope.RANK)[menu.start[bundle] : menu.start[bundle + 1]]
        )
        assert placer.place(bundle, int(whole[0]))
        assert placer.places[bundle].tolist() == [bundle]
    assert (placer.loads.cost.sum(axis=1) > 0).all()


def test_what_does_not_fit_leaves_no_trace(one_host: Instance) -> None:
    """A failed placement takes back what it had placed already."""
    problem = one_host.problem()
    menu = problem.options
    option = int(np.flatnonzero(menu.row_shards == 3)[0])
    item = int(menu.item_start[option])
    problem.capacity.rank_hbm[:2] = 2 * menu.item_bytes[item, 0]
    problem.capacity.rank_hbm[2:] = 0.0
    placer = Placer(problem, SCALE)
    assert not placer.place(0, option)
    np.testing.assert_allclose(placer.loads.hbm, 0.0, atol=1e-6)
    np.testing.assert_allclose(placer.loads.cost, 0.0, atol=1e-15)
    assert placer.option[0] == -1


def test_a_fallback_takes_the_cheapest_option_that_fits(one_host: Instance) -> None:
    """Where the chosen option does not fit, the next one does, if any."""
    problem = one_host.problem()
    totals = OptionTotals.of(problem)
    menu = problem.options
    whole = int(menu.item_bytes[: menu.item_start[menu.start[1]], 0].max())
    problem.capacity.rank_hbm[:] = 0.4 * whole
    choice = int(np.flatnonzero(menu.item_bytes[:, 0] == whole)[0])
    option = int(menu.item_option[choice])
    placer = Placer(problem, SCALE)
    assert place_fallback(problem, totals, placer, 0, option)
    assert placer.option[0] != option
    problem.capacity.rank_hbm[:] = 0.0
    assert not place_fallback(problem, totals, Placer(problem, SCALE), 0, option)


def test_preferred_places_are_taken_if_they_fit(one_host: Instance) -> None:
    """A wish is granted where there is room, else the least loaded rank serves."""
    problem = one_host.problem()
    menu = problem.options
    option = int(np.flatnonzero((menu.column_shards == 2) & (menu.scope == 0))[0])
    placer = Placer(problem, SCALE)
    assert placer.place(0, option, np.array([3, 3]))
    assert placer.places[0].tolist() == [3, 3]
    problem.capacity.rank_hbm[3] = 0.0
    placer = Placer(problem, SCALE)
    assert placer.place(0, option, np.array([3, 0]))
    assert 3 not in placer.places[0]


def test_order_of_placing(two_hosts: Instance) -> None:
    """Limited tables first, then wide scopes, then the longest."""
    limited = two_hosts.workload.tables[5].replace(constraints={"ranks": [1, 2]})
    tables = (*two_hosts.workload.tables[:5], limited)
    problem = two_hosts.with_workload(tables=tables).problem()
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0)
    order = placing_order(problem, totals, choice)
    assert order[0] == 5
    scopes = problem.options.scope[choice][order[1:]]
    assert scopes.tolist() == sorted(scopes.tolist(), reverse=True)
    assert (mean_phase_load(problem, choice) > 0).all()


@pytest.mark.parametrize("solver", ["greedy", "ldm"])
@pytest.mark.parametrize("objective", ["step", "max-rank"])
@pytest.mark.parametrize("name", CLUSTERS)
def test_every_cluster(name: str, objective: str, solver: str) -> None:
    """All kinds of tables are placed on all kinds of clusters for both objectives."""
    plan = varied(CLUSTERS[name]).solve(solver=solver, objective=objective).plan
    assert_plan_valid(plan)


def test_kernels_of_a_full_host(tiered: Instance) -> None:
    """What does not fit into HBM goes to DDR, and no further."""
    plan = tiered.solve(solver="greedy").plan
    kernels = {p.compute_kernel for p in plan.tables}
    assert kernels & {ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM}
    assert ComputeKernel.KEY_VALUE not in kernels
    assert len(KERNELS) == 6


def test_what_is_on_all_ranks_is_placed_together(two_hosts: Instance) -> None:
    """In one go or one by one, loads are the same to the last bit; all fit, or none."""
    problem = two_hosts.problem()
    menu = problem.options
    options = np.flatnonzero(menu.scope == Scope.ALL)
    bundles, first = np.unique(menu.table[options], return_index=True)
    options = options[first]
    assert len(options) > 1
    together, one_by_one = Placer(problem, SCALE), Placer(problem, SCALE)
    together.place_everywhere(bundles, options)
    for bundle, option in zip(bundles.tolist(), options.tolist(), strict=True):
        assert one_by_one.place(bundle, option)
    np.testing.assert_array_equal(together.option, one_by_one.option)
    for name in ("cost", "hbm", "ddr", "ssd"):
        np.testing.assert_array_equal(
            getattr(together.loads, name), getattr(one_by_one.loads, name)
        )
    problem.capacity.rank_hbm[:] = 0.9 * together.loads.hbm
    together = Placer(problem, SCALE)
    together.place_everywhere(bundles, options)
    assert (together.option == -1).all()
    assert not together.loads.hbm.any()
