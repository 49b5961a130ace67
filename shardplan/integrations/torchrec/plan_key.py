"""Name everything that a plan depends on by one digest, the same in every process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from shardplan.integrations.torchrec.tables import sharded_modules
from shardplan.records.fingerprint import fingerprints
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from shardplan.records.inputs import Inputs

_DEEPEST = 8
"""Objects inside objects that are looked into."""


def plan_key(
    inputs: Inputs,
    model: torch.nn.Module,
    sharders: Sequence[Any],
    settings: Mapping[str, Any],
) -> str:
    """Return the SHA-256 of all that decides about a plan.

    Parameters
    ----------
    inputs : Inputs
        Resolved: they hold the tables with features, row types and constraints, the
        samples per rank, the topology less what is reserved, and the estimates.
    model : Module
        Its tables' optimizers count; weights and dense layers do not.
    sharders : sequence of ModuleSharder
        Their classes and parameters count, their order does not.
    settings : mapping
        Those of the planner, plain data by name.

    Notes
    -----
    Releases of shardplan have keys of their own. TorchRec's `request_hash` leaves out
    the tables.
    """
    parts = {
        "shardplan": VERSION,
        "inputs": fingerprints(inputs).model_dump(),
        "tables": list(_tables(model, sharders)),
        "sharders": sorted(_text(_sharder(sharder)) for sharder in sharders),
        "settings": plain(settings),
    }
    return hashlib.sha256(_text(parts).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _tables(model: torch.nn.Module, sharders: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield what our records do not hold of each table: its optimizer."""
    for path, module, sharder in sharded_modules(model, sharders):
        for name, parameter in sharder.shardable_parameters(module).items():
            optimizers = getattr(parameter, "_optimizer_classes", [])
            yield [path, name, plain(optimizers)]


def _sharder(sharder: Any) -> list[Any]:
    return [_name(type(sharder)), plain(getattr(sharder, "fused_params", None))]


def plain(value: Any, depth: int = 0) -> Any:
    """Turn any value into JSON-able data that is the same in every process.

    Notes
    -----
    Objects become the name of their class and their attributes, never their `repr`,
    which may hold an address; classes and functions become their names.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return [_name(type(value)), value.value] if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return [_name(type(value)), value.name]
    if depth > _DEEPEST:
        return _name(type(value))
    if isinstance(value, dict):
        pairs = [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]
        return sorted(pairs, key=_text)
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, depth + 1) for item in value), key=_text)
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return _name(value)
    if type(value).__module__ == "torch" and not hasattr(value, "__dict__"):
        return str(value)  # a dtype, device or layout
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
    else:
        own = dict(getattr(value, "__dict__", {}))
    return [_name(type(value)), plain(own, depth + 1)]


def _name(what: Any) -> str:
    return f"{what.__module__}.{what.__qualname__}"
