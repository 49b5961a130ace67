"""Tiny problems made of random arrays, and all their solutions."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.cluster import Cluster
from shardplan.costs.memory.capacity import Capacity
from shardplan.costs.pricer import make_pricer
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.costs.usage import TableUsage
from shardplan.io.catalog import load_cost_model
from shardplan.problems.bundling import Bundles
from shardplan.problems.options.arrays import Options
from shardplan.problems.problem import Assignment, Problem, only_placeable
from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import PHASES, Objective, ShardingType, Target
from shardplan.records.tables import EmbeddingTable
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

SHARDING_TYPES = tuple(ShardingType)
_DIVIDED = 0.3
"""How often the ranks of a host have a share each of its DDR and SSD."""


class Hosts(NamedTuple):
    """A host group: its hosts, ranks per host and ranks per scale-up domain."""

    num_hosts: int
    local: int
    domain: int = 1


class Shape(NamedTuple):
    """How an option is cut; `counts` has the number of places of each item."""

    sharding_type: ShardingType
    scope: Scope
    counts: tuple[int, ...]
    row_shards: int = 1
    same_host: bool = False
    apart: bool = False


TW = Shape(ShardingType.TABLE_WISE, Scope.RANK, (1,))
CW2 = Shape(ShardingType.COLUMN_WISE, Scope.RANK, (2,))
CW3 = Shape(ShardingType.COLUMN_WISE, Scope.RANK, (1, 2))
TWCW = Shape(ShardingType.TABLE_COLUMN_WISE, Scope.RANK, (2,), same_host=True)
RW2 = Shape(ShardingType.ROW_WISE, Scope.RANK, (2,), row_shards=2, apart=True)
SLICED2 = Shape(ShardingType.COLUMN_WISE, Scope.RANK, (2,), apart=True)
SLICED_GRID = Shape(ShardingType.GRID_SHARD, Scope.RANK, (4,), row_shards=2, apart=True)
DP = Shape(ShardingType.DATA_PARALLEL, Scope.ALL, (1,))


def shapes_on(groups: Sequence[Hosts], *, sliced: bool = False) -> list[Shape]:
    """All shapes that make sense on some host groups; if `sliced`, HugeCTR's."""
    world = sum(group.num_hosts * group.local for group in groups)
    shapes = [TW, CW2, CW3, TWCW, DP, *([RW2] if world > 1 else [])]
    if sliced:
        return [TW, DP, RW2, SLICED2, *([SLICED_GRID] if world > 3 else [])]
    kind = ShardingType.TABLE_ROW_WISE
    for local in {group.local for group in groups}:
        shapes.append(Shape(kind, Scope.HOST, (1,), local))
        shapes.append(Shape(ShardingType.GRID_SHARD, Scope.HOST, (1, 1), local))
    for domain in {group.domain for group in groups}:
        shapes.append(Shape(kind, Scope.DOMAIN, (1,), domain))
    cluster = Cluster.of(topology(groups))
    for scope in SCOPES[Scope.ALL + 1 :]:
        for size in sorted(set(cluster.groups(scope).num_ranks.tolist())):
            shapes.append(Shape(kind, scope, (1,), size))
            shapes.append(Shape(ShardingType.GRID_SHARD, scope, (1, 1), size))
    return shapes


def topology(groups: Sequence[Hosts]) -> Topology:
    """Make a topology of which only the shape matters."""
    one = {"name": "toy", "hbm_bytes": 10**9, "hbm_bw": 1e12}
    host = {"ddr_bytes": 10**9, "ddr_bw": 1e11, "pcie_bw": 1e10}
    return Topology.model_validate(
        {
            "schema_version": 1,
            "name": "toy",
            "host_groups": [
                {
                    "name": f"group{index}",
                    "num_hosts": group.num_hosts,
                    "local_world_size": group.local,
                    "device": one,
                    "host": host,
                    "scale_up": {
                        "kind": "switch",
                        "domain_size": group.domain,
                        "bw": 1e11,
                    },
                    "scale_out": {"nics_per_host": 1, "nic_bw": 1e10},
                }
                for index, group in enumerate(groups)
            ],
        }
    )


