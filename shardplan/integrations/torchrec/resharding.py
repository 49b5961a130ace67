"""Change the plan of a live model: what `shardplan export --to torchrec-reshard` wrote.

TorchRec's `DistributedModelParallel.reshard` looks at little before it takes the tables
of a module apart, and an error on one rank leaves the others waiting. So all ranks look
at everything first, tell each other what they found, and go on or stop together.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import Fault, InputError
from shardplan.exporters.reshard_rules import place
from shardplan.exporters.torchrec import digest
from shardplan.exporters.torchrec_reshard import FORMAT, FORMAT_VERSION
from shardplan.integrations.torchrec.document import make_sharding_plan
from shardplan.integrations.torchrec.groups import cpu_group
from shardplan.integrations.torchrec.live_model import (
    model_faults,
    moved_entry,
    sends_by_gloo,
    submodule,
)
from shardplan.integrations.torchrec.versions import require_torchrec
from shardplan.io.json_file import read_json
from shardplan.records.placement import format_ranks
from shardplan.units import format_bytes, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


class _Found(NamedTuple):
    """What a rank says to the others.

    Attributes
    ----------
    hash_seed : int
        Hash of a text, where that decides whether messages arrive.
    rates : tuple of (str, float)
        Tables in this rank's kernels and their learning rates.
    """

    digest: str = ""
    hash_seed: int = 0
    rates: tuple[tuple[str, float], ...] = ()
    faults: tuple[Fault, ...] = ()


def reshard(model: Any, source: str | os.PathLike[str] | dict[str, Any]) -> float:
    """Move the tables of a running job from one plan to another.

    All ranks call it, between two steps. Weights, the state of the optimizer and
    learning rates stay what they were. Afterwards `model.fused_optimizer` is another
    object: what was made from the old one (a `CombinedOptimizer`, a schedule of
    learning rates), and pipelines that have read batches ahead, must be made again.

    Parameters
    ----------
    model : DistributedModelParallel
        It must have the plan that the file starts from.
    source : path or dict
        The file, or its content; the same on all ranks.

    Returns
    -------
    float
        Bytes that ranks have sent each other.

    Raises
    ------
    InputError
        If the file is broken, was edited, or starts from another plan than the model
        has, or if the model is not one that `reshard` leaves whole, with everything
        that was found. If one rank finds something, all raise it before a row moves.
    """
    require_torchrec()
    document, found = _look(model, source)
    seen = _exchange(model, found)
    _require_agreement(seen)
    rates = dict(pair for rank in seen for pair in rank.rates)
    plan = make_sharding_plan(_after(document, model.device.type)).plan
    for module, changes in document["changes"].items():
        moved = sum(change["moved_bytes"] for change in changes.values())
        model.reshard({module: (moved, plan[module])}, module)
        _set_rates(submodule(model, module), module, rates)
    moved_bytes = float(document["moved_bytes"])
    count = plural(sum(map(len, document["changes"].values())), "table")
    logger.info("resharded %s: %s moved", count, format_bytes(moved_bytes))
    return moved_bytes


def _look(model: Any, source: Any) -> tuple[dict[str, Any], _Found]:
    """Read the file and compare it with the model; what is wrong is kept for later."""
    try:
        document = _read(source)
        faults = tuple(model_faults(model, document))
        if faults:
            return {}, _Found(faults=faults)
        seed = hash(FORMAT) if sends_by_gloo(model) else 0
        rates = _rates(model, document)
    except InputError as error:
        return {}, _Found(faults=error.problems)
    except Exception as error:  # whatever it is, the others are waiting
        fault = Fault("reshard", "", "", f"{type(error).__name__}: {error}")
        return {}, _Found(faults=(fault,))
    return document, _Found(document["digest"], seed, rates)


def _read(source: Any) -> dict[str, Any]:
    """Read a file and check that it is whole.

    Raises
    ------
    InputError
        If it is another file, of another version, or was edited.
    """
    where = "reshard" if isinstance(source, dict) else os.fspath(source)
    data = source if isinstance(source, dict) else read_json(Path(where), where)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        rule = (
            "is no change of a plan; write one with `shardplan export NEW --to "
            "torchrec-reshard --from OLD`"
        )
        raise InputError.single(where, "format", None, rule)
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        rule = f"this release reads format_version {FORMAT_VERSION}"
        raise InputError.single(where, "format_version", version, rule)
    if digest(data) != data.get("digest"):
        rule = "the file was edited, so nothing is known of it: export it again"
        raise InputError.single(where, "digest", None, rule)
    return data


def _exchange(model: Any, found: _Found) -> list[_Found]:
    """Return what every rank has found, in the order of ranks."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return [found]
    group = cpu_group(dist.group.WORLD)
    seen: list[Any] = [None] * group.size()
    dist.all_gather_object(seen, found, group=group)
    return seen


def _require_agreement(seen: list[_Found]) -> None:
    """Raise the same error on all ranks if one of them has found something.

    Raises
    ------
    InputError
        With what any rank has found, and if ranks have different files. With gloo also
        if texts hash differently on them: TorchRec makes tags of messages from that.
    """
    by: dict[Fault, list[int]] = {}
    for rank, found in enumerate(seen):
        for fault in found.faults:
            by.setdefault(fault, []).append(rank)
    faults = [
        fault
        if len(ranks) == len(seen)
        else replace(fault, where=f"rank {format_ranks(tuple(ranks))}: {fault.where}")
        for fault, ranks in by.items()
    ]
    if not faults and len({found.digest for found in seen}) > 1:
        rule = "ranks have different files"
        faults.append(Fault("reshard", "digest", "", rule))
    if not faults and len({found.hash_seed for found in seen}) > 1:
        rule = (
            "gloo would wait for ever for messages whose tags are hashes of texts: "
            "start all ranks with the same PYTHONHASHSEED, such as 0"
        )
        faults.append(Fault("environment", "PYTHONHASHSEED", "", rule))
    if faults:
        raise InputError(faults)


def _after(document: dict[str, Any], device: str) -> dict[str, Any]:
    """Return the export of the changed tables as they will be."""
    modules = {
        module: {
            name: moved_entry(document["modules"][module][name], change)
            for name, change in changes.items()
        }
        for module, changes in document["changes"].items()
    }
    return {**document, "modules": modules, "compute_device": device}


def _rates(model: Any, document: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """List the tables on this rank, by module and table, and their learning rates."""
    return tuple(
        (place((module, table)), float(optimizer.param_groups[0]["lr"]))
        for module in document["changes"]
        for optimizer, tables in _optimizers(submodule(model, module))
        for table in tables
    )


def _set_rates(found: Any, module: str, rates: dict[str, float]) -> None:
    """Go on with the learning rates of before: new tables have those of the start."""
    for optimizer, tables in _optimizers(found):
        optimizer.param_groups[0]["lr"] = rates[place((module, tables[0]))]
        optimizer.step()  # hands the rate to the kernel, and does no more


def _optimizers(module: Any) -> Iterator[tuple[Any, list[str]]]:
    """List a module's optimizers on this rank with their tables."""
    for _, optimizer in module.fused_optimizer.optimizers:
        tables = [name.split(".")[-2] for name in optimizer.params]
        if tables:
            yield optimizer, tables
