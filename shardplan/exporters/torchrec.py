"""A plan as a document that a TorchRec job loads without the planner.

``shardplan.integrations.torchrec.load_sharding_plan`` turns it into a `ShardingPlan`,
``load_replicated_plan`` into what `DMPCollection` takes.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from shardplan.costs.memory import storage
from shardplan.errors import Fault, InputError
from shardplan.exporters.runnable import require_runnable
from shardplan.plans.cache_groups import reserved_memory
from shardplan.plans.rectangles import rectangles
from shardplan.records.record import dump
from shardplan.records.sharding import (
    CACHING_KERNELS,
    ComputeKernel,
    ReplicaLayout,
    ShardingType,
    Target,
)
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from shardplan.records.torchrec_modules import broken_rules
from shardplan.records.torchrec_table import TorchRecTable
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.topology import Topology

FORMAT = "shardplan-torchrec"
FORMAT_VERSION = 1
_MIB, _GIB = 2**20, 2**30
_COPIED = ("enforce_hbm", "stochastic_rounding", "bounds_check_mode", "output_dtype")


def export(plan: Plan, module: str | None = None) -> dict[str, Any]:
    """Return the document of a plan.

    Parameters
    ----------
    module : str, optional
        Path of the module that owns the tables that do not name theirs.

    Raises
    ------
    InputError
        If TorchRec cannot run the plan, with every table and rule.
    """
    require_runnable(plan, Target.TORCHREC)
    topology = plan.inputs.topology
    tables = {table.name: table for table in plan.inputs.workload.tables}
    _require_row_types(plan, tables)
    if module is not None:
        _require_one_module(list(tables.values()), module)
    modules: dict[str, dict[str, Any]] = {}
    reserved = reserved_memory(plan)
    for placement in plan.tables:
        table = tables[placement.name]
        path, name = address(table, module)
        modules.setdefault(path, {})[name] = _table(placement, table, reserved)
    is_cpu = topology.host_groups[0].device.kind == "cpu"
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "shardplan_version": VERSION,
        "world_size": topology.world_size,
        "local_world_size": _local_world_size(plan),
        "compute_device": "cpu" if is_cpu else "cuda",
        "modules": modules,
    }
    if plan.inputs.workload.dedup:
        document["use_index_dedup"] = True
    replication = replication_facts(topology)
    if replication is not None:
        document["replication"] = replication
    return {**document, "digest": digest(document)}


def without_checkpoints(plan: Plan) -> Iterator[str]:
    """Name tables that train, but whose job cannot go on from a checkpoint.

    References
    ----------
    TorchRec 1.9.2, torchrec/distributed/embeddingbag.py: `load_state_dict` gives every
    local shard of a table the width of its first one.
    """
    for table in plan.tables:
        widths = {block.num_columns for block in table.blocks}
        if len(widths) > 1:
            yield (
                f"{table.name}: column shards of {sorted(widths)} columns train, but "
                "TorchRec cannot load a checkpoint of them; solve with target torchrec"
            )


def replication_facts(topology: Topology) -> dict[str, Any] | None:
    """Return what `DMPCollection` is told of sharding groups; None for one group.

    Notes
    -----
    ``node_group_size`` is the number of ranks of a group in one host: rows of
    `table_row_wise` and `grid_shard` are cut over so many. TorchRec takes all ranks of
    a host for it where it is not said. ``local_world_size`` is that of the whole host.
    """
    found = topology.replication
    if found is None:
        return None
    return {
        "world_size": found.cluster.world_size,
        "sharding_group_size": topology.world_size,
        "node_group_size": topology.host_groups[0].local_world_size,
        "local_world_size": found.cluster.host_groups[0].local_world_size,
        "use_inter_host_allreduce": found.layout is ReplicaLayout.ACROSS,
        "sync_every": found.sync_every,
    }


def address(table: EmbeddingTable, module: str | None) -> tuple[str, str]:
    """Return the module of a table in a job, and its name there."""
    is_named = table.torchrec is not None or module is None
    return table.torchrec_module if is_named else str(module), table.torchrec_name


def _local_world_size(plan: Plan) -> int:
    """Return the ranks of a machine; what TorchRec calls pods are hosts of plans."""
    given = plan.inputs.cost_model
    if isinstance(given, TorchRecCostModel) and given.collectives.local_world_size:
        return given.collectives.local_world_size
    return plan.inputs.topology.host_groups[0].local_world_size


def _require_one_module(tables: list[EmbeddingTable], module: str) -> None:
    """Refuse a module for tables that it cannot hold together with its own."""
    members = (
        (module if table.torchrec is None else table.torchrec.module, table)
        for table in tables
    )
    for rule in broken_rules(members):
        raise InputError.single("export", "module", module, rule)


def digest(document: dict[str, Any]) -> str:
    """Return the SHA-256 of a document, without its own digest."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _require_row_types(plan: Plan, tables: dict[str, EmbeddingTable]) -> None:
    """Refuse other row types than the model's: a sharding plan cannot change them."""
    problems = [
        Fault(
            "plan",
            placement.name,
            placement.dtype.value,
            "rows keep the type of the model: change the table's dtype in both",
        )
        for placement in plan.tables
        if placement.dtype is not tables[placement.name].dtype
    ]
    if problems:
        raise InputError(problems)


