"""A study with all that it names in one piece: for its folder, and for workers."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

from pydantic import Field

from shardplan.io.validate import validate
from shardplan.records.network import NetworkModel
from shardplan.records.record import Record, SchemaVersion, dump
from shardplan.records.study import StudyFile
from shardplan.records.topology import Topology
from shardplan.records.torchrec_cost_model import AnyCostModel
from shardplan.records.workload import Workload
from shardplan.studies.sources import Sources
from shardplan.studies.spec import StudySpec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class PackedStudy(Record):
    """A study and its inputs, by the names that it has for them.

    Attributes
    ----------
    where : str
        How messages name the study.
    """

    schema_version: SchemaVersion = 1
    where: str
    study: StudyFile
    workloads: dict[str, Workload] = Field(default_factory=dict)
    topologies: dict[str, Topology] = Field(default_factory=dict)
    cost_models: dict[str, AnyCostModel] = Field(default_factory=dict)
    networks: dict[str, NetworkModel] = Field(default_factory=dict)


def pack(spec: StudySpec) -> str:
    """Return a study and its inputs as JSON."""
    sources = spec.sources
    data = {
        "schema_version": 1,
        "where": spec.where,
        "study": dump(spec.file),
        "workloads": _dumped(sources.workloads),
        "topologies": _dumped(sources.topologies),
        "cost_models": _dumped(sources.cost_models),
        "networks": _dumped(sources.networks),
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def unpack(data: object, where: str) -> StudySpec:
    """Return the study of data that was JSON.

    Raises
    ------
    InputError
        If it is not what `pack` makes.
    """
    packed = validate(PackedStudy, data, where)
    sources = Sources(
        packed.workloads, packed.topologies, packed.cost_models, packed.networks
    )
    return StudySpec.of(packed.study, where=packed.where, sources=sources)


def to_wire(spec: StudySpec, known: Iterable[str]) -> bytes:
    """Return a study, and keys that need not be run, as bytes for its workers."""
    text = json.dumps({"packed": pack(spec), "known": sorted(known)})
    return zlib.compress(text.encode())


def from_wire(content: bytes) -> tuple[StudySpec, frozenset[str]]:
    """Return the study and the keys that `to_wire` sent."""
    data = json.loads(zlib.decompress(content))
    return unpack(json.loads(data["packed"]), "study"), frozenset(data["known"])


def _dumped(records: Any) -> dict[str, Any]:
    return {name: dump(record) for name, record in records.items()}
