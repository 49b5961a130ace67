"""Tables that stay together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.shards import DTYPES
from shardplan.plans.realize import placements
from shardplan.problems.bundling import Bundles
from tests.helpers import (
    COST_MODEL,
    TWO_HOSTS,
    Instance,
    assert_plan_valid,
    plan_of,
    random_assignment,
    workload,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


def bundled(*tables: dict[str, Any], **changes: Any) -> tuple[Instance, Problem]:
    changes = {"colocate": [["t0", "t1"]], **changes}
    instance = Instance(workload(*tables, **changes), TWO_HOSTS, COST_MODEL)
    return instance, instance.problem(all_tiers=True)


def test_without_groups_every_table_is_a_bundle(one_host: Instance) -> None:
    """The menu of the bundles is the menu of the tables."""
    problem = one_host.problem()
    bundles, options = Bundles.of(one_host.workload, problem.options)
    assert bundles.members == tuple((i,) for i in range(6))
    assert options is problem.options
    assert bundles.sources[:, 0].tolist() == list(range(len(options)))


def test_overlapping_groups_join() -> None:
    """a-b and b-c make one bundle, in the place of its first table."""
    _, problem = bundled({}, {}, {}, {}, colocate=[["t3", "t1"], ["t1", "t2"]])
    assert problem.bundles.members == ((0,), (1, 2, 3))
    assert problem.bundle_names() == ["t0", "t1+t2+t3"]


def test_items_add_up_place_by_place() -> None:
    """Costs and bytes of a bundle's place are the sums of its members' shards.

    With five shards, 28 columns are 8 8 4 4 4 and 24 columns are 8 4 4 4 4.
    """
    types = {"sharding_types": ["column_wise"], "compute_kernels": ["fused"]}
    _, problem = bundled(
        {"embedding_dim": 28}, {"embedding_dim": 24}, constraints=types
    )
    menu, tables = problem.options, problem.bundles.menu
    option = int(np.flatnonzero(menu.column_shards == 5)[0])
    items = menu.items_of(option)
    assert menu.item_columns[items].tolist() == [16, 12, 8]
    assert menu.item_count[items].tolist() == [1, 1, 3]
    first, second = (tables.items_of(o).start for o in problem.bundles.sources[option])
    pairs = [(first, second), (first, second + 1), (first + 1, second + 1)]
    for item, (a, b) in zip(range(items.start, items.stop), pairs, strict=True):
        for values, parts in (
            (menu.item_cost, tables.item_cost),
            (menu.item_bytes, tables.item_bytes),
        ):
            np.testing.assert_allclose(values[item], parts[a] + parts[b])


def test_members_share_ranks() -> None:
    """Any assignment puts the shards of the same number on the same ranks."""
    _instance, problem = bundled({}, {"embedding_dim": 64}, {})
    rng = np.random.default_rng(1)
    for _ in range(50):
        one, other, _ = placements(problem, random_assignment(problem, rng))
        assert [b.ranks for b in one.blocks] == [b.ranks for b in other.blocks]
        assert one.compute_kernel == other.compute_kernel
        assert one.tiers == other.tiers


def test_row_types_of_members_stay_on_the_menu() -> None:
    """A bundle may take the types of its tables in order, each as far as it goes."""
    limits = {"compute_kernels": ["fused"], "sharding_types": ["table_wise"]}
    low = {"constraints": {**limits, "dtypes": ["fp16", "int8"]}}
    _, problem = bundled(low, {"dtype": "fp16", "constraints": limits})
    menu = problem.bundles.menu
    types = [[DTYPES[menu.dtype[o]] for o in row] for row in problem.bundles.sources]
    assert types == [["fp32", "fp16"], ["fp16", "fp16"], ["int8", "fp16"]]


@pytest.mark.parametrize("others", [[], [{}]])
def test_members_without_a_common_option(others: list[dict[str, Any]]) -> None:
    """The bundle has an empty menu, whether or not there are other tables."""
    cached = {"compute_kernels": ["fused_uvm_caching"]}
    kinds = [
        {"constraints": {**cached, "cache_load_factor": share}} for share in (0.3, 0.5)
    ]
    _, problem = bundled(*kinds, *others)
    assert problem.options.start.tolist()[:2] == [0, 0]
    assert problem.options.start[-1] == len(problem.options)
    assert len(problem.bundles.sources) == len(problem.options)


@pytest.mark.parametrize("solver", ["greedy", "ldm"])
def test_plans_keep_tables_together(solver: str) -> None:
    """Solvers place bundles, and check finds their tables on the same ranks."""
    sizes = [{"num_embeddings": 10_000 * (i + 1)} for i in range(5)]
    groups = [["t0", "t4"], ["t1", "t2"]]
    instance, _ = bundled(*sizes, colocate=groups)
    plan = instance.solve(solver=solver).plan
    assert_plan_valid(plan)
    ranks = {p.name: {r for b in p.blocks for r in b.ranks} for p in plan.tables}
    assert ranks["t0"] == ranks["t4"]
    assert ranks["t1"] == ranks["t2"]


def test_placements_come_in_the_workloads_order() -> None:
    """Bundles of tables that are far apart do not change the order of a plan."""
    instance, problem = bundled({}, {}, {}, colocate=[["t0", "t2"]])
    plan = plan_of(
        instance, problem, random_assignment(problem, np.random.default_rng())
    )
    assert [p.name for p in plan.tables] == ["t0", "t1", "t2"]
