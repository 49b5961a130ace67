"""A file of another kind is named as such, in one line."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.io.catalog import load_cost_model, load_network, load_topology
from shardplan.io.catalog import load_workload as load
from shardplan.io.file_kind import FileKind, require_kind
from shardplan.plans.plan import Plan
from shardplan.studies import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEAST: dict[FileKind, dict[str, Any]] = {
    "plan": {"outcome": {}, "fingerprints": {}, "tables": []},
    "workload": {"tables": []},
    "topology": {"host_groups": []},
    "cost model": {"lookup": {}},
    "network": {"reduce": {}},
    "study": {"base": {}},
}


@pytest.mark.parametrize(("given", "wanted"), [*permutations(LEAST, 2)])
def test_another_kind_is_refused(given: FileKind, wanted: FileKind) -> None:
    """Both kinds are named."""
    with pytest.raises(InputError, match=f"file of a {given}; give that of a {wanted}"):
        require_kind(LEAST[given], wanted, "here")


@pytest.mark.parametrize("kind", LEAST)
def test_its_own_kind_passes(kind: FileKind) -> None:
    """With a stray key of another kind as well: that is one problem among others."""
    require_kind(LEAST[kind], kind, "here")
    require_kind(LEAST[kind] | {"base": 1, "host_groups": 2}, kind, "here")
    require_kind({"name": "nothing telling"}, kind, "here")
    require_kind(["no mapping"], kind, "here")


@pytest.mark.parametrize(
    ("loader", "text"),
    [
        (load, "host_groups = []"),
        (load_topology, "tables = []"),
        (load_cost_model, "tables = []"),
        (load_network, "tables = []"),
        (load_spec, "tables = []"),
        (Plan.load, '{"tables": []}'),
    ],
)
def test_every_reader_asks(
    tmp_path: Path, loader: Callable[[str], object], text: str
) -> None:
    """One problem, however many keys are missing."""
    path = tmp_path / ("plan.json" if text.startswith("{") else "file.toml")
    path.write_text(text)
    with pytest.raises(InputError, match="is the file of a") as caught:
        loader(str(path))
    assert len(caught.value.problems) == 1
