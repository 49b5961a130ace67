"""What a live model must be for TorchRec's `reshard` to leave it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault
from shardplan.exporters.reshard_rules import place

if TYPE_CHECKING:
    from collections.abc import Iterator

Entry = dict[str, Any]

_STATE = "momentum1"
"""The state that `reshard` moves (dynamic_sharding.py, `_tmp_momentum_extender`)."""


def model_faults(model: Any, document: dict[str, Any]) -> Iterator[Fault]:
    """Say what of a live model is not as a change of its plan, or `reshard`, needs it.

    Parameters
    ----------
    document : dict
        What `shardplan.exporters.torchrec_reshard.export` returns.
    """
    from torchrec.distributed.model_parallel import (
        DistributedModelParallel,
        DMPCollection,
        get_module,
    )

    if not isinstance(model, DistributedModelParallel):
        yield Fault("model", "", "", "must be a DistributedModelParallel")
        return
    if isinstance(model, DMPCollection):
        yield Fault("model", "", "", "reshard does not move copies of sharding groups")
        return
    world = environment(model).world_size
    if world != document["world_size"]:
        rule = f"the plan is for {document['world_size']} ranks, the job has {world}"
        yield Fault("model", "world_size", "", rule)
    if not hasattr(get_module(model), "module"):
        rule = (
            "has no dense layers that train, or is not initialised: reshard ends in an "
            "AttributeError after the rows have moved"
        )
        yield Fault("model", "", "", rule)
    found, wanted = model.plan.plan, document["modules"]
    for module in sorted({*found, *wanted}):
        changes = document["changes"].get(module, {})
        own = wanted.get(module, {})
        yield from _plan_faults(module, found.get(module, {}), own, changes)
        if changes and module in found:
            yield from _module_faults(model, module, changes)


def submodule(model: Any, path: str) -> Any:
    """Return a sharded module of a model by the path that plans know it by."""
    return model.module.get_submodule(path)


def moved_entry(entry: Entry, change: Entry) -> Entry:
    """Return the export of a table after its shards have moved."""
    shards = [
        {"rank": shard["to"], "offset": shard["offset"], "size": shard["size"]}
        for shard in change["shards"]
    ]
    return {**entry, "ranks": [shard["rank"] for shard in shards], "shards": shards}


def environment(model: Any) -> Any:
    """Return the `ShardingEnv` of a `DistributedModelParallel`."""
    return model._env  # noqa: SLF001  (it has no public name)


def sends_by_gloo(model: Any) -> bool:
    """Say whether messages between the ranks of a model go through gloo."""
    import torch.distributed as dist

    group = environment(model).process_group
    return group is not None and (
        model.device.type == "cpu" or dist.get_backend(group) == "gloo"
    )


def _plan_faults(
    module: str, found: Any, wanted: dict[str, Entry], changes: dict[str, Entry]
) -> Iterator[Fault]:
    """Compare the sharding of a module's tables with the old plan."""
    for name in sorted({*found, *wanted}):
        if name not in found:
            rule = "the plan has this table, the model does not"
        elif name not in wanted:
            rule = "the model has this table, the plan does not"
        else:
            rule = _table_rule(found[name], wanted[name], changes.get(name))
        if rule:
            yield Fault("model", place((module, name)), "", rule)


def _table_rule(sharding: Any, entry: Entry, change: Entry | None) -> str:
    """Say how a table is not where the old plan has it; empty if it is."""
    spec = sharding.sharding_spec
    shards = [
        {
            "rank": shard.placement.rank(),
            "offset": list(shard.shard_offsets),
            "size": list(shard.shard_sizes),
        }
        for shard in (spec.shards if spec else ())
    ]
    how = (sharding.sharding_type, sharding.compute_kernel)
    if how != (entry["sharding_type"], entry["compute_kernel"]):
        planned = f"{entry['sharding_type']} with kernel {entry['compute_kernel']}"
        return f"is {how[0]} with kernel {how[1]}; the file starts from {planned}"
    if shards == entry.get("shards", []):
        return ""
    if change and shards == moved_entry(entry, change)["shards"]:
        return "is on its new ranks already: the file was applied before"
    return f"is on ranks {sharding.ranks}; the file starts from ranks {entry['ranks']}"


def _module_faults(
    model: Any, module: str, changes: dict[str, Entry]
) -> Iterator[Fault]:
    """Look at a module whose tables are to be moved."""
    from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection

    found = submodule(model, module)
    if not isinstance(found, ShardedEmbeddingBagCollection):
        yield Fault("model", module, "", "must be an EmbeddingBagCollection")
        return
    if environment(model).output_dtensor:
        yield Fault("model", module, "", "reshard cannot move DTensors")
    for weight, state in found.fused_optimizer.state_dict()["state"].items():
        table = weight.split(".")[-2]
        lost = sorted(set(state) - {f"{table}.{_STATE}"})
        if lost:
            rule = f"reshard moves {_STATE} only, and would lose {', '.join(lost)}"
            yield Fault("model", place((module, table)), "", rule)
    for table, change in changes.items() if sends_by_gloo(model) else ():
        stay = [s["to"] for s in change["shards"] if s["from"] == s["to"]]
        if stay:
            rule = (
                f"shards stay on ranks {stay} while others move, and gloo cannot send "
                "to the same rank, as reshard does: move all shards, or none"
            )
            yield Fault("model", place((module, table)), "", rule)
