"""Bytes on links, and their sums."""

from __future__ import annotations

import numpy as np

from shardplan.costs.communication.traffic import Traffic


def test_exchanges_add_up_on_every_link() -> None:
    """Links of ranks, uplinks, and what is copied from the host."""
    one = Traffic(np.full((3, 2, 4), 1.0), np.full((2, 2), 2.0), np.full(4, 3.0))
    other = Traffic(np.full((3, 2, 4), 10.0), np.full((2, 2), 20.0), np.full(4, 30.0))
    both = one + other + Traffic.nothing(4, 2)
    assert both.by_rank.tolist() == np.full((3, 2, 4), 11.0).tolist()
    assert both.uplink.tolist() == [[22.0, 22.0]] * 2
    assert both.copied.tolist() == [33.0] * 4
