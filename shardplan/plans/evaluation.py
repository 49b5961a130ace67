"""Evaluate a plan: seconds and bytes on every rank, from the plan alone.

This is the only place that turns a plan into a value of the objective; solvers use
the same prices, and `check` compares what they claim with what is found here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.prepared import prepare
from shardplan.costs.pricer import ModelPricer, Pricer
from shardplan.costs.row_heat import RowShares
from shardplan.costs.scopes import Scope, scopes_of
from shardplan.costs.shards import DTYPES, KERNELS, ShardArrays
from shardplan.plans.rectangles import row_sizes
from shardplan.plans.sparse_work import sparse_work
from shardplan.problems.loads import Loads
from shardplan.records.brief import Brief
from shardplan.records.memo import by_identity
from shardplan.records.placement import rows_each
from shardplan.records.sharding import TIERS, Objective, ShardingType
from shardplan.records.torchrec_cost_model import measured
from shardplan.steps.model import step_model
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.memory.capacity import Capacity
    from shardplan.costs.pricing import ShardPrices
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.usage import TableUsage
    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.placement import ColumnBlock, TablePlacement
    from shardplan.steps.model import Prediction


SHARDING_TYPES = tuple(ShardingType)


class PlacedShard(NamedTuple):
    """Equal shards of one block of columns, one on each of `ranks`.

    Attributes
    ----------
    table : int
        Index into the workload's tables.
    block : int
        Index into the placement's blocks.
    columns, rows : int
        Size of each shard.
    row_share : float
        Share of the table's rows that each counts as.
    id_share, unique_share : float
        Share of the block's ids that each counts with, and of the distinct rows.
    """

    table: int
    block: int
    scope: Scope
    columns: int
    rows: int
    row_share: float
    id_share: float
    unique_share: float
    is_partial: bool
    ranks: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Brief):
    """A plan's shards, their prices, and what they add up to.

    Attributes
    ----------
    shards : tuple of PlacedShard
    arrays, prices
        Of the shards, in the same order.
    loads : Loads
    capacity : Capacity
    """

    plan: Plan
    usage: TableUsage
    pricer: Pricer
    shards: tuple[PlacedShard, ...]
    arrays: ShardArrays
    prices: ShardPrices
    loads: Loads
    capacity: Capacity

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        inputs, objective = self.plan.inputs, self.plan.objective
        fits = self.loads.fits(self.capacity)
        return {
            "workload": inputs.workload.name,
            "topology": f"{inputs.topology.name}: "
            f"{plural(self.cluster.world_size, 'rank')}",
            "objective": f"{format_seconds(self.value(objective))} ({objective.value})",
            "memory": "fits" if fits else "does not fit",
        }

    @cached_property
    def item_bytes(self) -> dict[str, dict[str, Floats]]:
        """Bytes in every place by tier and item: HBM (W,), DDR and SSD (Q,) [bytes]."""
        rank_pool, world = self.capacity.rank_pool, self.cluster.world_size
        everywhere, which, rank = _holders(self.shards, world)
        places = (rank, rank_pool[rank], rank_pool[rank])
        ranks_in = (np.ones(world), np.bincount(rank_pool), np.bincount(rank_pool))
        items: dict[str, dict[str, Floats]] = {tier.value: {} for tier in TIERS}
        for item, tier, num_bytes in self.pricer.items(self.arrays):
            total = num_bytes[everywhere].sum() * ranks_in[tier]
            np.add.at(total, places[tier], num_bytes[which])
            if total.any():
                found = items[TIERS[tier].value]
                found[item] = found.get(item, np.zeros(len(total))) + total
        return items

    def memory_items(self, rank: int) -> dict[str, dict[str, float]]:
        """Bytes on a rank and in its pools, by tier and item [bytes]."""
        pool = int(self.capacity.rank_pool[rank])
        places = zip(self.item_bytes.items(), (rank, pool, pool), strict=True)
        return {
            tier: {item: float(held[at]) for item, held in items.items() if held[at]}
            for (tier, items), at in places
        }

    @property
    def cluster(self) -> Cluster:
        """The cluster that the plan is for."""
        return self.loads.cluster

    @property
    def rates(self) -> ClassRates:
        """What the ranks achieve, by our own cost model.

        Raises
        ------
        InputError
            If the plan was made with TorchRec's, which has no rates.
        """
        return self.measured_pricer.rates

    @property
    def measured_pricer(self) -> ModelPricer:
        """The pricer by our own cost model; raises like `rates`."""
        measured(self.plan.inputs.cost_model)
        assert isinstance(self.pricer, ModelPricer)
        return self.pricer

    @cached_property
    def prediction(self) -> Prediction:
        """The predicted step; raises like `rates`, and `StepModel.predict`."""
        return step_model(self.measured_pricer).predict(sparse_work(self))

    def value(self, objective: Objective | str) -> float:
        """Value under an objective, or its name [s]; `time` raises like `prediction`.

        Raises
        ------
        ValueError
            If no objective has the name.
        """
        objective = Objective(objective)
        if objective is Objective.TIME:
            return self.prediction.step_s
        return self.loads.value(objective)


def evaluate(plan: Plan) -> Evaluation:
    """Price every shard of a plan and add up the loads.

    The plan's geometry is taken as it stands; `check` proves it.

    Parameters
    ----------
    plan : Plan
        With the inputs that it was made for.

    Returns
    -------
    Evaluation
        Prices of all shards, and their sums per rank.
    """
    return _evaluated(plan)


@partial(by_identity, most=2)
def _evaluated(plan: Plan) -> Evaluation:
    """Evaluate a plan, or remember: who makes one checks and simulates it, too."""
    inputs = plan.inputs
    shared = prepare(inputs.workload, inputs.topology, inputs.cost_model, plan.target)
    cluster, usage, pricer = shared.cluster, shared.usage, shared.pricer
    index = shared.table_index
    known = [(index[p.name], p) for p in plan.tables if p.name in index]
    shards = tuple(
        shard for table, p in known for shard in placed_shards(p, table, usage, cluster)
    )
    arrays = shard_arrays(shards, dict(known))
    prices = pricer.price(arrays)
    loads = add_up(shards, prices, cluster, shared.capacity.rank_pool)
    for values in (*vars(prices).values(), loads.cost, loads.hbm, loads.ddr, loads.ssd):
        values.flags.writeable = False
    return Evaluation(
        plan=plan,
        usage=usage,
        pricer=pricer,
        shards=shards,
        arrays=arrays,
        prices=prices,
        loads=loads,
        capacity=shared.capacity,
    )


def placed_shards(
    placement: TablePlacement, table: int, usage: TableUsage, cluster: Cluster
) -> Iterator[PlacedShard]:
    """List the shards of one table's placement."""
    rows = int(usage.num_embeddings[table])
    replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
    in_groups = not usage.runtime.slices_evenly
    for number, block in enumerate(placement.blocks):
        scope = scope_of(placement.sharding_type, block, cluster, in_groups=in_groups)
        whole = [(rows, 1.0, RowShares(1.0, 1.0), block.ranks)]
        parts = whole if replicated else _row_parts(table, block, usage)
        for size, share, heat, ranks in parts:
            yield PlacedShard(
                table=table,
                block=number,
                scope=scope,
                columns=block.num_columns,
                rows=size,
                row_share=share,
                id_share=heat.ids,
                unique_share=heat.unique,
                is_partial=not replicated and len(block.ranks) > 1,
                ranks=ranks,
            )


