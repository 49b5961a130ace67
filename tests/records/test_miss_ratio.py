"""Measured misses fall as caches grow."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shardplan.records.tables import EmbeddingTable


def table(*points: tuple[float, float]) -> EmbeddingTable:
    return EmbeddingTable(
        name="t", num_embeddings=100, embedding_dim=8, miss_ratio=points
    )


def test_a_curve_that_falls() -> None:
    """Equal ratios are allowed; the table counts as measured."""
    found = table((10, 0.5), (20, 0.2), (50, 0.2))
    assert found.measured == ("miss_ratio",)
    assert table().measured == ()


@pytest.mark.parametrize(
    "points",
    [
        ((10, 0.5), (20, 0.6)),
        ((10, 0.5), (10, 0.4)),
        ((20, 0.5), (10, 0.4)),
        ((0.5, 0.5),),
        ((10, 1.5),),
    ],
)
def test_other_curves(points: tuple[tuple[float, float], ...]) -> None:
    """Rows increase strictly from 1 on, ratios are shares and never rise."""
    with pytest.raises(ValidationError, match="miss_ratio"):
        table(*points)
