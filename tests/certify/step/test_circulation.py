"""A circulation comes apart into circuits."""

from __future__ import annotations

import pytest

from shardplan.certify.step.circulation import shared_circuits


def test_two_circuits_through_one_operation() -> None:
    flow = {(0, 1, 0): 1.0, (1, 0, 1): 0.75, (1, 2, 0): 0.25, (2, 0, 1): 0.25}
    found = shared_circuits(flow, 1e-7)
    shares = {tuple(sorted(visits)): share for visits, share in found}
    assert shares == {
        (0, 1): pytest.approx(0.75),
        (0, 1, 2): pytest.approx(0.25),
    }
    assert sum(shares.values()) < 1.0


def test_a_circuit_over_several_steps_carries_as_often_as_it_comes_back() -> None:
    found = shared_circuits({(0, 1, 1): 0.5, (1, 0, 1): 0.5}, 1e-7)
    assert found == [([0, 1], pytest.approx(1.0))]


def test_what_rounding_left_is_no_circuit() -> None:
    flow = {(0, 0, 1): 1.0, (0, 1, 0): 1e-6}
    assert [visits for visits, _ in shared_circuits(flow, 1e-7)] == [[0]]
