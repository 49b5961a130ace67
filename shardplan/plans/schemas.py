"""JSON Schemas of the files, for editors and for other programs.

``python -m shardplan.plans.schemas FOLDER`` writes them all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.io.atomic import write_text_atomically
from shardplan.io.wording import suggest
from shardplan.plans.plan import Plan
from shardplan.records.coefficient import Section
from shardplan.records.cost_model import CostModel
from shardplan.records.network import NetworkModel
from shardplan.records.study import StudyFile
from shardplan.records.topology import Topology
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    from shardplan.records.record import Record

KINDS: dict[str, type[Record]] = {
    "topology": Topology,
    "cost-model": CostModel,
    "workload": Workload,
    "plan": Plan,
    "study": StudyFile,
    "network": NetworkModel,
}
"""The kinds of files and their records."""


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of file.

    Raises
    ------
    InputError
        If `kind` is not one of `KINDS`.
    """
    if kind not in KINDS:
        rule = f"must be one of {', '.join(KINDS)}{suggest(kind, KINDS)}"
        raise InputError.single("schema", "kind", kind, rule)
    schema: dict[str, Any] = _spell_bounds(KINDS[kind].model_json_schema())
    if kind == "workload":
        _allow_tables_file(schema)
    if kind == "cost-model":
        _allow_inherits(schema)
    if kind in ("cost-model", "topology"):
        _allow_names_of_networks(schema)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema}


def format_schema(kind: str) -> str:
    """Return the text of a schema file."""
    return json.dumps(json_schema(kind), indent=1) + "\n"


def write_schemas(folder: Path) -> None:
    """Write ``<kind>.json`` for every kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        write_text_atomically(folder / f"{kind}.json", format_schema(kind))


_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def _spell_bounds(schema: Any) -> Any:
    """Use JSON Schema's words for bounds that pydantic leaves as they are."""
    if isinstance(schema, dict):
        return {_BOUNDS.get(k, k): _spell_bounds(v) for k, v in schema.items()}
    if isinstance(schema, list):
        return [_spell_bounds(item) for item in schema]
    return schema


def _allow_tables_file(schema: dict[str, Any]) -> None:
    """Let a workload file name a CSV or Parquet file of tables."""
    schema["properties"]["tables_file"] = {
        "type": "string",
        "title": "Tables File",
        "description": "CSV or Parquet file of tables, relative to this file.",
    }
    schema["required"].remove("tables")
    schema["anyOf"] = [{"required": ["tables"]}, {"required": ["tables_file"]}]


def _allow_inherits(schema: dict[str, Any]) -> None:
    """Let a file of a cost model leave out what it inherits."""
    schema["properties"]["inherits"] = {
        "type": "string",
        "title": "Inherits",
        "description": "Another cost model, by shipped name or by path relative to "
        "this file, that gives what this file does not.",
    }
    own = ["schema_version", "name"]
    sections = [key for key in schema["required"] if key not in own]
    schema["required"] = own
    schema["anyOf"] = [{"required": sections}, {"required": ["inherits"]}]
    for section in Section.__subclasses__():
        schema["$defs"].get(section.__name__, {}).pop("required", None)


def _allow_names_of_networks(schema: dict[str, Any]) -> None:
    """Let a file name a network, or give the path of one, in place of all of it."""
    reference = {"$ref": "#/$defs/NetworkModel"}
    for definition in schema["$defs"].values():
        for name, value in definition.get("properties", {}).items():
            if value == reference:
                definition["properties"][name] = {"anyOf": [reference, _NAME]}
            elif reference in value.get("anyOf", ()):
                value["anyOf"].append(_NAME)


_NAME = {"type": "string", "description": "Shipped name, or path from this file."}


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
