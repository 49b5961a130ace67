"""Load exported plans as TorchRec's `ShardingPlan`, checked before any rank waits."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.exporters.torchrec import FORMAT, FORMAT_VERSION, digest
from shardplan.integrations.torchrec.build import (
    bounds_check_mode,
    cache_params,
    key_value_params,
)
from shardplan.integrations.torchrec.tables import default_sharders, find_tables
from shardplan.integrations.torchrec.versions import require_torchrec
from shardplan.io.json_file import read_json
from shardplan.records.sharding import ComputeKernel, ShardingType, Target
from shardplan.records.targets import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

logger = logging.getLogger(__name__)

_DEVICES = ("cpu", "cuda")
_REPLICATION = (
    "world_size",
    "sharding_group_size",
    "node_group_size",
    "local_world_size",
    "sync_every",
)
_SHAPE = ("num_embeddings", "embedding_dim", "dtype")


def load_sharding_plan(
    source: str | os.PathLike[str] | dict[str, Any],
    model: torch.nn.Module | None = None,
    *,
    sharders: Sequence[Any] | None = None,
    world_size: int | None = None,
    device: str | None = None,
) -> Any:
    """Load what ``shardplan export --to torchrec`` wrote; needs no planner.

    Parameters
    ----------
    source : path or dict
        The file, or its content.
    model : Module, optional
        The model that is to be sharded: its tables must be those of the plan.
    world_size : int, optional
        Ranks of the job; by default those of the process group, if there is one.
    device : str, optional
        ``cpu`` or ``cuda``, to run the plan on other devices than it is for: a plan
        for GPUs can be tried on CPUs, where kernels in host memory are names only.

    Raises
    ------
    InputError
        If the file is broken, was edited, or is for another model or world size,
        with everything that differs; for a plan for sharding groups, which
        `load_replicated_plan` loads. Every rank finds the same, before any of them
        communicates.
    """
    data = read_document(source, model, sharders, world_size, device)
    if "replication" in data:
        where = "plan" if isinstance(source, dict) else os.fspath(source)
        raise needs_replicas(data["replication"], where)
    return make_sharding_plan(data)


def needs_replicas(facts: dict[str, Any], where: str) -> InputError:
    """Return the error for a plan for sharding groups that is used as one for all."""
    group, world = facts["sharding_group_size"], facts["world_size"]
    rule = (
        f"is for sharding groups of {group} of {world} ranks, which "
        "DistributedModelParallel does not have: use load_replicated_plan or "
        "to_replicated_plan, and DMPCollection"
    )
    return InputError.single(where, "replication", None, rule)


def read_document(
    source: str | os.PathLike[str] | dict[str, Any],
    model: torch.nn.Module | None,
    sharders: Sequence[Any] | None,
    world_size: int | None,
    device: str | None,
) -> dict[str, Any]:
    """Read an export and check it against the job.

    Raises
    ------
    InputError
        As `load_sharding_plan`, for plans of all kinds.
    """
    require_torchrec()
    where = "plan" if isinstance(source, dict) else os.fspath(source)
    data = source if isinstance(source, dict) else read_json(Path(where), where)
    _require_format(data, where)
    problems = [
        *_world_problems(data, where, world_size),
        *_shard_problems(data, where),
    ]
    if not problems and digest(data) != data.get("digest"):
        rule = "the file was edited, so nothing is known of it: export the plan again"
        raise InputError.single(where, "digest", None, rule)
    if model is not None:
        problems += _model_problems(data, where, model, sharders)
    moved = data if device is None else _on(data, device)
    if moved["compute_device"] == "cpu" and not problems:
        problems += _cpu_problems(moved, where)
        if model is not None:
            problems += _cpu_sequence_problems(moved, where, model, sharders)
    if problems:
        raise InputError(problems)
    if model is not None and sharders is not None:
        _warn_of_dedup(data, where, model, sharders)
    return moved


def _warn_of_dedup(
    data: dict[str, Any], where: str, model: torch.nn.Module, sharders: Sequence[Any]
) -> None:
    """Say where ids of sequences are not sent as the plan was made for."""
    wanted = data.get("use_index_dedup", False)
    sequences = [t for t in find_tables(model, sharders) if not t.is_pooled]
    others = sorted({t.module for t in sequences if t.sends_once != wanted})
    if others:
        logger.warning(
            "%s: was made for use_index_dedup = %s, unlike the sharder of %s",
            where,
            wanted,
            shorten(others),
        )


def _on(data: dict[str, Any], device: str) -> dict[str, Any]:
    if device not in _DEVICES:
        rule = f"must be one of {', '.join(_DEVICES)}"
        raise InputError.single("load_sharding_plan", "device", device, rule)
    return {**data, "compute_device": device}


def _cpu_problems(data: dict[str, Any], where: str) -> Iterator[Fault]:
    """Say what FBGEMM cannot do on CPUs, or does wrongly; see `Runtime`."""
    types = [dtype.value for dtype in RUNTIMES[Target.TORCHREC].cpu_row_types]
    for module, tables in data["modules"].items():
        for name, entry in tables.items():
            place = f"modules[{module}].{name}"
            if entry["dtype"] not in types:
                rule = f"on CPUs rows are {' or '.join(sorted(types))}: try it on GPUs"
                yield Fault(where, f"{place}.dtype", entry["dtype"], rule)
            if entry["compute_kernel"] == ComputeKernel.KEY_VALUE.value:
                rule = "has no kernel for CPUs: try the plan on GPUs"
                yield Fault(where, f"{place}.compute_kernel", "key_value", rule)
            empty = [s["rank"] for s in entry.get("shards", ()) if not s["size"][0]]
            if empty:
                rule = (
                    f"ranks {shorten(empty)} get no row; FBGEMM's kernels for CPUs "
                    "then train other tables wrongly, or stop: try it on GPUs"
                )
                yield Fault(where, f"{place}.shards", "", rule)


def _cpu_sequence_problems(
    data: dict[str, Any],
    where: str,
    model: torch.nn.Module,
    sharders: Sequence[Any] | None,
) -> Iterator[Fault]:
    """Refuse sequences that FBGEMM would pool on CPUs; the model knows which are."""
    types = RUNTIMES[Target.TORCHREC].cpu_sequence_types
    for table in find_tables(
        model, default_sharders() if sharders is None else sharders
    ):
        kind = data["modules"][table.module][table.name]["sharding_type"]
        if not table.is_pooled and ShardingType(kind) not in types:
            rule = "on CPUs FBGEMM pools sequences that are replicated: try it on GPUs"
            place = f"modules[{table.module}].{table.name}.sharding_type"
            yield Fault(where, place, kind, rule)


def _require_format(data: Any, where: str) -> None:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        rule = "is not a TorchRec export; write one with `shardplan export`"
        raise InputError.single(where, "format", None, rule)
    if data.get("format_version") != FORMAT_VERSION:
        rule = f"this release reads format_version {FORMAT_VERSION}"
        raise InputError.single(
            where, "format_version", data.get("format_version"), rule
        )
    expected = {"world_size": int, "local_world_size": int, "modules": dict}
    problems = [
        Fault(where, key, "", f"must be {kind.__name__}")
        for key, kind in expected.items()
        if not isinstance(data.get(key), kind)
    ]
    if not problems:
        problems += [
            Fault(where, f"modules[{module}]", "", "must be dict")
            for module, tables in data["modules"].items()
            if not isinstance(tables, dict)
        ]
    if data.get("compute_device") not in ("cpu", "cuda"):
        problems.append(Fault(where, "compute_device", "", "must be cpu or cuda"))
    if "replication" in data and not problems:
        problems += _replication_problems(data, where)
    if problems:
        raise InputError(problems)


def _replication_problems(data: dict[str, Any], where: str) -> Iterator[Fault]:
    facts = data["replication"]
    if not isinstance(facts, dict):
        yield Fault(where, "replication", "", "must be dict")
        return
    for key in _REPLICATION:
        value = facts.get(key)
        if type(value) is not int or value < 1:
            yield Fault(
                where, f"replication.{key}", str(value), "must be an int from 1"
            )
            return
    layout = facts.get("use_inter_host_allreduce")
    if not isinstance(layout, bool):
        key = "replication.use_inter_host_allreduce"
        yield Fault(where, key, str(layout), "must be true or false")
    size, world = facts["sharding_group_size"], facts["world_size"]
    if size != data["world_size"]:
        rule = f"must be world_size, the {data['world_size']} ranks of the plan"
        yield Fault(where, "replication.sharding_group_size", str(size), rule)
    if world % size or world == size:
        rule = f"must be several times the {size} ranks of a sharding group"
        yield Fault(where, "replication.world_size", str(world), rule)
    if size % facts["node_group_size"]:
        rule = f"must divide the {size} ranks of a sharding group"
        node = facts["node_group_size"]
        yield Fault(where, "replication.node_group_size", str(node), rule)


def _world_problems(
    data: dict[str, Any], where: str, world_size: int | None
) -> Iterator[Fault]:
    import torch.distributed as dist

    if world_size is None and dist.is_available() and dist.is_initialized():
        world_size = dist.get_world_size()
    planned = data.get("replication", data)["world_size"]
    if world_size is not None and world_size != planned:
        rule = f"the plan is for {planned} ranks, the job has {world_size}"
        yield Fault(where, "world_size", "", rule)


def _shard_problems(data: dict[str, Any], where: str) -> Iterator[Fault]:
    """Check that every table's shards are on ranks that exist and cover its cells."""
    for module, tables in data["modules"].items():
        for name, entry in tables.items():
            key = f"modules[{module}].{name}"
            try:
                yield from _entry_problems(entry, data["world_size"], where, key)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                yield Fault(where, key, "", f"is incomplete or broken: {error!r}")


