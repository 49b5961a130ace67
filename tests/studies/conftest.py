"""Studies of shipped inputs, small enough to expand in tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.studies.sources import Sources

STUDY: dict[str, Any] = {
    "schema_version": 1,
    "name": "small",
    "base": {"workload": "dlrm-dcnv2", "topology": "dgx-h100"},
}


@pytest.fixture
def study() -> dict[str, Any]:
    """A study of one point, as the data of its file."""
    return deepcopy(STUDY)


@pytest.fixture(scope="session")
def inputs() -> Sources:
    """The inputs of the study, loaded once."""
    return Sources(
        {"dlrm-dcnv2": load_workload("dlrm-dcnv2")},
        {"dgx-h100": load_topology("dgx-h100")},
        {"h100": load_cost_model("h100")},
    )
