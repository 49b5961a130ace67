"""Progressive filling, against the one-flow-at-a-time oracle and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.communication.fair_share import fair_speeds
from tests.costs.communication.test_fluid_oracle import max_min_rates


def test_two_equal_operations_halve_a_link() -> None:
    """Each could fill the link alone."""
    np.testing.assert_allclose(fair_speeds(np.ones((2, 1))), [0.5, 0.5])


def test_what_one_cannot_use_goes_to_the_other() -> None:
    """One needs 30 %: it is not slowed, and the other gets 70 %."""
    np.testing.assert_allclose(fair_speeds(np.array([[0.3], [1.0]])), [1.0, 0.7])


def test_nothing_is_slowed_where_there_is_room() -> None:
    """Together they need less than the link."""
    np.testing.assert_allclose(fair_speeds(np.array([[0.5], [0.4], [0.0]])), 1.0)


def test_a_third_gets_what_the_slowest_link_leaves() -> None:
    """Two share the first link; the third has the second to itself and the first's."""
    uses = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(fair_speeds(uses), 0.5)
    uses[2] = [0.0, 0.9]
    uses[0] = [0.2, 0.0]
    np.testing.assert_allclose(fair_speeds(uses), [1.0, 0.5, 0.5 / 0.9])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), flows=st.integers(1, 5), links=st.integers(1, 4))
def test_as_the_oracle(seed: int, flows: int, links: int) -> None:
    """Operations that fill every link that they use: rates of the oracle."""
    rng = np.random.default_rng(seed)
    uses = rng.integers(0, 2, (flows, links)).astype(bool)
    uses[np.arange(flows), rng.integers(0, links, flows)] = True
    speeds = fair_speeds(uses.astype(float))
    np.testing.assert_allclose(speeds, max_min_rates(uses, np.ones(links)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), flows=st.integers(1, 4), links=st.integers(1, 3))
def test_full_but_not_over(seed: int, flows: int, links: int) -> None:
    """No link carries more than it can; who is slowed uses a full link."""
    rng = np.random.default_rng(seed)
    uses = rng.random((flows, links, 3)) * rng.integers(0, 2, (flows, links, 3))
    speeds = fair_speeds(uses)
    load = (uses * speeds[:, None]).sum(axis=0)
    assert (load <= 1 + 1e-9).all()
    slowed = speeds < 1 - 1e-9
    on_full = ((uses > 0) & (load >= 1 - 1e-9)).any(axis=1)
    assert (on_full | ~slowed).all()


def test_places_are_apart() -> None:
    """The links of one rank do not count for another."""
    uses = np.array([[[1.0, 1.0]], [[1.0, 0.0]]])
    np.testing.assert_allclose(fair_speeds(uses), [[0.5, 1.0], [0.5, 1.0]])
    assert fair_speeds(uses)[1, 1] == pytest.approx(1.0)