def make_problem(
    groups: Sequence[Hosts],
    menus: Sequence[Sequence[Shape]],
    cost: Floats,
    tier_bytes: Floats,
    capacity: tuple[Floats, Floats, Floats],
    *,
    objective: Objective = Objective.STEP,
    allowed: dict[int, NDArray[np.bool_]] | None = None,
    conflicts: dict[int, frozenset[int]] | None = None,
    target: Target = Target.ANY,
) -> Problem:
    """Build a problem from the shapes of each table's options.

    Parameters
    ----------
    cost : (I, C, P) floats
        Seconds of each item, in the order of the menus.
    tier_bytes : (I, 3) floats
    capacity : tuple of float arrays (W,), (Q,), (Q,)
        Pools of DDR and SSD are those of hosts, or of ranks if there are W.
    """
    cluster = Cluster.of(topology(groups))
    workload = Workload(
        schema_version=1,
        name="toy",
        global_batch_size=64,
        tables=tuple(
            EmbeddingTable(name=f"t{index}", num_embeddings=100, embedding_dim=16)
            for index in range(len(menus))
        ),
    )
    usage = TableUsage.of(workload, cluster.world_size)
    options = make_options(menus, cost, tier_bytes)
    divided = len(capacity[1]) == cluster.world_size
    rank_pool = np.arange(cluster.world_size) if divided else cluster.rank_host
    members = tuple((index,) for index in range(len(menus)))
    problem = Problem(
        objective=objective,
        target=target,
        cluster=cluster,
        usage=usage,
        pricer=make_pricer(cluster, usage, load_cost_model("h100")),
        capacity=Capacity(*capacity, rank_pool, reserved={}),
        options=options,
        bundles=Bundles(members, options, np.arange(len(options))[:, None]),
        allowed=allowed or {},
        conflicts=conflicts or {},
    )
    return problem if target is Target.ANY else only_placeable(problem)


def make_options(
    menus: Sequence[Sequence[Shape]], cost: Floats, tier_bytes: Floats
) -> Options:
    """Build a menu of which only the shapes, costs and bytes matter."""
    table = np.repeat(np.arange(len(menus)), [len(menu) for menu in menus])
    shapes = [shape for menu in menus for shape in menu]
    items = np.array([len(shape.counts) for shape in shapes], dtype=np.int64)
    counts = np.array([n for shape in shapes for n in shape.counts], dtype=np.int64)
    types = [SHARDING_TYPES.index(shape.sharding_type) for shape in shapes]
    return Options(
        table=table,
        sharding_type=np.array(types, dtype=np.int64),
        scope=np.array([shape.scope for shape in shapes], dtype=np.int64),
        apart=np.array([shape.apart for shape in shapes], dtype=bool),
        column_shards=np.add.reduceat(counts, np.cumsum(items) - items),
        row_shards=np.array([shape.row_shards for shape in shapes], dtype=np.int64),
        kernel=np.ones(len(shapes), dtype=np.int64),
        dtype=np.zeros(len(shapes), dtype=np.int64),
        hbm_share=np.ones(len(shapes)),
        ddr_share=np.zeros(len(shapes)),
        heat_weight=np.zeros(len(shapes)),
        same_host=np.array([shape.same_host for shape in shapes]),
        start=np.searchsorted(table, np.arange(len(menus) + 1)),
        item_start=np.r_[0, np.cumsum(items)].astype(np.int64),
        item_columns=np.full(len(counts), 4),
        item_count=counts,
        item_cost=cost,
        item_bytes=tier_bytes,
    )


