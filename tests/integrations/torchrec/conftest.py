"""Tests that need TorchRec; without it they are left out, and say so."""

from __future__ import annotations

import logging
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip(
        "torchrec",
        reason="TorchRec is not installed: see docs/guides/install-torchrec.md",
        exc_type=ImportError,
    )
    for module in ("distributed.mc_embedding", "modules.hash_mc_modules"):
        pytest.importorskip(f"torchrec.{module}", exc_type=ImportError)

logging.getLogger("MethodLogger-NullHandler").propagate = False

FOLDER = __file__.rpartition("/")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; TorchRec and torch warn of their own affairs."""
    for item in items:
        if str(item.path).startswith(FOLDER):
            item.add_marker(pytest.mark.torchrec)
            item.add_marker(pytest.mark.filterwarnings("ignore"))
