"""Decisions of TorchRec about tables that plans do not make: each is named.

What would make a plan wrong is an error, what it leaves as it is a warning.

References
----------
TorchRec 1.9.2: modules/embedding_configs.py, `BaseEmbeddingConfig`;
distributed/planner/types.py, `ParameterConstraints`; distributed/embedding_types.py,
`EmbeddingComputeKernel`. NVIDIA/recsys-examples, corelib/dynamicemb/dynamicemb/planner,
`DynamicEmbParameterConstraints`.
"""

from __future__ import annotations

import logging
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.records.torchrec_table import VIRTUAL_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from shardplan.integrations.torchrec.tables import FoundTable

logger = logging.getLogger(__name__)

_DYNAMICEMB = "dynamicemb"
_DYNAMIC_TABLES = (
    "is a dynamic table: its bytes follow from the options of dynamicemb, which plans "
    "do not know; plan it with dynamicemb.planner.DynamicEmbeddingShardingPlanner"
)
_ONE_HOST = (
    "is not known to plans: table_row_wise and grid_shard stay inside a host, or a pod "
    "of hosts where the topology has pod_size; leave it out"
)
_NOT_MERGED = (
    "has ids of its own in each sharding group, and DMPCollection merges only those of "
    "HashZchManagedCollisionModule: use that, or one group"
)
_WITHOUT_PLANS = {
    "ssd_virtual_table": "is for virtual tables, whose bytes nobody knows",
    "dram_virtual_table": "is for virtual tables, whose bytes nobody knows",
    "dram_ssd_virtual_table": "is for virtual tables, whose bytes nobody knows",
    "customized_kernel": "has bytes and times that only its maker knows",
    "fused_triton": "is not offered by TorchRec's sharders, and its times are unknown",
    "unfused_tpu": "is for TPUs",
    "quant": "is for inference",
    "quant_uvm": "is for inference",
    "quant_uvm_caching": "is for inference",
}
"""Kernels of TorchRec that no plan has, and why."""
_READ = frozenset(
    {
        "num_embeddings",
        "embedding_dim",
        "name",
        "data_type",
        "feature_names",
        "pooling",
        "weight_init_max",
        "weight_init_min",
        "init_fn",
        "need_pos",
        "total_num_buckets",
        "use_virtual_table",
        "virtual_table_eviction_policy",
        "stash_weights",
    }
)
"""Fields of a table's configuration that plans follow, or that only set values."""
_KNOWN = frozenset(
    {
        "sharding_types",
        "compute_kernels",
        "min_partition",
        "pooling_factors",
        "num_poolings",
        "batch_sizes",
        "is_weighted",
        "cache_params",
        "enforce_hbm",
        "stochastic_rounding",
        "bounds_check_mode",
        "feature_names",
        "output_dtype",
        "device_group",
        "key_value_params",
        "use_virtual_table",
        "use_dynamicemb",
        "dynamicemb_options",
        "num_nodes",
    }
)
"""Fields of constraints that plans follow, or refuse."""


def require_planned(found: FoundTable, limits: Any) -> None:
    """Refuse what would make a table's plan wrong.

    Parameters
    ----------
    limits : ParameterConstraints or None

    Raises
    ------
    InputError
        For virtual and dynamic tables, and table-row-wise over several nodes.
    """
    where = f"table {found.name}"
    problems = []
    if found.is_virtual or getattr(limits, "use_virtual_table", False):
        problems.append(Fault(where, "use_virtual_table", "True", VIRTUAL_TABLES))
    if getattr(limits, "use_dynamicemb", False):
        problems.append(Fault(where, "use_dynamicemb", "True", _DYNAMIC_TABLES))
    nodes = getattr(limits, "num_nodes", None)
    if nodes not in (None, 1):
        problems.append(Fault(where, "num_nodes", str(nodes), _ONE_HOST))
    if problems:
        raise InputError(problems)


def require_merged_ids(tables: Iterable[FoundTable]) -> None:
    """Refuse tables whose ids `DMPCollection` cannot merge among sharding groups.

    Raises
    ------
    InputError
        With every table and the class that manages its collisions.

    References
    ----------
    TorchRec 1.9.2, distributed/model_parallel.py, `_sync_mcc_modules`: only
    `HashZchManagedCollisionModule` has the methods that it calls.
    """
    problems = [
        Fault(f"table {table.name}", "collisions", table.collisions, _NOT_MERGED)
        for table in tables
        if table.collisions is not None
    ]
    if problems:
        raise InputError(problems)


def require_no_dynamic_modules(model: torch.nn.Module) -> None:
    """Refuse a model with modules of dynamicemb, which no sharder of TorchRec is for.

    Raises
    ------
    InputError
        With the path of each.
    """
    problems = [
        Fault("model", path, type(module).__name__, _DYNAMIC_TABLES)
        for path, module in model.named_modules()
        if type(module).__module__.partition(".")[0] == _DYNAMICEMB
    ]
    if problems:
        raise InputError(problems)


def unknown_settings(config: Any) -> tuple[str, ...]:
    """Name the fields of a table's configuration that are set and not followed."""
    return tuple(_set_fields(config, _READ)) if config is not None else ()


def warn_of_unknown(found: FoundTable, limits: Any) -> None:
    """Say what is set for a table and neither priced nor checked."""
    for name in found.unknown_settings:
        logger.warning(
            "table %s: plans do not know %s of its configuration: it is neither priced "
            "nor checked",
            found.name,
            name,
        )
    for name in _set_fields(limits, _KNOWN):
        logger.warning(
            "table %s: plans do not know %s of its constraints: it is not followed",
            found.name,
            name,
        )


def _set_fields(record: Any, known: frozenset[str]) -> Iterator[str]:
    """Yield fields of a dataclass that are not known and not at their default."""
    if not is_dataclass(record):
        return
    for field in fields(record):
        if field.name in known:
            continue
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if getattr(record, field.name) != default:
            yield field.name


def kernel_rule(names: Iterable[str], known: str) -> str:
    """Say which kernels a table can have, and why it can have none of some others."""
    reasons = [
        f"{name} {_WITHOUT_PLANS[name]}" for name in names if name in _WITHOUT_PLANS
    ]
    return "; ".join([f"plans know {known or 'none of the sharder'}", *reasons])