def _row_parts(
    table: int, block: ColumnBlock, usage: TableUsage
) -> Iterable[tuple[int, float, RowShares, tuple[int, ...]]]:
    """Cut rows over a block's ranks: (rows, their share, of lookups, ranks).

    Where rows are not equally hot each shard counts as the fullest one, as in a menu.
    """
    rows, count = int(usage.num_embeddings[table]), len(block.ranks)
    if count > 1 and table in usage.row_heat.known:
        sizes = row_sizes(block, rows)
        heat = usage.row_heat.of_sizes(table, sizes)
        return [(max(sizes), 1.0 / count, heat, block.ranks)]
    if block.row_sizes is None:
        even = 1.0 / count
        return [(rows_each(rows, count), even, RowShares(even, even), block.ranks)]
    return [
        (size, size / rows, RowShares(size / rows, size / rows), (rank,))
        for size, rank in zip(block.row_sizes, block.ranks, strict=True)
    ]


def scope_of(
    sharding_type: ShardingType,
    block: ColumnBlock,
    cluster: Cluster,
    *,
    in_groups: bool = True,
) -> Scope:
    """How a block's ranks communicate: alone, in groups of a scope, or as everyone.

    Parameters
    ----------
    in_groups : bool
        Ranks that share a block's rows reduce inside groups, where all of them do;
        otherwise partial sums go to all ranks one by one.
    """
    ranks = block.ranks
    if sharding_type is ShardingType.DATA_PARALLEL:
        return Scope.ALL
    if sharding_type is ShardingType.ROW_WISE:
        return Scope.ALL if len(set(ranks)) == cluster.world_size > 1 else Scope.RANK
    scopes = scopes_of(sharding_type)
    return _group_scope(ranks, scopes, cluster) if scopes and in_groups else Scope.RANK