def _entry_problems(
    entry: dict[str, Any], world: int, where: str, key: str
) -> Iterator[Fault]:
    kind = ShardingType(entry["sharding_type"])
    ComputeKernel(entry["compute_kernel"])
    beyond = [rank for rank in entry["ranks"] if not 0 <= rank < world]
    if beyond:
        yield Fault(where, key, str(beyond[:5]), f"ranks are from 0 to {world - 1}")
    if kind is ShardingType.DATA_PARALLEL:
        return
    cells = sum(shard["size"][0] * shard["size"][1] for shard in entry["shards"])
    if cells != entry["num_embeddings"] * entry["embedding_dim"]:
        yield Fault(where, key, "", "shards do not cover the table exactly once")
    if [shard["rank"] for shard in entry["shards"]] != entry["ranks"]:
        yield Fault(where, key, "", "ranks are not those of the shards")


def _model_problems(
    data: dict[str, Any],
    where: str,
    model: torch.nn.Module,
    sharders: Sequence[Any] | None,
) -> Iterator[Fault]:
    """Compare the plan's tables with those of a model."""
    found = {
        (table.module, table.name): (
            table.num_embeddings,
            table.embedding_dim,
            table.dtype.value,
        )
        for table in find_tables(
            model, default_sharders() if sharders is None else sharders
        )
    }
    planned = {
        (module, name): tuple(entry.get(key) for key in _SHAPE)
        for module, tables in data["modules"].items()
        for name, entry in tables.items()
    }
    for module, name in sorted(set(found) - set(planned)):
        rule = "the model has this table, the plan does not"
        yield Fault(where, f"modules[{module}].{name}", "", rule)
    for module, name in sorted(set(planned) - set(found)):
        rule = "the plan has this table, the model does not"
        yield Fault(where, f"modules[{module}].{name}", "", rule)
    for key in sorted(set(planned) & set(found)):
        if planned[key] != found[key]:
            rule = f"the model's table has {found[key]} rows, columns and row type"
            place = f"modules[{key[0]}].{key[1]}"
            yield Fault(where, place, str(planned[key]), rule)


