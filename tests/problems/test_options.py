"""The menu: every legal way to shard a table, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.checking.constraints import check_constraints
from shardplan.checking.geometry import check_geometry
from shardplan.checking.target import check_target
from shardplan.costs.cluster import Cluster
from shardplan.costs.row_heat import HEAT_WEIGHTS
from shardplan.costs.scopes import Scope
from shardplan.costs.shards import DTYPES, KERNELS
from shardplan.plans.realize import placements
from shardplan.problems.options import menu as module
from shardplan.problems.options import prune as pruning
from shardplan.problems.options.arrays import SHARDING_TYPES, Options
from shardplan.problems.options.rules import Allowed, allowed
from shardplan.problems.options.structures import (
    CACHE_SHARES,
    SPLIT_SHARES,
    SSD_CACHE_SHARES,
    Structure,
    Variant,
    structures,
    variants,
)
from shardplan.problems.options.template import Template
from shardplan.problems.problem import Assignment, Problem, only_placeable
from shardplan.records.sharding import (
    SUMS,
    ComputeKernel,
    Objective,
    Phase,
    ShardingType,
    Target,
)
from shardplan.records.tables import EmbeddingTable, TableConstraints
from shardplan.records.targets import RUNTIMES
from shardplan.records.workload import Optimizer
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    ONE_HOST,
    TWO_HOSTS,
    Instance,
    random_places,
    runnable,
    topology,
    varied,
    workload,
)
from tests.solvers.helpers import brute_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.topology import Topology


_GRID = SHARDING_TYPES.index(ShardingType.GRID_SHARD)


def cuts(
    dim: int,
    cluster: str = "two_hosts",
    target: Target = Target.ANY,
    **constraints: Any,
) -> list[tuple[ShardingType, Scope, int, int]]:
    found = structures_of(dim, CLUSTERS[cluster], target, **constraints)
    return [structure[:4] for structure in found]


def structures_of(
    dim: int,
    on: Topology,
    target: Target = Target.ANY,
    *,
    every_count: bool = False,
    are_few: bool = False,
    **constraints: Any,
) -> list[Structure]:
    limits, cluster = TableConstraints(**constraints), Cluster.of(on)
    return structures(
        dim,
        allowed_for(dim, limits, cluster, target).types,
        limits.min_column_width,
        cluster,
        RUNTIMES[target],
        every_count=every_count,
        are_few=are_few,
    )


def variants_of(
    dim: int, on: Topology, target: Target = Target.ANY, **constraints: Any
) -> list[Variant]:
    limits = TableConstraints(**constraints)
    rest = allowed_for(dim, limits, Cluster.of(on), target)
    return variants(rest.kernels, rest.dtypes, limits.cache_load_factor)


def allowed_for(
    dim: int,
    limits: TableConstraints,
    cluster: Cluster,
    target: Target,
    optimizer: Optimizer = Optimizer.ROWWISE_ADAGRAD,
) -> Allowed:
    table = EmbeddingTable(name="t", num_embeddings=100, embedding_dim=dim)
    return allowed(table, limits, cluster, RUNTIMES[target], optimizer)


def menu_of(
    table: dict[str, Any], cluster: str = "two_hosts", **options: Any
) -> tuple[Instance, Options]:
    instance = Instance(workload(table), CLUSTERS[cluster], COST_MODEL)
    return instance, instance.problem(**options).options


def kinds(menu: Options) -> set[tuple[str, str]]:
    return {
        (SHARDING_TYPES[t], KERNELS[k])
        for t, k in zip(menu.sharding_type, menu.kernel, strict=True)
    }


def test_every_type_on_two_hosts() -> None:
    """128 columns on 2 * 4 ranks: all types, all widths, all groups and subsets."""
    found = cuts(128)
    world = 8
    assert found.count((ShardingType.DATA_PARALLEL, Scope.ALL, 1, 1)) == 1
    assert found.count((ShardingType.TABLE_WISE, Scope.RANK, 1, 1)) == 1
    columns = [k for kind, _, k, _ in found if kind == "column_wise"]
    assert columns == list(range(2, world + 1))  # 16, 11, 8, 7, 6, 5 and 4 blocks
    subsets = [
        n for kind, scope, _, n in found if kind == "row_wise" and scope == Scope.RANK
    ]
    assert subsets == [2, 3, 4, 5, 6, 7]
    assert (ShardingType.ROW_WISE, Scope.ALL, 1, world) in found
    assert (ShardingType.TABLE_ROW_WISE, Scope.HOST, 1, 4) in found
    grids = [cut[1:] for cut in found if cut[0] == "grid_shard"]
    assert grids == [(Scope.HOST, k, 4) for k in range(2, world + 1)]
    assert len(found) == len(set(found))


def test_column_only_tables_may_stay_on_a_host() -> None:
    """Where column_wise is not allowed, table_column_wise is offered on one host."""
    found = cuts(128, sharding_types=["table_column_wise"])
    assert found == [
        (ShardingType.TABLE_COLUMN_WISE, Scope.RANK, k, 1) for k in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("dim", "narrowest", "expected"),
    [
        (128, None, 8),  # 8 ranks bind
        (16, None, 4),  # 4 blocks of 4 columns
        (20, None, 5),
        (128, 32, 4),  # 128 / 32
        (128, 33, 3),  # 33 is rounded up to 36: 3 * 36 <= 128
        (128, 64, 2),
        (128, 65, 1),
        (10, None, 1),  # no multiple of 4
        (4, None, 1),
    ],
)
def test_every_legal_column_width(
    dim: int, narrowest: int | None, expected: int
) -> None:
    """Any number of shards whose widths are multiples of 4 and wide enough."""
    found = structures_of(
        dim,
        CLUSTERS["two_hosts"],
        every_count=True,
        sharding_types=("column_wise",),
        min_column_width=narrowest,
    )
    assert [cut.column_shards for cut in found] == list(range(2, expected + 1))


@pytest.mark.parametrize(
    ("dim", "expected"),
    [
        (16, [2, 4]),
        (20, [2, 3, 5]),
        (36, [2, 3, 5]),
        (48, [2, 3, 4, 6]),
        (128, [*range(2, 9)]),
    ],
)
def test_one_cut_for_each_width(dim: int, expected: list[int]) -> None:
    """Of 12 blocks of 4 columns, 5 shards are no narrower than 4: both have 3."""
    found = cuts(dim, sharding_types=["column_wise"])
    assert [k for _, _, k, _ in found] == expected


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 64), st.integers(1, 300))
def test_widths_are_even_and_legal(units: int, narrowest: int) -> None:
    """Shards differ by at most 4 columns, tile the table and respect the minimum."""
    limits = {"sharding_types": ["column_wise", "table_wise"]}
    table = {"embedding_dim": 4 * units, "num_embeddings": 10}
    table["constraints"] = {**limits, "min_column_width": narrowest}
    _, menu = menu_of(table)
    for option in range(len(menu)):
        items = menu.items_of(option)
        width, count = menu.item_columns[items], menu.item_count[items]
        assert width @ count == 4 * units
        assert count.sum() == menu.column_shards[option] == menu.num_places(option)
        assert width.max() - width.min() in (0, 4)
        if menu.column_shards[option] > 1:
            assert width.min() >= narrowest
            assert (width % 4 == 0).all()


def test_domains_inside_and_across_hosts() -> None:
    """Row groups are hosts, and domains where those are something else."""
    wanted = ["table_row_wise", "row_wise"]
    pairs = [cut[1::2] for cut in cuts(4, "pairs", sharding_types=wanted[:1])]
    assert pairs == [(Scope.HOST, 4), (Scope.DOMAIN, 2)]
    wide = [cut[1::2] for cut in cuts(4, "wide", sharding_types=wanted[:1])]
    assert wide == [(Scope.HOST, 2), (Scope.DOMAIN, 4)]
    # Rows over a domain of all ranks are row_wise where that is allowed.
    both = [cut[:2] for cut in cuts(4, "wide", sharding_types=wanted)]
    assert (ShardingType.TABLE_ROW_WISE, Scope.DOMAIN) not in both


def test_targets_cut_shapes() -> None:
    """TorchRec has no row subsets and no domains; HugeCTR has five types."""
    torchrec = cuts(128, "pairs", Target.TORCHREC)
    assert {scope for kind, scope, _, _ in torchrec if kind == "row_wise"} == {
        Scope.ALL
    }
    assert Scope.DOMAIN not in {scope for _, scope, _, _ in torchrec}
    hugectr = {kind for kind, *_ in cuts(128, "pairs", Target.HUGECTR)}
    assert hugectr == {
        "data_parallel",
        "table_wise",
        "column_wise",
        "row_wise",
        "grid_shard",
    }


@pytest.mark.parametrize("name", CLUSTERS)
def test_any_has_what_hugectr_has(name: str) -> None:
    """So that its bound is no higher; grids of runs of ranks are HugeCTR's alone."""
    for dim in (4, 12, 20, 48, 128):
        free = set(cuts(dim, name))
        cut = {c for c in cuts(dim, name, Target.HUGECTR) if c[0] != "grid_shard"}
        assert free >= cut


