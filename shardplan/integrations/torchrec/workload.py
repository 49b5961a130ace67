"""Read a workload from a live model and TorchRec's constraints."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.integrations.torchrec.decisions import (
    kernel_rule,
    require_no_dynamic_modules,
    require_planned,
    warn_of_unknown,
)
from shardplan.integrations.torchrec.inputs import read_inputs, warn_of_unused
from shardplan.integrations.torchrec.optimizers import read_optimizer
from shardplan.integrations.torchrec.tables import (
    FoundTable,
    default_sharders,
    find_tables,
)
from shardplan.io.validate import validate
from shardplan.records.sharding import ComputeKernel, ShardingType, Target
from shardplan.records.tables import EmbeddingTable, TableConstraints
from shardplan.records.targets import RUNTIMES
from shardplan.records.torchrec_table import STASHING, TorchRecTable
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

logger = logging.getLogger(__name__)

DEFAULT_KERNELS = (
    ComputeKernel.DENSE,
    ComputeKernel.FUSED,
    ComputeKernel.FUSED_UVM_CACHING,
    ComputeKernel.FUSED_UVM,
)
"""Kernels that TorchRec considers unless a constraint names others."""
_ROW_CUT = (
    ShardingType.ROW_WISE,
    ShardingType.TABLE_ROW_WISE,
    ShardingType.GRID_SHARD,
)
_KERNELS = tuple(k for k in ComputeKernel if k in RUNTIMES[Target.TORCHREC].kernels)


def read_workload(
    model: torch.nn.Module,
    *,
    batch_size: int,
    sharders: Sequence[Any] | None = None,
    constraints: Mapping[str, Any] | None = None,
    compute_device: str = "cuda",
    name: str = "model",
) -> Workload:
    """Read the tables of a model, on the meta device or not.

    Parameters
    ----------
    batch_size : int
        Samples per rank.
    constraints : mapping of table name to ParameterConstraints
        As TorchRec's planner takes them.
    compute_device : str
        Tables for another device group are left out, as TorchRec does.

    Raises
    ------
    InputError
        If the model has no tables, or for what a plan cannot express, all of it.
    """
    found = find_tables(model, default_sharders() if sharders is None else sharders)
    require_no_dynamic_modules(model)
    limits = dict(constraints or {})
    warn_of_unused(found, limits)
    found = [t for t in found if _is_on(limits.get(t.name), compute_device, t.name)]
    if not found:
        rule = "has no table that a sharder is for"
        raise InputError.single(name, "", None, rule)
    counts = Counter(table.name for table in found)
    tables: list[EmbeddingTable] = []
    problems: list[Fault] = []
    for table in found:
        try:
            unique = counts[table.name] == 1
            own = limits.get(table.name)
            tables.append(_read_table(table, own, unique, batch_size))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    stashed = [table.name for table in found if table.stash_weights]
    if stashed:
        logger.warning("tables %s: %s", shorten(stashed), STASHING)
    data = {
        "schema_version": 1,
        "name": name,
        "description": "Read from a TorchRec model",
        "batch_size": batch_size,
        "optimizer": read_optimizer(found),
        "dedup": _read_dedup(found, name),
        "constraints": TableConstraints(compute_kernels=DEFAULT_KERNELS),
        "tables": tuple(tables),
    }
    return validate(Workload, data, name)


def _read_dedup(found: Sequence[FoundTable], name: str) -> bool:
    """Return whether ids of sequences are sent once.

    Raises
    ------
    InputError
        If this is so in some modules only.
    """
    modules = {table.module: table.sends_once for table in found if not table.is_pooled}
    if len(set(modules.values())) > 1:
        others = [module for module, once in modules.items() if not once]
        rule = (
            "is on for some modules of sequences only, and a plan has it for all or "
            f"none: set it for {shorten(others)}, too, or for none"
        )
        raise InputError.single(name, "use_index_dedup", None, rule)
    return any(modules.values())


def carries_optimizer(
    model: torch.nn.Module, sharders: Sequence[Any] | None = None
) -> bool:
    """Whether the tables' parameters carry their optimizer, so TorchRec counts it."""
    found = find_tables(model, default_sharders() if sharders is None else sharders)
    return any(table.optimizer is not None for table in found)


def _is_on(limits: Any, compute_device: str, name: str) -> bool:
    group = limits.device_group if limits is not None else None
    if group and group != compute_device:
        logger.warning("table %s is left out: it is for %s", name, group)
        return False
    return True


def _read_table(
    found: FoundTable, limits: Any, unique: bool, batch_size: int
) -> EmbeddingTable:
    require_planned(found, limits)
    warn_of_unknown(found, limits)
    inputs = read_inputs(found, limits, batch_size)
    weighted = found.is_weighted
    if weighted is None:
        weighted = bool(limits is not None and limits.is_weighted)
    name = found.name if unique else f"{found.module}.{found.name}"
    data = {
        "name": name,
        "num_embeddings": found.num_embeddings,
        "embedding_dim": found.embedding_dim,
        "dtype": found.dtype,
        "is_pooled": found.is_pooled,
        "is_weighted": weighted,
        "constraints": _read_constraints(found, limits),
        "torchrec": _read_extras(found, limits, None if unique else found.name),
        **inputs._asdict(),
    }
    return validate(EmbeddingTable, data, f"table {name}")


