"""Ranks that meet in an operation."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.steps.meeting import Meeting


@pytest.mark.parametrize("seed", range(5))
def test_the_latest_of_each_group(seed):
    """As found group by group."""
    rng = np.random.default_rng(seed)
    meets = np.sort(rng.integers(1, 5, 12))
    values = rng.random(12)
    meeting = Meeting.of(meets)
    expected = [values[meets == own].max() for own in meets]
    np.testing.assert_array_equal(meeting.latest(values), expected)
    for rank, own in enumerate(meets):
        found = np.arange(12)[meeting.ranks(rank)]
        np.testing.assert_array_equal(found, np.flatnonzero(meets == own))