@pytest.mark.parametrize(
    ("dim", "narrowest", "slices"),
    [
        (128, None, [2, 4, 8]),  # 8 ranks bind
        (128, 32, [2, 4]),
        (48, None, [2, 3, 4, 6]),
        (20, None, [5]),
        (4, None, []),
        (10, None, []),  # no multiple of 4
    ],
)
def test_hugectr_cuts_columns_evenly(
    dim: int, narrowest: int | None, slices: list[int]
) -> None:
    """Slices are equal, and of all ranks no more are used than there are."""
    on = CLUSTERS["two_hosts"]
    found = structures_of(dim, on, Target.HUGECTR, min_column_width=narrowest)
    columns = [cut for cut in found if cut.sharding_type == "column_wise"]
    assert [cut.column_shards for cut in columns] == slices
    grids = [cut for cut in found if cut.sharding_type == "grid_shard"]
    assert {cut.column_shards for cut in grids} == {k for k in slices if 2 * k <= 8}
    assert all(cut.column_shards * cut.row_shards <= 8 for cut in grids)
    assert all(cut.apart and cut.scope == Scope.RANK for cut in columns + grids)


def test_few_tables_are_cut_by_rows_and_columns_over_any_ranks() -> None:
    """Of fewer tables than ranks `any` has HugeCTR's grids, as `row_wise` in slices."""
    on = CLUSTERS["two_hosts"]
    grids = {
        (cut.column_shards, cut.row_shards)
        for cut in structures_of(128, on, Target.HUGECTR)
        if cut.sharding_type == "grid_shard"
    }
    few = structures_of(128, on, are_few=True)
    own = [cut for cut in few if cut not in structures_of(128, on)]
    assert {(cut.column_shards, cut.row_shards) for cut in own} == grids
    assert {(cut.sharding_type, cut.scope, cut.apart) for cut in own} == {
        ("row_wise", Scope.RANK, True)
    }
    torchrec = [
        structures_of(128, on, Target.TORCHREC, are_few=few) for few in (False, True)
    ]
    assert torchrec[0] == torchrec[1]


