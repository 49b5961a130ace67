"""A study in one piece comes out as it went in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.studies.expand import expand
from shardplan.studies.packing import from_wire, pack, to_wire, unpack
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_else_is_needed(tmp_path: Path) -> None:
    """The same file, inputs, points and bytes, where its files are gone."""
    spec = quick.spec(tmp_path)
    text = pack(spec)
    for path in tmp_path.iterdir():
        path.unlink()
    found = unpack(json.loads(text), "packed")
    assert found.file == spec.file
    assert found.sources == spec.sources
    assert expand(found) == expand(spec)
    assert pack(found) == text


def test_workers_get_the_known_keys(tmp_path: Path) -> None:
    """In any order, the bytes are the same."""
    spec = quick.spec(tmp_path)
    content = to_wire(spec, ["b", "a"])
    assert content == to_wire(spec, ["a", "b"])
    found, known = from_wire(content)
    assert found.file == spec.file
    assert known == {"a", "b"}


@pytest.mark.parametrize("data", [[], {}, {"schema_version": 1, "where": "x"}])
def test_what_was_not_packed_is_refused(data: object) -> None:
    with pytest.raises(InputError, match=r"inputs\.json"):
        unpack(data, "inputs.json")
