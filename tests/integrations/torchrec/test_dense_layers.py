"""Dense layers of TorchRec's own models, and none of others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchrec.models.dlrm import DLRM, DLRM_DCN, DLRM_Projection, DLRMTrain

from shardplan.integrations.torchrec.dense_layers import read_dense
from shardplan.records.tables import DType
from tests.integrations.torchrec.test_import import bags

GIVEN: dict[str, Any] = {
    "dense_in_features": 13,
    "dense_arch_layer_sizes": [32, 16],
    "over_arch_layer_sizes": [64, 8, 1],
}


def test_dot_products() -> None:
    """As its arguments were, also where it is inside."""
    found = read_dense(DLRMTrain(DLRM(bags("a", "b"), **GIVEN)))
    assert found is not None
    assert (found.num_dense, found.bottom_mlp, found.top_mlp) == (
        13,
        (32, 16),
        (64, 8, 1),
    )
    assert (found.interaction, found.dtype) == ("dot", DType.FP32)


def test_cross_layers() -> None:
    """Their number and rank."""
    model = DLRM_DCN(bags("a", "b"), **GIVEN, dcn_num_layers=3, dcn_low_rank_dim=7)
    found = read_dense(model)
    assert found is not None
    assert (found.interaction, found.dcn_num_layers, found.dcn_low_rank_dim) == (
        "dcn_v2",
        3,
        7,
    )
    assert found.top_mlp == (64, 8, 1)


@pytest.mark.parametrize(
    "model",
    [
        torch.nn.Linear(3, 3),
        bags("a"),
        DLRM_Projection(
            bags("a", "b"),
            **GIVEN,
            interaction_branch1_layer_sizes=[16],
            interaction_branch2_layer_sizes=[16],
        ),
    ],
    ids=["linear", "bags", "projection"],
)
def test_others_are_not_guessed(model: torch.nn.Module) -> None:
    """Which layer feeds which is not known."""
    assert read_dense(model) is None