def test_slices_of_rows_are_on_menus_of_few_tables() -> None:
    """Seven tables on eight ranks have them, eight do not."""
    for number, expected in ((7, True), (8, False)):
        tables = [{"embedding_dim": 16, "num_embeddings": 10**6}] * number
        instance = Instance(workload(*tables), CLUSTERS["two_hosts"], COST_MODEL)
        menu = instance.problem().options
        sliced = (menu.row_shards > 1) & (menu.column_shards > 1) & menu.apart
        assert sliced.any() == expected


def kernels_of(
    target: Target = Target.ANY, cluster: str = "one_host", **limits: Any
) -> list[str]:
    found = variants_of(16, CLUSTERS[cluster], target, **limits)
    return list(dict.fromkeys(KERNELS[KERNELS.index(v.kernel)].value for v in found))


def test_kernels_by_default_and_by_name() -> None:
    """All kernels but the static split are on offer; that one must be named."""
    everything = ["dense", "fused", "fused_uvm_caching", "fused_uvm", "key_value"]
    assert kernels_of() == everything
    assert kernels_of(compute_kernels=["fused_uvm_split"]) == ["fused_uvm_split"]
    assert kernels_of(Target.TORCHREC) == everything
    split = {"compute_kernels": ["fused", "fused_uvm_split"]}
    assert kernels_of(Target.TORCHREC, **split) == ["fused"]
    assert kernels_of(Target.HUGECTR) == ["dense", "fused"]
    assert kernels_of(cluster="cpu") == ["dense", "fused"]