def toy_problem(
    rng: np.random.Generator,
    num_tables: int,
    groups: Sequence[Hosts],
    *,
    options_each: int = 3,
    fill: float = 0.7,
    limited: bool = True,
    sliced: bool = False,
    objective: Objective = Objective.STEP,
    target: Target = Target.ANY,
) -> Problem:
    """Draw a problem: shapes, three tiers, and if `limited`, pins and conflicts.

    Parameters
    ----------
    fill : float
        Bytes of the tables over capacity, roughly, in each tier.
    """
    shapes = shapes_on(groups, sliced=sliced)
    menus = [
        [TW, *rng.permutation(len(shapes))[: options_each - 1]]
        for _ in range(num_tables)
    ]
    menus = [[s if isinstance(s, Shape) else shapes[s] for s in m] for m in menus]
    sizes = rng.lognormal(0.0, 1.0, num_tables)
    parts = [
        (table, sum(shape.counts) * shape.row_shards)
        for table, menu in enumerate(menus)
        for shape in menu
        for _ in shape.counts
    ]
    size = np.array([sizes[table] / cut for table, cut in parts])
    num_items, classes = len(parts), len(groups)
    cost = size[:, None, None] * rng.uniform(
        0.5, 2.0, (num_items, classes, len(PHASES))
    )
    cost = cost * rng.choice([0.0, 1e-4, 1e-3], (1, 1, len(PHASES)), p=[0.3, 0.3, 0.4])
    cost[:, :, 2] += 1e-5
    share = rng.dirichlet([0.5, 0.5, 0.5], num_items)
    tier_bytes = size[:, None] * share * 1e9
    tier_bytes[tier_bytes < 1e6] = 0.0
    hosts = np.concatenate([np.full(g.num_hosts, g.local) for g in groups])
    klass = np.repeat(np.arange(classes), [g.num_hosts for g in groups])
    speed = rng.uniform(0.7, 1.3, (3, classes))[:, klass]
    room = sizes.sum() * 1e9 / 3 / fill
    capacity = (
        np.repeat(speed[0] * room / hosts.sum(), hosts),
        speed[1] * room / len(hosts),
        speed[2] * room / len(hosts),
    )
    allowed, conflicts = (
        _limits(rng, num_tables, int(hosts.sum())) if limited else ({}, {})
    )
    if rng.random() < _DIVIDED:
        hbm, *others = capacity
        ddr, ssd = (np.repeat(pools / hosts, hosts) for pools in others)
        capacity = (hbm, ddr, ssd)
    return make_problem(
        groups,
        menus,
        cost,
        tier_bytes,
        capacity,
        objective=objective,
        allowed=allowed,
        conflicts=conflicts,
        target=target,
    )


def plain_problem(
    seed: int,
    groups: Sequence[Hosts] = (Hosts(3, 4, 4),),
    *,
    shapes: Sequence[Shape] | None = None,
    objective: Objective = Objective.STEP,
) -> Problem:
    """Draw 20 tables in roomy HBM alone, cut in any way that lets any rank do."""
    rng = np.random.default_rng(seed)
    # A domain of one host is no place of its own.
    usual = [
        s for s in shapes_on(groups) if not (s.same_host or s.scope == Scope.DOMAIN)
    ]
    menus = [list(shapes or usual)] * 20
    sizes = [
        size / shape.row_shards / sum(shape.counts)
        for size, menu in zip(rng.lognormal(0.0, 1.0, 20), menus, strict=True)
        for shape in menu
        for _ in shape.counts
    ]
    cost = np.multiply.outer(sizes, rng.uniform(0.5, 2.0, (len(groups), len(PHASES))))
    tier_bytes = np.multiply.outer(sizes, [1e6, 0.0, 0.0])
    ranks = sum(group.num_hosts * group.local for group in groups)
    hosts = sum(group.num_hosts for group in groups)
    capacity = (np.full(ranks, 1e9), np.zeros(hosts), np.zeros(hosts))
    return make_problem(groups, menus, cost, tier_bytes, capacity, objective=objective)


def random_choice(problem: Problem, seed: int) -> Ints:
    """Draw an option of each bundle."""
    start = problem.options.start
    return np.random.default_rng(seed).integers(start[:-1], start[1:])


def _limits(
    rng: np.random.Generator, num_tables: int, world: int
) -> tuple[dict[int, NDArray[np.bool_]], dict[int, frozenset[int]]]:
    allowed = {}
    for table in range(num_tables):
        if rng.random() < 0.3:
            mask = rng.random(world) < 0.7
            mask[rng.integers(world)] = True
            allowed[table] = mask
    conflicts = {}
    if rng.random() < 0.4 and num_tables > 1:
        conflicts = {0: frozenset({1}), 1: frozenset({0})}
    return allowed, conflicts


def two_tables(objective: Objective = Objective.STEP) -> Problem:
    """Two tables on two hosts of two ranks, in which every constraint occurs.

    Item i takes (i + 1) ms forward and 1 ms backward, and i + 1 GB of HBM, 2 GB of
    DDR and 1 GB of SSD; a rank has 10 GB of HBM, a host 40 of DDR and 50 of SSD.
    Table 1 must not be on rank 3; no rank may have both tables.
    """
    trw = Shape(ShardingType.TABLE_ROW_WISE, Scope.HOST, (1,), 2)
    menus = [[TW, CW3, trw, DP], [TWCW, RW2, DP]]
    num_items = 8
    cost = np.zeros((num_items, 1, len(PHASES)))
    cost[:, 0, 2] = np.arange(1, num_items + 1) * 1e-3
    cost[:, 0, 5] = 1e-3
    tier_bytes = np.full((num_items, 3), (0.0, 2e9, 1e9))
    tier_bytes[:, 0] = np.arange(1, num_items + 1) * 1e9
    return make_problem(
        [Hosts(2, 2, 2)],
        menus,
        cost,
        tier_bytes,
        (np.full(4, 1e10), np.full(2, 4e10), np.full(2, 5e10)),
        objective=objective,
        allowed={1: np.array([True, True, True, False])},
        conflicts={0: frozenset({1}), 1: frozenset({0})},
    )


