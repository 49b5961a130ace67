"""Measured curves of unique ids."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shardplan.records.tables import EmbeddingTable


def table(*points: tuple[float, float]) -> EmbeddingTable:
    """Make a table of 1,000 rows with a curve."""
    return EmbeddingTable(
        name="t", num_embeddings=1000, embedding_dim=8, unique_ids=points
    )


@pytest.mark.parametrize(
    ("points", "rule"),
    [
        ([(10, 11)], "11 unique among 10 ids"),
        ([(0.5, 0.5)], "greater than or equal to 1"),
        ([(10, 5), (10, 6)], "points must increase"),
        ([(10, 5), (20, 4)], "points must increase"),
        ([(10, 5), (5000, 1001)], "1,000 rows"),
    ],
)
def test_impossible_curves(points: list[tuple[float, float]], rule: str) -> None:
    """No more unique ids than ids or rows, and more of both from point to point."""
    with pytest.raises(ValidationError, match=rule):
        table(*points)


def test_a_flat_curve() -> None:
    """A table may have no more ids to ask for."""
    points = ((1000.0, 1000.0), (5000.0, 1000.0))
    assert table(*points).unique_ids == points
