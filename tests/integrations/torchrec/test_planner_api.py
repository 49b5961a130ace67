"""Releases without a planner API are told apart by what they have."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from shardplan.errors import InputError
from shardplan.integrations.torchrec import ShardplanProvider, planner_api

HAS_API = find_spec("torchrec.distributed.planner.provider") is not None


def test_what_needs_the_api_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 1.8 the error names the feature and the release; the import itself works."""
    if HAS_API:
        monkeypatch.setattr(planner_api, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"ShardplanProvider needs 1\.9 or newer"):
        ShardplanProvider()


@pytest.mark.skipif(not HAS_API, reason="this TorchRec has no planner API")
def test_the_api_is_found() -> None:
    """Nothing is said where there is one."""
    planner_api.require_planner_api("x")