def test_no_ssd_no_key_value() -> None:
    """Rows on SSD need one in every host group."""
    host = {"ddr_bytes": 10**11, "ddr_bw": 8e10, "pcie_bw": 2e10}
    found = variants_of(16, topology(host=host))
    assert ComputeKernel.KEY_VALUE not in {variant.kernel for variant in found}


def shares_of(kernel: str, **limits: Any) -> list[tuple[float, float]]:
    found = variants_of(16, ONE_HOST, compute_kernels=[kernel], **limits)
    return [(v.hbm_share, v.ddr_share) for v in found]


def test_cache_sizes() -> None:
    """Caches come in several sizes, or in the one that is asked for."""
    caching = "fused_uvm_caching"
    assert shares_of(caching) == [(share, 1.0) for share in CACHE_SHARES]
    assert shares_of(caching, cache_load_factor=0.3) == [(0.3, 1.0)]
    assert shares_of("fused_uvm_split") == [(s, 1.0 - s) for s in SPLIT_SHARES]
    assert shares_of("fused_uvm_split", cache_load_factor=0.25) == [(0.25, 0.75)]
    assert shares_of("key_value") == list(SSD_CACHE_SHARES)
    assert [hbm for hbm, _ in shares_of("key_value", cache_load_factor=0.3)] == [0.3]
    assert shares_of("fused", cache_load_factor=0.3) == [(1.0, 0.0)]


def test_row_types() -> None:
    """The table's own type and the ones that may replace it; int4 needs even rows."""

    def dtypes(dim: int) -> list[str]:
        limits: dict[str, Any] = {"dtypes": ("fp16", "int4")}
        found = variants_of(dim, ONE_HOST, compute_kernels=("fused",), **limits)
        return [DTYPES[v.dtype].value for v in found]

    assert dtypes(16) == ["fp32", "fp16", "int4"]
    assert dtypes(15) == ["fp32", "fp16"]


def wrong_tables(
    instance: Instance, problem: Problem, choice: np.ndarray, target: Target
) -> dict[str, list[str]]:
    """Check the placements of one choice, each by itself."""
    rng = np.random.default_rng(7)
    places = tuple(
        random_places(problem, bundle, int(option), rng)
        for bundle, option in enumerate(choice)
    )
    model, cluster = instance.workload, problem.cluster
    found = {}
    placed = placements(problem, Assignment(choice, places))
    for placement, table in zip(placed, model.tables, strict=True):
        violations = [
            *check_geometry(placement, table, cluster, RUNTIMES[target]),
            *check_constraints(placement, table, model, cluster),
            *check_target(placement, table, target, cluster),
        ]
        if violations:
            found[table.name] = [str(violation) for violation in violations]
    return found


def choices(problem: Problem) -> Iterator[np.ndarray]:
    """Yield choices so that every option of every bundle occurs."""
    start, size = problem.options.start[:-1], np.diff(problem.options.start)
    for step in range(int(size.max())):
        yield start + np.minimum(step, size - 1)


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("name", CLUSTERS)
def test_check_accepts_every_option(name: str, target: Target) -> None:
    """Every option of every menu, placed anywhere legal, has a shape of its target."""
    instance = runnable(CLUSTERS[name], target, row_routing="blocks")
    problem = instance.problem(target=target, all_tiers=True)
    for choice in choices(problem):
        assert wrong_tables(instance, problem, choice, target) == {}


