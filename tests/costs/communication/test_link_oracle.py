"""The matrix of bytes, by hand: what it says is what other tests go by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs.communication.link_oracle import (
    all_to_all_v_bottleneck,
    all_to_all_v_link_times,
)


def test_two_flows_share_a_nic():
    """Two ranks of a host send to another host: the NICs carry both."""
    send = np.zeros((4, 4))
    send[0, 2] = send[1, 3] = 10.0
    send[0, 1] = 6.0
    times = all_to_all_v_link_times(
        send, [0, 0, 1, 1], [0, 0, 1, 1], scale_up_bw=3.0, nic_bw_per_host=4.0
    )
    # 20 bytes at 4 bytes/s; 6 bytes at 3 bytes/s inside.
    assert times["nic"] == pytest.approx(5.0)
    assert times["scale_up"] == pytest.approx(2.0)
    assert times["pcie"] == times["leaf"] == times["mesh"] == 0.0


def test_a_mesh_link_is_narrower_than_a_rank():
    """One busy peer fills one of three links, not all."""
    send = np.zeros((4, 4))
    send[0, 1] = 6.0
    # 6 bytes over a third of 3 bytes/s.
    time = all_to_all_v_bottleneck(send, [0] * 4, [0] * 4, 3.0, 1.0, is_mesh=True)
    assert time == pytest.approx(6.0)


def test_the_slower_end_of_a_mesh_link_counts():
    """Rank 1, which is slow, receives in 6 s what rank 0 sends in 2 s."""
    send = np.array([[0.0, 6.0], [0.0, 0.0]])
    slow_end = all_to_all_v_bottleneck(
        send, [0, 0], [0, 0], [3.0, 1.0], 1.0, is_mesh=True
    )
    assert slow_end == pytest.approx(6.0)
    times = all_to_all_v_link_times(send, [0, 0], [0, 0], [3.0, 1.0], 1.0, is_mesh=True)
    assert times["mesh"] == pytest.approx(6.0)
    back = all_to_all_v_link_times(
        send.T, [0, 0], [0, 0], [1.0, 3.0], 1.0, is_mesh=True
    )
    assert back["mesh"] == pytest.approx(6.0)


def test_bytes_without_a_link_take_forever():
    """Traffic between hosts without NICs never arrives."""
    send = np.ones((2, 2))
    assert all_to_all_v_bottleneck(send, [0, 1], [0, 1], 1.0, 0.0) == np.inf


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8, 12]))
def test_uneven_all_to_all_invariants(seed, ranks):
    """Transposing, renaming ranks and scaling bytes do what they must."""
    rng = np.random.default_rng(seed)
    send = rng.exponential(size=(ranks, ranks))
    host = np.arange(ranks) // 4
    places = {"rank_host": host, "rank_domain": np.arange(ranks) // 2}
    rates = {"scale_up_bw": 3.0, "nic_bw_per_host": 1.0, "pcie_bw": 2.0}
    time = all_to_all_v_bottleneck(send, **places, **rates)
    assert all_to_all_v_bottleneck(send.T, **places, **rates) == pytest.approx(time)
    assert all_to_all_v_bottleneck(3 * send, **places, **rates) == pytest.approx(
        3 * time
    )
    order = rng.permutation(ranks)
    renamed = {name: place[order] for name, place in places.items()}
    shuffled = all_to_all_v_bottleneck(send[np.ix_(order, order)], **renamed, **rates)
    assert shuffled == pytest.approx(time)
    slower = {name: rate / 2 for name, rate in rates.items()}
    assert all_to_all_v_bottleneck(send, **places, **slower) == pytest.approx(2 * time)
    more = send + np.eye(ranks, k=1)
    assert all_to_all_v_bottleneck(more, **places, **rates) >= time * (1 - 1e-12)