def _table(
    placement: TablePlacement, table: EmbeddingTable, reserved: dict[str, float]
) -> dict[str, Any]:
    shards = [
        {
            "rank": shard.rank,
            "offset": [shard.row_offset, shard.column_offset],
            "size": [shard.num_rows, shard.num_columns],
        }
        for shard in rectangles(placement, table.num_embeddings)
    ]
    extra = table.torchrec or TorchRecTable()
    entry: dict[str, Any] = {
        "num_embeddings": table.num_embeddings,
        "embedding_dim": table.embedding_dim,
        "dtype": table.dtype.value,
        "sharding_type": placement.sharding_type.value,
        "compute_kernel": placement.compute_kernel.value,
        "ranks": [shard["rank"] for shard in shards],
    }
    if placement.sharding_type is not ShardingType.DATA_PARALLEL:
        entry["shards"] = shards
    for name in _COPIED:
        if getattr(extra, name) is not None:
            entry[name] = getattr(extra, name)
    cache = _cache_parameters(placement, extra)
    if placement.name in reserved:
        cache["reserved_memory"] = reserved[placement.name]
    if cache:
        entry["cache_params"] = cache
    key_value = _key_value_parameters(placement, table, extra)
    if key_value:
        entry["key_value_params"] = key_value
    return entry


def _cache_parameters(
    placement: TablePlacement, extra: TorchRecTable
) -> dict[str, Any]:
    """Cache parameters of a table, with the plan's load factor where it caches."""
    given = dump(extra.cache) if extra.cache else {}
    if placement.compute_kernel in CACHING_KERNELS:
        given["load_factor"] = placement.tiers.hbm
    return given


def _key_value_parameters(
    placement: TablePlacement, table: EmbeddingTable, extra: TorchRecTable
) -> dict[str, Any]:
    """Key-value parameters; cache sizes are the plan's where the model sets none.

    TorchRec counts the cache in HBM in MiB and the one in host memory in GiB.
    """
    given = dict(extra.key_value)
    if placement.compute_kernel is not ComputeKernel.KEY_VALUE:
        return given
    hbm, ddr = cache_sizes(placement, table)
    given.setdefault("max_l1_cache_size", hbm)
    given.setdefault("l2_cache_size", ddr)
    return given


def cache_sizes(placement: TablePlacement, table: EmbeddingTable) -> tuple[int, int]:
    """Return the caches of a `key_value` table: MiB of HBM, GiB of host memory."""
    row = float(storage.row_bytes(table.dtype, table.embedding_dim))
    stored = row * table.num_embeddings
    return (
        math.ceil(placement.tiers.hbm * stored / _MIB),
        math.ceil(placement.tiers.ddr * stored / _GIB),
    )