def _read_constraints(found: FoundTable, limits: Any) -> TableConstraints:
    """Turn what our records can say into constraints.

    Raises
    ------
    InputError
        If none of the kernels or sharding types that are asked for is supported.
    """
    given: dict[str, Any] = {}
    possible = [ShardingType(kind) for kind in found.sharding_types]
    asked = _names(limits.sharding_types if limits is not None else None)
    if found.is_processed and not asked:
        possible = [kind for kind in possible if kind not in _ROW_CUT]
    kinds = _supported(found.name, "sharding_types", asked, possible)
    if len(kinds) < len(RUNTIMES[Target.TORCHREC].sharding_types):
        given["sharding_types"] = kinds
    kernels = _names(limits.compute_kernels if limits is not None else None)
    offered = [kernel for kernel in _KERNELS if kernel.value in found.kernels]
    usual = {kernel.value for kernel in DEFAULT_KERNELS}
    if kernels or not usual.issubset(found.kernels):
        given["compute_kernels"] = _supported(
            found.name, "compute_kernels", kernels or set(found.kernels), offered
        )
    if limits is None:
        return TableConstraints(**given)
    if limits.min_partition:
        given["min_column_width"] = limits.min_partition
    if limits.cache_params is not None and limits.cache_params.load_factor:
        given["cache_load_factor"] = limits.cache_params.load_factor
    return validate(TableConstraints, given, f"table {found.name}")


def _names(asked: Iterable[Any] | None) -> set[str]:
    """Return the names of members of TorchRec's enumerations."""
    return {getattr(name, "value", name) for name in asked or ()}


def _supported(
    table: str, key: str, names: set[str], possible: Sequence[Any]
) -> tuple[Any, ...]:
    """Return what is asked for and possible, in the order of `possible`."""
    if not names:
        return tuple(possible)
    kept = tuple(member for member in possible if member.value in names)
    unknown = sorted(names - {member.value for member in possible})
    known = ", ".join(member.value for member in possible)
    rule = f"plans know {known}"
    if key == "compute_kernels":
        rule = kernel_rule(unknown, known)
    if not kept:
        raise InputError([Fault(f"table {table}", key, ", ".join(unknown), rule)])
    if unknown:
        logger.warning("table %s: %s %s: %s", table, key, ", ".join(unknown), rule)
    return kept


def _read_extras(found: FoundTable, limits: Any, name: str | None) -> TorchRecTable:
    """Keep what only TorchRec knows about a table."""
    given: dict[str, Any] = {
        "module": found.module,
        "table": name,
        "feature_names": found.feature_names,
        "pooling_factors": (1.0,),
        "num_buckets": found.num_buckets,
        "pooling": found.pooling,
        "stash_weights": found.stash_weights,
    }
    if not found.tells_weights:
        given["is_weighted"] = bool(limits is not None and limits.is_weighted)
    if limits is None:
        return TorchRecTable(**given)
    mode = limits.bounds_check_mode
    return validate(
        TorchRecTable,
        {
            **given,
            "pooling_factors": tuple(map(float, limits.pooling_factors)),
            "num_poolings": tuple(map(float, limits.num_poolings or ())),
            "batch_sizes": tuple(limits.batch_sizes or ()),
            "cache": cache_data(limits.cache_params),
            "enforce_hbm": limits.enforce_hbm,
            "stochastic_rounding": limits.stochastic_rounding,
            "bounds_check_mode": mode.name if mode is not None else None,
            "output_dtype": limits.output_dtype and limits.output_dtype.name,
            "device_group": limits.device_group,
            "feature_names": tuple(limits.feature_names or found.feature_names),
            "key_value": key_value_data(limits.key_value_params),
        },
        f"table {found.name}",
    )


def cache_data(cache: Any) -> dict[str, Any] | None:
    """Turn `CacheParams` into the data of a `TorchRecCache`."""
    if cache is None:
        return None
    passes = cache.multipass_prefetch_config
    return {
        "algorithm": cache.algorithm and cache.algorithm.name,
        "load_factor": cache.load_factor,
        "reserved_memory": cache.reserved_memory,
        "precision": cache.precision and cache.precision.name,
        "prefetch_pipeline": cache.prefetch_pipeline,
        "num_passes": passes and passes.num_passes,
        "min_splitable_pass_size": passes and passes.min_splitable_pass_size,
        "stats": _stats_data(cache.stats),
    }


def _stats_data(stats: Any) -> dict[str, Any] | None:
    """Turn `EmbeddingOffloadStats` into data.

    Raises
    ------
    InputError
        For statistics of another class, whose miss rates cannot be read.
    """
    if stats is None:
        return None
    if not hasattr(stats, "hist"):
        rule = "must be EmbeddingOffloadStats: others do not tell their histogram"
        kind = type(stats).__name__
        raise InputError.single("cache_params", "stats", kind, rule)
    return {
        "cacheability": stats.cacheability,
        "expected_lookups": int(stats.expected_lookups),
        "histogram": tuple(float(count) for count in stats.hist),
        "height": int(stats.height),
    }


def key_value_data(params: Any) -> dict[str, Any]:
    """Turn the fields of `KeyValueParams` that are set into JSON-able data.

    Raises
    ------
    InputError
        For a field that is not plain data.
    """
    if params is None:
        return {}
    default = type(params)()
    changed = {
        name: value
        for name, value in vars(params).items()
        if value != getattr(default, name)
    }
    for name, value in changed.items():
        if not isinstance(value, (bool, int, float, str, tuple)):
            rule = "is not plain data and cannot be part of a plan"
            raise InputError.single("key_value_params", name, value, rule)
    return changed