class _Choice(NamedTuple):
    option: int
    places: tuple[int, ...]
    cost: Floats
    pools: Floats
    uses: NDArray[np.bool_]


def brute_force(problem: Problem) -> tuple[float, Assignment | None]:
    """Try every option at every place; infinite and None if nothing fits."""
    pools = np.concatenate([problem.capacity.of_tier(tier) for tier in range(3)])
    chosen: list[tuple[_Choice, ...]] = [()]
    cost = np.zeros((1, problem.world_size, problem.num_phases))
    used = np.zeros((1, len(pools)))
    for bundle in range(problem.num_bundles):
        choices = [c for c in _choices(problem, bundle) if (c.pools <= pools).all()]
        if not choices or not chosen:
            return np.inf, None
        cost = cost[:, None] + np.stack([c.cost for c in choices])
        used = used[:, None] + np.stack([c.pools for c in choices])
        pairs = product(chosen, choices)
        apart = [_is_apart(problem, bundle, old, new) for old, new in pairs]
        good = (used <= pools).all(axis=2) & np.reshape(apart, used.shape[:2])
        chosen = [
            (*old, new)
            for (old, new), ok in zip(
                product(chosen, choices), good.ravel(), strict=True
            )
            if ok
        ]
        cost, used = cost[good], used[good]
    if not chosen:
        return np.inf, None
    if problem.objective is Objective.TIME:
        pricer = step_pricer(problem)
        values = np.array([pricer.predict(loads).step_s for loads in cost])
    elif problem.objective is Objective.STEP:
        values = cost.max(axis=1).sum(axis=1)
    else:
        values = cost.sum(axis=2).max(axis=1)
    best = chosen[int(np.argmin(values))]
    option = np.array([choice.option for choice in best])
    places = tuple(np.array(choice.places, dtype=np.int64) for choice in best)
    return float(values.min()), Assignment(option, places)


def _is_apart(
    problem: Problem, bundle: int, old: tuple[_Choice, ...], new: _Choice
) -> bool:
    others = problem.conflicts.get(bundle, frozenset())
    return not any((old[o].uses & new.uses).any() for o in others if o < bundle)


def _choices(problem: Problem, bundle: int) -> Iterator[_Choice]:
    menu, cluster = problem.options, problem.cluster
    for option in range(menu.start[bundle], menu.start[bundle + 1]):
        items = menu.items_of(option)
        copies = np.repeat(np.arange(items.start, items.stop), menu.item_count[items])
        for places in _all_places(problem, bundle, option):
            cost = np.zeros((problem.world_size, problem.num_phases))
            tiers = np.zeros((problem.world_size, 3))
            uses = np.zeros(problem.world_size, dtype=bool)
            scope = int(menu.scope[option])
            at = places if scope != Scope.ALL else (0,) * len(copies)
            for item, place in zip(copies, at, strict=True):
                ranks = problem.place_ranks(scope, place)
                for rank in range(ranks.start, ranks.stop):
                    cost[rank] += menu.item_cost[item, cluster.rank_class[rank]]
                    tiers[rank] += menu.item_bytes[item]
                    uses[rank] = True
            owner = problem.capacity.rank_pool
            shared = [np.bincount(owner, tiers[:, tier]) for tier in (1, 2)]
            pools = np.concatenate([tiers[:, 0], *shared])
            yield _Choice(option, places, cost, pools, uses)


def _all_places(
    problem: Problem, bundle: int, option: int
) -> Iterator[tuple[int, ...]]:
    """All ways to place an option's copies; equal copies in one order only."""
    menu = problem.options
    legal = problem.group_places(bundle, option).tolist()
    if menu.scope[option] == Scope.ALL:
        yield from [()] if legal else []
        return
    apart = problem.apart[option]
    pick = combinations if apart else combinations_with_replacement
    counts = menu.item_count[menu.items_of(option)].tolist()
    for parts in product(*(pick(legal, count) for count in counts)):
        places = tuple(place for part in parts for place in part)
        if apart and len(set(places)) < len(places):
            continue
        hosts = {int(problem.cluster.rank_host[place]) for place in places}
        if not menu.same_host[option] or len(hosts) == 1:
            yield places