def make_sharding_plan(data: dict[str, Any]) -> Any:
    """Make the `ShardingPlan` of a document."""
    from torchrec.distributed.types import EmbeddingModuleShardingPlan, ShardingPlan

    device, local = data["compute_device"], data["local_world_size"]
    return ShardingPlan(
        {
            module: EmbeddingModuleShardingPlan(
                {
                    name: _parameter_sharding(entry, device, local)
                    for name, entry in tables.items()
                }
            )
            for module, tables in data["modules"].items()
        }
    )


def _parameter_sharding(entry: dict[str, Any], device: str, local: int) -> Any:
    from torchrec.distributed.planner.utils import placement
    from torchrec.distributed.types import (
        EnumerableShardingSpec,
        ParameterSharding,
        ShardMetadata,
    )
    from torchrec.modules.embedding_configs import DataType

    spec = None
    if "shards" in entry:
        spec = EnumerableShardingSpec(
            [
                ShardMetadata(
                    shard_offsets=list(shard["offset"]),
                    shard_sizes=list(shard["size"]),
                    placement=placement(device, shard["rank"], local),
                )
                for shard in entry["shards"]
            ]
        )
    cache, dtype = entry.get("cache_params"), entry.get("output_dtype")
    return ParameterSharding(
        sharding_type=entry["sharding_type"],
        compute_kernel=entry["compute_kernel"],
        ranks=list(entry["ranks"]),
        sharding_spec=spec,
        cache_params=cache_params(cache) if cache else None,
        enforce_hbm=entry.get("enforce_hbm"),
        stochastic_rounding=entry.get("stochastic_rounding"),
        bounds_check_mode=bounds_check_mode(entry.get("bounds_check_mode")),
        output_dtype=DataType[dtype] if dtype else None,
        key_value_params=key_value_params(entry.get("key_value_params", {})),
    )