def _group_scope(
    ranks: tuple[int, ...], scopes: list[Scope], cluster: Cluster
) -> Scope:
    """Find the scope in whose groups ranks reduce.

    Ranks of one group of several scopes reduce as the first of these. Ranks of several
    whole groups, which plans from elsewhere may have, reduce inside each. Other ranks
    send partial sums one by one.
    """
    for scope in scopes:
        group = cluster.groups(scope).of_rank[list(ranks)]
        whole = covers_whole_groups(ranks, cluster.groups(scope).of_rank)
        if whole and (group == group[0]).all():
            return scope
    for scope in scopes:
        if covers_whole_groups(ranks, cluster.groups(scope).of_rank):
            return scope
    return Scope.RANK


def covers_whole_groups(ranks: Iterable[int], rank_group: Ints) -> bool:
    """Whether ranks are all ranks of one or several groups.

    Parameters
    ----------
    ranks : iterable of int
    rank_group : int array (W,)
        The group of every rank.
    """
    chosen = np.zeros(len(rank_group), dtype=bool)
    chosen[list(ranks)] = True
    taken, sizes = np.bincount(rank_group, chosen), np.bincount(rank_group)
    return bool(((taken == 0) | (taken == sizes)).all())


def shard_arrays(
    shards: tuple[PlacedShard, ...], placements: dict[int, TablePlacement]
) -> ShardArrays:
    """Collect shards as arrays for `price`."""
    placed = [placements[shard.table] for shard in shards]
    replicated = [p.sharding_type is ShardingType.DATA_PARALLEL for p in placed]
    ints, floats = np.int64, np.float64
    return ShardArrays(
        table=np.array([s.table for s in shards], dtype=ints),
        sharding_type=np.array(
            [SHARDING_TYPES.index(p.sharding_type) for p in placed], dtype=ints
        ),
        kernel=np.array([KERNELS.index(p.compute_kernel) for p in placed], dtype=ints),
        dtype=np.array([DTYPES.index(p.dtype) for p in placed], dtype=ints),
        scope=np.array([s.scope for s in shards], dtype=ints),
        columns=np.array([s.columns for s in shards], dtype=ints),
        rows=np.array([s.rows for s in shards], dtype=ints),
        row_share=np.array([s.row_share for s in shards], dtype=floats),
        id_share=np.array([s.id_share for s in shards], dtype=floats),
        unique_share=np.array([s.unique_share for s in shards], dtype=floats),
        is_partial=np.array([s.is_partial for s in shards], dtype=bool),
        is_replicated=np.array(replicated, dtype=bool),
        hbm_share=np.array([p.tiers.hbm for p in placed], dtype=floats),
        ddr_share=np.array([p.tiers.ddr for p in placed], dtype=floats),
    )


def add_up(
    shards: tuple[PlacedShard, ...],
    prices: ShardPrices,
    cluster: Cluster,
    rank_pool: Ints,
) -> Loads:
    """Add up the shards on their ranks; shards on all ranks are added at once.

    Parameters
    ----------
    shards : tuple of N PlacedShard
    prices : ShardPrices
        Of these shards, in phases or in operations of the step.
    cluster : Cluster
    rank_pool : int array (W,)
        The pool of DDR and SSD of each rank.
    """
    loads = Loads.empty(cluster, rank_pool, prices.cost.shape[2])
    everywhere, which, rank = _holders(shards, cluster.world_size)
    loads.add_everywhere(prices.cost[everywhere], prices.tier_bytes[everywhere])
    loads.add(rank, prices.cost[which], prices.tier_bytes[which])
    return loads


def _holders(
    shards: tuple[PlacedShard, ...], world_size: int
) -> tuple[Bools, Ints, Ints]:
    """Find who holds what: shards on all ranks (N,), and each other shard's ranks.

    The latter as two int arrays of equal length: indices of shards, and ranks.
    """
    everywhere = np.array([len(s.ranks) == world_size > 1 for s in shards], dtype=bool)
    some = np.flatnonzero(~everywhere)
    sizes = np.array([len(shards[i].ranks) for i in some], dtype=np.int64)
    rank = np.array([r for i in some for r in shards[i].ranks], dtype=np.int64)
    return everywhere, np.repeat(some, sizes), rank
