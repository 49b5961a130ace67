"""The most loaded link against an exact fluid simulation of small networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.costs.communication.link_oracle import all_to_all_v_bottleneck


def max_min_rates(uses: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Return max-min fair rates: fill all flows until a link is full, and repeat."""
    rates = np.zeros(len(uses))
    active = np.ones(len(uses), dtype=bool)
    room = capacity.astype(float).copy()
    while active.any():
        count = uses[active].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(count > 0, room / count, np.inf)
        step = share.min()
        rates[active] += step
        room = room - step * count
        full = (count > 0) & (share <= step * (1 + 1e-12))
        active &= ~uses[:, full].any(axis=1)
    return rates


def fluid_time(send: np.ndarray, host: np.ndarray, up: float, nic: float) -> float:
    """Return when all flows have ended, rates being fair at every moment."""
    world, hosts = len(host), host.max() + 1
    pairs = [(i, j) for i in range(world) for j in range(world) if i != j]
    flows = [(i, j) for i, j in pairs if send[i, j] > 0]
    # Links: egress and ingress of every rank, then of every host's NICs.
    capacity = np.concatenate([np.full(2 * world, up), np.full(2 * hosts, nic)])
    uses = np.zeros((len(flows), len(capacity)), dtype=bool)
    for row, (i, j) in enumerate(flows):
        if host[i] == host[j]:
            uses[row, [i, world + j]] = True
        else:
            first = 2 * world
            uses[row, [first + host[i], first + hosts + host[j]]] = True
    left = np.array([send[flow] for flow in flows])
    time = 0.0
    while len(left):
        rates = max_min_rates(uses, capacity)
        step = (left / rates).min()
        time += step
        left = left - step * rates
        open_ = left > 1e-9 * step
        left, uses = left[open_], uses[open_]
    return time


def both(send: np.ndarray, host: np.ndarray, up: float, nic: float) -> tuple:
    """Return the bound and the fluid time."""
    bound = all_to_all_v_bottleneck(
        send, rank_host=host, rank_domain=host, scale_up_bw=up, nic_bw_per_host=nic
    )
    return bound, fluid_time(send, host, up, nic)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    hosts=st.integers(1, 3),
    local=st.integers(1, 3),
    slow=st.floats(0.05, 2.0),
)
def test_never_below_the_bound(seed: int, hosts: int, local: int, slow: float) -> None:
    """No sharing of links is faster than the most loaded one, and fair is near it."""
    rng = np.random.default_rng(seed)
    world = hosts * local
    send = rng.exponential(size=(world, world)) * rng.integers(0, 2, (world, world))
    host = np.repeat(np.arange(hosts), local)
    bound, fluid = both(send, host, 1.0, slow)
    assert fluid >= bound * (1 - 1e-9)
    assert fluid <= bound * 2.0 + 1e-12


@pytest.mark.parametrize(("hosts", "local"), [(1, 4), (2, 2), (3, 2), (4, 1)])
def test_even_exchanges_meet_the_bound(hosts: int, local: int) -> None:
    """In an even all-to-all all flows of the fullest links end together."""
    world = hosts * local
    host = np.repeat(np.arange(hosts), local)
    bound, fluid = both(np.ones((world, world)), host, 1.0, 0.5)
    assert fluid == pytest.approx(bound)


def test_rows_of_a_plan_are_near_the_bound() -> None:
    """Ranks that send evenly, but unequal amounts: within 5 % on average."""
    rng = np.random.default_rng(1)
    host = np.repeat(np.arange(2), 3)
    excess = []
    for _ in range(30):
        send = np.repeat(rng.exponential(size=(6, 1)), 6, axis=1)
        bound, fluid = both(send, host, 1.0, 0.7)
        excess.append(fluid / bound - 1)
    assert np.mean(excess) < 0.05


def test_two_flows_on_a_link() -> None:
    """Two flows out of one rank share its link; the shorter ends first, none idles."""
    send = np.zeros((3, 3))
    send[0, 1], send[0, 2] = 1.0, 3.0
    bound, fluid = both(send, np.zeros(3, dtype=int), 2.0, 1.0)
    assert bound == fluid == pytest.approx(2.0)
