"""The way from one plan to another as a document that a running TorchRec job applies.

``shardplan.integrations.torchrec.reshard`` hands it to the live model. It has all of
the old plan, so that a job that runs another one is found out, and of the new plan the
tables whose ranks change.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from shardplan.errors import Fault, InputError
from shardplan.exporters import torchrec
from shardplan.exporters.reshard_rules import (
    job_faults,
    neighbour_rule,
    optimizer_faults,
    place,
    table_rule,
)
from shardplan.plans.rectangles import rectangles
from shardplan.plans.shard_moves import has_same_cut, shard_bytes, shard_moves
from shardplan.records.fingerprint import fingerprint
from shardplan.records.record import dump
from shardplan.records.sharding import Target
from shardplan.version import VERSION

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.plans.shard_moves import ShardMove
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.workload import Optimizer

    Address = tuple[str, str]

FORMAT = "shardplan-torchrec-reshard"
FORMAT_VERSION = 1
_TARGETS = (Target.TORCHREC, Target.ANY)
_COPIED = ("world_size", "local_world_size", "compute_device")


class _Job(NamedTuple):
    """A plan as TorchRec runs it: exported entries, placements and records by table.

    Tables are known by module and name.
    """

    document: dict[str, Any]
    placements: dict[Address, TablePlacement]
    records: dict[Address, EmbeddingTable]
    optimizer: Optimizer

    @classmethod
    def of(cls, plan: Plan, module: str | None) -> _Job:
        """Raise `InputError` if TorchRec cannot run the plan."""
        if plan.target not in _TARGETS:
            rule = "the plan is for another framework: solve with --target torchrec"
            raise InputError.single("plan", "target", plan.target.value, rule)
        document = torchrec.export(plan, module)
        work = plan.inputs.workload
        tables = {t.name: t for t in work.tables}
        at = {name: torchrec.address(table, module) for name, table in tables.items()}
        return cls(
            document,
            {at[placement.name]: placement for placement in plan.tables},
            {at[name]: table for name, table in tables.items()},
            work.optimizer,
        )

    def entry(self, address: Address) -> dict[str, Any]:
        """Return what TorchRec is told of a table."""
        module, name = address
        return cast("dict[str, Any]", self.document["modules"][module][name])


def export(plan: Plan, old: Plan, module: str | None = None) -> dict[str, Any]:
    """Return the document of what a job that runs `old` moves to run `plan`.

    The plans may be for other loads, costs and constraints, but for one model on
    equally many ranks.

    Parameters
    ----------
    module : str, optional
        Path of the module that owns the tables that do not name theirs.

    Returns
    -------
    dict
        Without `changes` if nothing moves.

    Raises
    ------
    InputError
        If TorchRec cannot run one of the plans, if they are for different jobs, or if
        its `reshard` cannot change a table so, with every table and rule.
    """
    try:
        before = _Job.of(old, module)
    except InputError as error:
        faults = [Fault("--from", f.key, f.value, f.rule) for f in error.problems]
        raise InputError(faults) from None
    after = _Job.of(plan, module)
    faults = list(job_faults(old, plan, before.document, after.document))
    if faults:
        raise InputError(faults)
    moves = _moves(before, after)
    changes: dict[str, dict[str, Any]] = defaultdict(dict)
    for (path, name), shards in moves.items():
        changes[path][name] = {
            "moved_bytes": _moved(shards),
            "shards": [_shard(shard) for shard in shards],
        }
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "shardplan_version": VERSION,
        **{key: before.document[key] for key in _COPIED},
        "from": _identity(old),
        "to": _identity(plan),
        "moved_bytes": sum(map(_moved, moves.values())),
        "ranks": _ranks(after, moves),
        "modules": before.document["modules"],
        "changes": dict(changes),
    }
    return {**document, "digest": torchrec.digest(document)}


def _identity(plan: Plan) -> dict[str, str]:
    """Return the fingerprints of a plan and of its inputs."""
    return {"plan": fingerprint(plan), **dump(plan.fingerprints)}


def _moves(before: _Job, after: _Job) -> dict[Address, list[ShardMove]]:
    """List all shards of the tables that change.

    Raises
    ------
    InputError
        For everything that `reshard` cannot do.
    """
    faults, moves = [], {}
    for address, record in before.records.items():
        if _layout(before.entry(address)) == _layout(after.entry(address)):
            continue
        placements = before.placements[address], after.placements[address]
        rule = table_rule(
            before.entry(address),
            after.entry(address),
            has_same_cut=has_same_cut(*placements, record.num_embeddings),
        )
        if rule:
            faults.append(Fault("plan", place(address), "", rule))
        else:
            moves[address] = shard_moves(*placements, record, before.optimizer)
    changed = {module for module, _ in moves}
    if changed:
        faults += optimizer_faults(before.optimizer)
    for address, record in before.records.items():
        rule = neighbour_rule(before.entry(address), record)
        if rule and address[0] in changed:
            faults.append(Fault("plan", place(address), "", rule))
    if faults:
        raise InputError(faults)
    return moves


def _layout(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with its shards in one order."""
    shards = sorted(entry.get("shards", ()), key=lambda shard: shard["offset"])
    return {**entry, "ranks": sorted(entry["ranks"]), "shards": shards}


def _moved(shards: list[ShardMove]) -> float:
    return sum(s.num_bytes for s in shards if s.source != s.destination)


def _shard(shard: ShardMove) -> dict[str, Any]:
    return {
        "from": shard.source,
        "to": shard.destination,
        "offset": [shard.row_offset, shard.column_offset],
        "size": [shard.num_rows, shard.num_columns],
        "bytes": shard.num_bytes,
    }


def _ranks(
    after: _Job, moves: dict[Address, list[ShardMove]]
) -> list[dict[str, float]]:
    """Return what every rank sends, receives, and needs beside the tables it has."""
    world = after.document["world_size"]
    sent, received = [0.0] * world, [0.0] * world
    for shards in moves.values():
        for shard in shards:
            if shard.source != shard.destination:
                sent[shard.source] += shard.num_bytes
                received[shard.destination] += shard.num_bytes
    extra = _extra_bytes(after, {module for module, _ in moves})
    return [
        {
            "rank": rank,
            "sent_bytes": sent[rank],
            "received_bytes": received[rank],
            "extra_bytes": extra[rank],
        }
        for rank in range(world)
    ]


def _extra_bytes(after: _Job, modules: set[str]) -> list[float]:
    """Return what every rank must have room for while `reshard` runs [bytes].

    It makes all tables of a module anew, also those that stay, before the old ones go;
    one module after the other.
    """
    world = after.document["world_size"]
    new = {module: [0.0] * world for module in modules}
    for address, record in after.records.items():
        if address[0] not in modules:
            continue
        placement = after.placements[address]
        for shard in rectangles(placement, record.num_embeddings):
            size = shard_bytes(shard, record, after.optimizer)
            new[address[0]][shard.rank] += size
    return [
        max((own[rank] for own in new.values()), default=0.0) for rank in range(world)
    ]