def test_hot_rows_are_cut_where_heat_balances() -> None:
    """For `any`, and where the order of rows is known; each cut comes four times."""
    limits = {"sharding_types": ["row_wise"], "compute_kernels": ["fused"]}
    table = {"num_embeddings": 10**6, "constraints": limits, "is_pooled": False}
    blocks = {"block_heat": [0.7, 0.1, 0.1, 0.1]}
    skew = {"row_skew": {"ratio": 2.0, "shards": 4}}

    def weights(target: Target, **heat: Any) -> set[float]:
        _, menu = menu_of({**table, **heat}, "one_host", target=target)
        return set(menu.heat_weight[menu.row_shards == 4].tolist())

    # Cuts of less weight have fewer rows on a rank, the even one the fewest.
    assert weights(Target.ANY, **blocks) == {0.0, *HEAT_WEIGHTS}
    assert weights(Target.ANY, row_routing="hash") == {0.0}
    assert weights(Target.ANY, **skew) == weights(Target.ANY) == {0.0}
    assert weights(Target.TORCHREC, **blocks) == {0.0}
    assert weights(Target.HUGECTR, **blocks) == {0.0}


def test_rows_count_as_the_hottest_shard() -> None:
    """A cut of which one shard of four has half the ids receives half of them."""
    limits = {"sharding_types": ["row_wise"], "compute_kernels": ["fused"]}
    table = {"constraints": limits, "pooling_factor": 50.0}
    skew = {"row_skew": {"ratio": 2.0, "shards": 4}}
    _, hot = menu_of({**table, **skew}, "one_host", target=Target.HUGECTR)
    _, even = menu_of(table, "one_host", target=Target.HUGECTR)
    four, two = hot.row_shards == 4, even.row_shards == 2
    ids = list(Phase).index(Phase.INPUT_DIST)
    np.testing.assert_allclose(
        hot.item_cost[four][..., ids], even.item_cost[two][..., ids]
    )
    # Half of 1,000 distinct rows are more than a quarter of the table has.
    assert hot.item_cost[four].sum() < even.item_cost[two].sum()
    assert hot.item_cost[four].sum() > even.item_cost[even.row_shards == 4].sum()


