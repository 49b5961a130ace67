"""Plans to TorchRec's `ShardingPlan`, and back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.exporters.torchrec import cache_sizes, export, replication_facts
from shardplan.integrations.torchrec.document import make_sharding_plan, needs_replicas
from shardplan.integrations.torchrec.versions import require_torchrec
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import tier_split
from shardplan.problems.options.structures import SSD_CACHE_SHARES
from shardplan.records.placement import (
    ColumnBlock,
    TablePlacement,
    TierSplit,
    even_rows,
)
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.plans.plan import Plan
    from shardplan.records.inputs import Inputs
    from shardplan.records.tables import EmbeddingTable

_DEFAULT_LOAD_FACTOR = 0.2
_TOLERANCE = 1e-9


def to_sharding_plan(plan: Plan, *, local_world_size: int | None = None) -> Any:
    """Turn a plan into TorchRec's `ShardingPlan`.

    Parameters
    ----------
    local_world_size : int, optional
        Ranks of a machine, where the hosts of the plan are pods of several.

    Raises
    ------
    InputError
        If TorchRec cannot run the plan, with every table and rule; for a plan for
        sharding groups, which `to_replicated_plan` turns into TorchRec's.
    """
    facts = replication_facts(plan.inputs.topology)
    if facts is not None:
        raise needs_replicas(facts, "plan")
    return group_sharding_plan(plan, local_world_size=local_world_size)


def group_sharding_plan(plan: Plan, *, local_world_size: int | None = None) -> Any:
    """Turn a plan into the `ShardingPlan` of its ranks, be they all or one group.

    Raises
    ------
    InputError
        If TorchRec cannot run the plan, with every table and rule.
    """
    require_torchrec()
    document = export(plan)
    local = local_world_size or document["local_world_size"]
    return make_sharding_plan({**document, "local_world_size": local})


def read_plan(
    sharding_plan: Any,
    inputs: Inputs,
    *,
    target: Target = Target.TORCHREC,
    objective: Objective = Objective.MAX_RANK,
) -> Plan:
    """Turn TorchRec's `ShardingPlan` into a plan for some inputs.

    The plan is taken as it is; `shardplan.check` says what is wrong with it.

    Raises
    ------
    InputError
        If tables are missing, unknown, or have shards that are no blocks.
    """
    problems: list[Fault] = []
    placements = []
    for table in inputs.workload.tables:
        module = sharding_plan.plan.get(table.torchrec_module, {})
        sharding = module.get(table.torchrec_name)
        if sharding is None:
            problems.append(_problem(table, "the sharding plan has no such table"))
            continue
        try:
            placements.append(_read_placement(table, sharding, inputs))
        except (ValueError, AttributeError) as error:
            problems.append(_problem(table, str(error)))
    known = {(t.torchrec_module, t.torchrec_name) for t in inputs.workload.tables}
    for module, tables in sharding_plan.plan.items():
        for name in tables:
            if (module, name) not in known:
                rule = "the workload has no such table"
                problems.append(Fault("sharding plan", f"{module}.{name}", "", rule))
    if problems:
        raise InputError(problems)
    return assemble_unproven(
        inputs, tuple(placements), solver="torchrec", target=target, objective=objective
    )


def _problem(table: EmbeddingTable, rule: str) -> Fault:
    place = f"{table.torchrec_module}.{table.torchrec_name}"
    return Fault("sharding plan", place, "", rule)


def _read_placement(
    table: EmbeddingTable, sharding: Any, inputs: Inputs
) -> TablePlacement:
    """Read one table.

    Raises
    ------
    ValueError
        For kernels that plans do not have, and shards that are no blocks.
    """
    kind = ShardingType(sharding.sharding_type)
    kernel = ComputeKernel(sharding.compute_kernel)
    is_cpu = inputs.topology.host_groups[0].device.kind == "cpu"
    if kind is ShardingType.DATA_PARALLEL:
        ranks = tuple(range(inputs.topology.world_size))
        blocks = [ColumnBlock(num_columns=table.embedding_dim, ranks=ranks)]
    else:
        blocks = list(_read_blocks(table, sharding.sharding_spec.shards))
    return TablePlacement(
        name=table.name,
        sharding_type=kind,
        compute_kernel=kernel,
        dtype=table.dtype,
        tiers=_read_tiers(table, kernel, sharding, is_cpu=is_cpu),
        blocks=tuple(blocks),
    )


def _read_blocks(table: EmbeddingTable, shards: Sequence[Any]) -> Iterator[ColumnBlock]:
    """Join row shards of the same columns to blocks, in the order of the plan."""
    columns: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for shard in shards:
        columns[shard.shard_offsets[1], shard.shard_sizes[1]].append(shard)
    for (offset, width), parts in columns.items():
        sizes = tuple(part.shard_sizes[0] for part in parts)
        starts = [part.shard_offsets[0] for part in parts]
        if starts != [sum(sizes[:i]) for i in range(len(sizes))]:
            raise ValueError("row shards do not follow each other")
        block = ColumnBlock(
            column_offset=offset,
            num_columns=width,
            ranks=tuple(part.placement.rank() for part in parts),
        )
        is_even = sizes == even_rows(table.num_embeddings, len(sizes))
        yield block if is_even else block.replace(row_sizes=sizes)


def _read_tiers(
    table: EmbeddingTable, kernel: ComputeKernel, sharding: Any, *, is_cpu: bool
) -> TierSplit:
    cache = sharding.cache_params
    share = (cache and cache.load_factor) or _DEFAULT_LOAD_FACTOR
    if kernel is ComputeKernel.FUSED_UVM_CACHING:
        return tier_split(kernel, share, 1.0, is_cpu=is_cpu)
    if kernel is ComputeKernel.KEY_VALUE:
        ddr = _host_cache_share(table, share, sharding)
        return tier_split(kernel, share, ddr, is_cpu=is_cpu)
    in_place = kernel is ComputeKernel.FUSED_UVM
    return tier_split(kernel, 0.0 if in_place else 1.0, float(in_place), is_cpu=is_cpu)


def _host_cache_share(table: EmbeddingTable, share: float, sharding: Any) -> float:
    """Share of a `key_value` table cached in host memory.

    TorchRec stores whole GiB; a share that the menu offers and that has the same
    size is taken for it.
    """
    params = sharding.key_value_params
    size = (params and params.l2_cache_size) or 0
    for hbm, ddr in SSD_CACHE_SHARES:
        trial = TablePlacement(
            name=table.name,
            sharding_type=ShardingType.TABLE_WISE,
            compute_kernel=ComputeKernel.KEY_VALUE,
            dtype=table.dtype,
            tiers=TierSplit(hbm=share, ddr=ddr, ssd=1.0),
            blocks=(ColumnBlock(num_columns=table.embedding_dim, ranks=(0,)),),
        )
        if abs(hbm - share) < _TOLERANCE and cache_sizes(trial, table)[1] == size:
            return ddr
    stored = table.num_embeddings * table.embedding_dim * 4
    return float(min(1.0, size * 2**30 / stored))
