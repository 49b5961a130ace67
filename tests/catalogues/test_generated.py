"""The generated tables are those that their documented rule gives."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shardplan.io.catalog import load_workload
from shardplan.records.tables import CdfAccess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"
NAMES = ("neo-a", "neo-f", "neo-i")


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    """The script that writes the tables."""
    name = "generate_neo"
    spec = importlib.util.spec_from_file_location(name, WORKLOADS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.mark.parametrize("name", NAMES)
def test_tables_follow_the_rule(generator: ModuleType, name: str) -> None:
    """The committed CSV file is what the rule gives, byte for byte."""
    assert (WORKLOADS / f"{name}.csv").read_text() == generator.table_file(name)


@pytest.mark.parametrize("name", NAMES)
def test_access_follows_the_histogram(generator: ModuleType, name: str) -> None:
    """The access points are those of the published histogram."""
    access = load_workload(name).access
    assert isinstance(access, CdfAccess)
    assert list(access.points) == generator.access_points(name)