@pytest.mark.parametrize("target", [Target.TORCHREC, Target.HUGECTR])
def test_check_agrees_with_the_menus_of_targets(target: Target) -> None:
    """What `check` accepts for a target is on its menu, and nothing else is."""
    instance = runnable(CLUSTERS["pairs"], target)
    free = only_placeable(replace(instance.problem(all_tiers=True), target=target))
    cut = instance.problem(target=target, all_tiers=True)
    names = [table.name for table in instance.workload.tables]
    accepted = set()
    for choice in choices(free):
        wrong = wrong_tables(instance, free, choice, target)
        for bundle, members in enumerate(free.bundles.members):
            if not wrong.keys() & {names[i] for i in members}:
                accepted.add(_identity(free, int(choice[bundle])))
    offered = {_identity(cut, option) for option in range(len(cut.options))}
    if target is Target.HUGECTR:
        # Its menu has more: without uneven columns, fewer options are dominated, and
        # rows of its grids are cut over any ranks, not only over hosts and domains.
        assert any(a[1] == _GRID for a in accepted)
        assert offered >= {a for a in accepted if a[1] != _GRID}
        return
    # Uneven columns train, so that `check` takes them, but do not resume.
    units = [table.embedding_dim // 4 for table in instance.workload.tables]
    first = [members[0] for members in free.bundles.members]
    accepted = {a for a in accepted if units[first[a[0]]] % a[3] == 0}
    assert offered >= accepted
    # Without the static split, sizes of caches stay that it would dominate.
    assert {o[:6] for o in offered} >= {a[:6] for a in accepted}
    assert {o[:5] for o in offered} == {a[:5] for a in accepted}


def _identity(problem: Problem, option: int) -> tuple[Any, ...]:
    menu = problem.options
    names = ("table", "sharding_type", "scope", "column_shards", "row_shards")
    names += ("kernel", "dtype", "hbm_share")
    return tuple(getattr(menu, name)[option].item() for name in names)


def test_rows_cut_over_more_ranks_than_there_are() -> None:
    """No shard is empty: 5 rows over 4 ranks would be 2, 2, 1 and 0."""
    _, menu = menu_of({"num_embeddings": 5}, "one_host")
    cut = set(menu.row_shards.tolist())
    assert cut == {1, 2, 3}
    _, menu = menu_of({"num_embeddings": 1}, "one_host")
    assert set(menu.row_shards.tolist()) == {1}


def test_grid_of_one_block_is_table_row_wise() -> None:
    """One block of all columns over a host costs what table_row_wise costs."""
    problem = Instance(workload({}), TWO_HOSTS, COST_MODEL).problem()
    fused = Variant(ComputeKernel.FUSED, 0, 1.0, 0.0)
    kinds = (ShardingType.GRID_SHARD, ShardingType.TABLE_ROW_WISE)
    pairs = [(Structure(kind, Scope.HOST, 1, 4), fused) for kind in kinds]
    template = Template.of(128, pairs)
    found = module._price(np.array([0]), template, problem.usage, problem.pricer)
    assert template.item_columns.tolist() == [128, 128]
    assert found.cost[0, 0].tolist() == found.cost[0, 1].tolist()
    assert found.tier_bytes[0, 0].tolist() == found.tier_bytes[0, 1].tolist()


def test_table_wise_is_row_wise_on_one_rank() -> None:
    """A single rank has no use for cuts, nor for a copy, which needs more memory."""
    _, menu = menu_of({}, "one_rank")
    assert kinds(menu) == {("table_wise", "fused")}
    assert (menu.item_cost[:, :, [0, 3, 4]] == 0).all()


def test_row_wise_over_one_host_is_table_row_wise() -> None:
    """On a single host the two types have the same price."""
    _, rows = menu_of({"constraints": {"sharding_types": ["row_wise"]}}, "one_host")
    _, host = menu_of(
        {"constraints": {"sharding_types": ["table_row_wise"]}}, "one_host"
    )
    everywhere = rows.scope[rows.item_option] == Scope.ALL
    np.testing.assert_allclose(rows.item_cost[everywhere], host.item_cost)
    np.testing.assert_allclose(rows.item_bytes[everywhere], host.item_bytes)


def test_offloading_is_offered_where_memory_may_run_short() -> None:
    """Small models get no slower tiers, full ones do, unless all are asked for."""
    _, roomy = menu_of({})
    assert {kernel for _, kernel in kinds(roomy)} == {"dense", "fused"}
    _, everything = menu_of({}, all_tiers=True)
    assert "fused_uvm" in {kernel for _, kernel in kinds(everything)}
    # 4 ranks hold 36 GB at most: 30 GB are more than 70 % of it.
    _, short = menu_of({"num_embeddings": 60_000_000}, "one_host")
    assert "fused_uvm" in {kernel for _, kernel in kinds(short)}
    assert "key_value" not in {kernel for _, kernel in kinds(short)}
    # HBM and DDR have 112 GB together.
    _, shorter = menu_of({"num_embeddings": 180_000_000}, "one_host")
    assert "key_value" in {kernel for _, kernel in kinds(shorter)}


def test_options_that_fit_nowhere_are_dropped() -> None:
    """20 GB fit on no rank of 8 GB, whole or halved, but in thirds."""
    limits = {"sharding_types": ["table_wise", "column_wise"]}
    table = {"num_embeddings": 40_000_000, "constraints": limits}
    _, menu = menu_of(table, "one_host")
    fused = menu.kernel == KERNELS.index(ComputeKernel.FUSED)
    assert menu.column_shards[fused].tolist() == [3, 4]


def test_a_table_without_options_keeps_its_place() -> None:
    """Nothing fits the first table; the second one's options are its own."""
    huge = {"num_embeddings": 10**12, "constraints": {"sharding_types": ["table_wise"]}}
    instance = Instance(workload(huge, {}), ONE_HOST, COST_MODEL)
    menu = instance.problem(all_tiers=True).options
    assert menu.start[:2].tolist() == [0, 0]
    assert menu.start[2] == len(menu) > 0
    only = (
        Instance(workload(huge), ONE_HOST, COST_MODEL).problem(all_tiers=True).options
    )
    assert len(only) == 0
    assert only.start.tolist() == [0, 0]


def nothing_dominated(*given: Any) -> np.ndarray:
    """Stand in for the rules of dominance; the last argument is (M, K, F)."""
    return np.zeros(given[-1].shape[:2], dtype=bool)


SMALL = [
    {"num_embeddings": 9_000_000, "pooling_factor": 5.0},
    {"num_embeddings": 200_000, "embedding_dim": 24, "pooling_factor": 20.0},
]


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("batch", [10, 100_000])
def test_dominated_options_are_never_the_only_optimum(
    objective: Objective, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All solutions with and without dominated options have the same best value."""
    limits = {"dtypes": ["fp16", "int8"]}
    tables = workload(*SMALL, global_batch_size=batch, constraints=limits)
    instance = Instance(tables, topology(local_world_size=2), COST_MODEL)
    pruned = instance.problem(objective=objective, all_tiers=True)
    value, best = brute_force(pruned)
    for name in ("dominated_by_variant", "dominated_by_columns"):
        monkeypatch.setattr(pruning, name, nothing_dominated)
    everything = instance.problem(objective=objective, all_tiers=True)
    assert len(everything.options) > len(pruned.options)
    assert best is not None
    assert brute_force(everything)[0] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("objective", SUMS)
def test_what_columns_replace_is_never_the_only_optimum(
    objective: Objective, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random tables on two hosts with little memory, cut in every way."""
    rng = np.random.default_rng(seed)
    tables = [
        {
            "num_embeddings": int(10.0 ** rng.uniform(3.0, 7.2)),
            "embedding_dim": int(rng.choice([8, 16])),
            "pooling_factor": float(rng.uniform(1.0, 4.0)),
        }
        for _ in range(2)
    ]
    limits = {"compute_kernels": ["dense", "fused", "fused_uvm_caching"]}
    limits["cache_load_factor"] = 0.2
    heat = {"row_routing": "blocks", "access": {"kind": "zipf", "alpha": 0.9}}
    model = workload(*tables, constraints=limits, **(heat if seed % 2 else {}))
    cluster = topology(local_world_size=2, num_hosts=2)
    instance = Instance(model, cluster, COST_MODEL)
    pruned = instance.problem(objective=objective, all_tiers=True)
    monkeypatch.setattr(pruning, "dominated_by_columns", nothing_dominated)
    everything = instance.problem(objective=objective, all_tiers=True)
    dropped = len(everything.options) - len(pruned.options)
    assert dropped > (0 if objective is Objective.MAX_RANK else -1)
    best = brute_force(everything)[0]
    assert brute_force(pruned)[0] == pytest.approx(best, rel=1e-12)


def test_menus_are_sorted_and_whole() -> None:
    """Tables of many kinds, priced in chunks, come out in order with their items."""
    menu = varied(TWO_HOSTS, colocate=[]).problem(all_tiers=True).options
    assert (np.diff(menu.table) >= 0).all()
    for table in range(6):
        assert (menu.table[menu.start[table] : menu.start[table + 1]] == table).all()
    assert menu.item_start[-1] == len(menu.item_columns) == len(menu.item_cost)
    assert (np.diff(menu.item_start) >= 1).all()
    assert (np.diff(menu.item_start) <= 2).all()


def test_small_chunks_give_the_same_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pricing a table at a time changes nothing."""
    tables = workload(*[{"num_embeddings": 100 * (i + 1)} for i in range(5)])
    instance = Instance(tables, TWO_HOSTS, COST_MODEL)
    whole = instance.problem().options
    monkeypatch.setattr(module, "_CHUNK_ITEMS", 1)
    parts = instance.problem().options
    for name in Options.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
