"""Studies of shipped inputs, small enough to expand in tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def study() -> dict[str, Any]:
    """A study of one point, as the data of its file."""
    return {
        "schema_version": 1,
        "name": "small",
        "base": {"workload": "dlrm-dcnv2", "topology": "dgx-h100"},
    }
