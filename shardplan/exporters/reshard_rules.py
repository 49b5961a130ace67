"""What TorchRec's `DistributedModelParallel.reshard` can do, and what it destroys.

It makes all tables of a module anew, copies or sends them, and checks little before:
what it cannot do ends in an error on some ranks while the others wait, or in wrong
weights. So everything is refused that was not seen to leave the same weights.

References
----------
TorchRec 1.9.2, torchrec/distributed/embeddingbag.py, `update_shards`, and
torchrec/distributed/sharding/dynamic_sharding.py, each rule run on 4 gloo processes
with FBGEMM 1.8.0 and torch 2.13.0 unless it says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, shorten
from shardplan.records.optimizers import FACTS
from shardplan.records.sharding import CACHING_KERNELS, ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shardplan.plans.plan import Plan
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.workload import Optimizer

Entry = dict[str, Any]
Tables = dict[str, Entry]

MOVABLE = frozenset({ShardingType.TABLE_WISE.value, ShardingType.COLUMN_WISE.value})
"""Types whose shards are moved; tables of others stay, beside them in a module."""
_PLACES = ("ranks", "shards")
_SHAPE = ("num_embeddings", "embedding_dim", "dtype")
_KEPT = {
    "sharding_type": ("reshard cannot change a sharding type", "sharding_types"),
    "compute_kernel": (
        "nobody has seen reshard move a table to other memory of a GPU",
        "compute_kernels",
    ),
}
_KEEP = "solve again with constraints that keep it"
_ANEW = "or start the job anew"


def place(address: tuple[str, str]) -> str:
    """Name a table, known by module and name, as a key of a document."""
    return f"modules[{address[0]}].{address[1]}"


def job_faults(old: Plan, new: Plan, before: Entry, after: Entry) -> Iterator[Fault]:
    """Say what shows that two plans are not of one job; `before` are exports."""
    for key in ("world_size", "local_world_size", "compute_device"):
        if before[key] != after[key]:
            rule = f"the plan of --from has {before[key]}: it is for another job"
            yield Fault("plan", key, str(after[key]), rule)
    if old.inputs.topology.replicas > 1 or new.inputs.topology.replicas > 1:
        rule = "reshard does not move tables that have copies in other sharding groups"
        yield Fault("plan", "topology", "", rule)
    was, now = old.inputs.workload.optimizer, new.inputs.workload.optimizer
    if was is not now:
        rule = f"the plan of --from has {was.value}: state cannot change its form"
        yield Fault("plan", "optimizer", now.value, rule)
    yield from _table_faults(before["modules"], after["modules"])


def _table_faults(
    before: Mapping[str, Tables], after: Mapping[str, Tables]
) -> Iterator[Fault]:
    """Compare names, modules and shapes of all tables."""
    old = {(m, t): entry for m, own in before.items() for t, entry in own.items()}
    new = {(m, t): entry for m, own in after.items() for t, entry in own.items()}
    for key in sorted({*old, *new}):
        if key not in old:
            rule = "the plan of --from has no such table: it is of another model"
            yield Fault("plan", place(key), "", rule)
        elif key not in new:
            rule = "only the plan of --from has this table: it is of another model"
            yield Fault("plan", place(key), "", rule)
        elif any(old[key][name] != new[key][name] for name in _SHAPE):
            shapes = [
                [entry[name] for name in _SHAPE] for entry in (old[key], new[key])
            ]
            rule = f"the plan of --from has {shapes[0]} rows, columns and row type"
            yield Fault("plan", place(key), str(shapes[1]), rule)


def optimizer_faults(optimizer: Optimizer) -> Iterator[Fault]:
    """Refuse optimizers whose state would be left behind."""
    facts = FACTS[optimizer]
    if facts.per_element + facts.per_row > 1:
        rule = (
            "reshard moves the first state of an optimizer only, so that the second "
            "one is lost (read in its source): start the job anew"
        )
        yield Fault("plan", "optimizer", optimizer.value, rule)


def neighbour_rule(entry: Entry, table: EmbeddingTable) -> str | None:
    """Say why no table of the module of this table can be moved."""
    if not table.is_pooled:
        return "reshard moves tables of an EmbeddingBagCollection only, no sequences"
    if entry["sharding_type"] == ShardingType.DATA_PARALLEL.value:
        return (
            "is data_parallel, and reshard stops (AttributeError) in a module that has "
            "such a table, when others have lost their rows: start the job anew"
        )
    if entry["compute_kernel"] in CACHING_KERNELS:
        return (
            f"is {entry['compute_kernel']}, and rows that its cache has changed are "
            "not written back before reshard copies the module's tables (read in its "
            "source): start the job anew"
        )
    widths = {shard["size"][1] for shard in entry["shards"]}
    if len(widths) > 1:
        return (
            f"has column shards of {shorten(sorted(widths))} columns, and reshard "
            "stops in a module that has such a table: start the job anew with equal "
            "widths"
        )
    return None


def table_rule(old: Entry, new: Entry, *, has_same_cut: bool) -> str | None:
    """Say why the change of one table cannot be made; None if it can."""
    for key, (fact, field) in _KEPT.items():
        if old[key] != new[key]:
            advice = f"solve again with constraints.{field} of this table, {_ANEW}"
            return f"{old[key]} -> {new[key]}: {fact}: {advice}"
    others = [
        key
        for key in sorted({*old, *new})
        if key not in _PLACES and old.get(key) != new.get(key)
    ]
    if others:
        return (
            f"{', '.join(others)} changes: reshard keeps the settings of a table: take "
            f"those of the plan of --from, {_ANEW}"
        )
    kind = old["sharding_type"]
    if kind not in MOVABLE:
        return (
            f"{kind} on other ranks: reshard moves table_wise and column_wise tables "
            f"only: {_KEEP} on its ranks (solve --pin TABLE=RANKS), {_ANEW}"
        )
    if not has_same_cut:
        return (
            "its columns are cut in another way, and reshard then stops or mixes state "
            f"per row: {_KEEP}, {_ANEW}"
        )
    ranks = new["ranks"]
    if len(set(ranks)) < len(ranks):
        return (
            "two of its shards come to one rank, and reshard then aborts the process: "
            f"{_KEEP}, {_ANEW}"
        )
    return None
