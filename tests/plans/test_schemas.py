"""The published JSON Schemas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shardplan.errors import InputError
from shardplan.plans.schemas import KINDS, format_schema, json_schema, write_schemas

FOLDER = Path(__file__).parent.parent.parent / "docs" / "schemas"
COMMAND = "python -m shardplan.plans.schemas docs/schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_current(kind: str) -> None:
    """The committed schema is the one that the records give."""
    current = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")
    assert current == format_schema(kind), f"stale; run: {COMMAND}"


def test_no_schema_is_left_over(tmp_path: Path) -> None:
    """The folder has exactly the files that the command writes."""
    write_schemas(tmp_path / "schemas")
    written = {path.name for path in (tmp_path / "schemas").iterdir()}
    assert {path.name for path in FOLDER.iterdir()} == written, f"run: {COMMAND}"


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_words_of_json_schema(kind: str) -> None:
    """Bounds appear as minimum and maximum, which every validator knows."""
    text = format_schema(kind)
    assert '"minimum"' in text
    assert not re.search(r'"(ge|gt|le|lt|multiple_of)":', text)


def test_workload_may_name_a_tables_file() -> None:
    """A workload file needs tables, or a file of tables."""
    schema = json_schema("workload")
    assert "tables_file" in schema["properties"]
    assert {"required": ["tables_file"]} in schema["anyOf"]


def test_cost_model_may_inherit() -> None:
    """A cost model's file needs its sections, or a parent; then it may say less."""
    schema = json_schema("cost-model")
    assert {"required": ["inherits"]} in schema["anyOf"]
    assert "lookup" in schema["anyOf"][0]["required"]
    assert "required" not in schema["$defs"]["LookupModel"]
    assert "value" in schema["$defs"]["Coefficient"]["required"]


def test_unknown_kind() -> None:
    """An unknown kind lists the known ones."""
    with pytest.raises(InputError, match="did you mean 'topology'"):
        json_schema("toplogy")
