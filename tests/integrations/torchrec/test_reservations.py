"""Every policy reserves what TorchRec reserves by it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

pytest.importorskip(
    "torchrec.distributed.planner.provider",
    reason="TorchRec 1.8 has no planner API",
)
from torchrec.distributed.planner.types import (
    PlannerConfig,
    StorageReservationPolicy,
)

from shardplan.integrations.torchrec.planner_settings import unmet
from shardplan.integrations.torchrec.reservations import (
    build_reservation,
    followed_settings,
)
from shardplan.integrations.torchrec.tables import default_sharders
from tests.integrations.torchrec.test_import import bags, torchrec_topology

HBM = 32 * 2**30
HOME = 10**10
KJT = 20 * 2 * 64 * 8
"""Bytes that TorchRec reserves for the ids of two features of 64 samples."""


class Dense(torch.nn.Module):
    """Two tables, and 300 dense parameters of 4 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.ebc = bags("a", "b")
        self.linear = torch.nn.Linear(100, 3, bias=False, device="meta")


CASES: list[tuple[str, dict[str, Any], float]] = [
    ("", {}, 0.15 * HBM + 6 * 1200 + KJT),
    ("heuristical", {"parameter_multiplier": 2.0}, 0.15 * HBM + 2 * 1200 + KJT),
    ("heuristical", {"dense_tensor_estimate": 10**9}, 0.15 * HBM + 1e9 + KJT),
    ("fixed_percentage", {"storage_reservation_percentage": 0.5}, 0.5 * HBM),
    ("sku_aware", {}, 0.15 * HOME + 6 * 1200 + KJT),
    ("sku_aware", {"storage_reservation_percentage": 0.5}, 0.5 * HOME + 7200 + KJT),
    ("sku_aware", {"model_base_bytes": 10**9}, 1e9 + KJT),
]


def config_of(policy: str, settings: dict[str, Any]) -> Any:
    """Make a config of a policy."""
    named = StorageReservationPolicy(policy)
    return PlannerConfig(storage_reservation_policy=named, **settings)


@pytest.mark.parametrize(("policy", "settings", "reserved"), CASES)
def test_what_is_reserved(
    policy: str, settings: dict[str, Any], reserved: float
) -> None:
    """All settings that a policy follows count."""
    config = config_of(policy, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = build_reservation(config, lambda: HOME)
        left = built.reserve(torchrec_topology(), 64, Dense(), default_sharders(), {})
    assert HBM - left.devices[0].storage.hbm == pytest.approx(reserved, abs=2)
    assert unmet(config, followed_settings(config)) == []


def test_inference_keeps_the_dense_estimate() -> None:
    """TorchRec 1.9.2's own provider drops it."""
    config = config_of("inference", {"dense_tensor_estimate": 10**9})
    left = build_reservation(config, lambda: HOME).reserve(
        torchrec_topology(), 64, Dense(), default_sharders(), {}
    )
    assert HBM - left.devices[0].storage.hbm >= 0.15 * HBM + 1e9
    assert unmet(config, followed_settings(config)) == []


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("fixed_percentage", {"dense_tensor_estimate": 1}),
        ("fixed_percentage", {"home_sku": "H100"}),
        ("heuristical", {"model_base_bytes": 1}),
        ("inference", {"parameter_multiplier": 2.0}),
        ("sku_aware", {"model_base_bytes": 1, "parameter_multiplier": 2.0}),
    ],
)
def test_settings_that_a_policy_has_no_use_for(
    policy: str, settings: dict[str, Any]
) -> None:
    """Are not followed, so they are named."""
    config = config_of(policy, settings)
    (named,) = unmet(config, followed_settings(config))
    assert named.split(" ")[0] in settings
