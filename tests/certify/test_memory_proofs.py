"""Proofs of memory, number by number: prices, what is needed, what there is, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.infeasible import is_proof, memory_proof, memory_proofs
from shardplan.certify.relaxed import Relaxed
from shardplan.problems.totals import memory_shortfalls
from tests.helpers import COST_MODEL, MIXED, Instance, workload
from tests.solvers.helpers import TW, Hosts, make_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.problem import Problem


def one_rank(
    menus: Sequence[Sequence[tuple[float, float, float]]],
    room: tuple[float, float, float],
) -> Problem:
    """Make a problem of one rank: bytes of every option of every table, and pools."""
    tier_bytes = np.array([option for menu in menus for option in menu])
    cost = np.full((len(tier_bytes), 1, 6), 1e-4)
    hbm, ddr, ssd = (np.array([size]) for size in room)
    shapes = [[TW] * len(menu) for menu in menus]
    return make_problem([Hosts(1, 1, 1)], shapes, cost, tier_bytes, (hbm, ddr, ssd))


def test_the_best_weights_are_found() -> None:
    """Three tables take 3 bytes of HBM or 2 of DDR; there are 4 and 2.

    With v1 and v2 per byte, 3 min(3 v1, 2 v2) is largest on 4 v1 + 2 v2 = 1 where
    3 v1 = 2 v2. The dearest byte costs 1, so 3 x 2 are needed and 4 x 2/3 + 2 there.
    """
    problem = one_rank([[(3, 0, 0), (0, 2, 0)]] * 3, (4, 2, 9))
    assert memory_shortfalls(problem) == []
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.prices.hbm == pytest.approx((2 / 3,))
    assert proof.prices.ddr == pytest.approx((1.0,))
    assert proof.prices.ssd == (0.0,)
    assert proof.shortfall.needed_bytes == pytest.approx(6.0)
    assert proof.shortfall.available_bytes == pytest.approx(4 * 2 / 3 + 2)
    assert proof.shortfall.tier == "0.67 hbm+ddr"
    assert memory_proofs(problem) == [proof.shortfall]


def test_small_weights_are_left_out_where_they_may_be() -> None:
    """HBM alone is short; DDR would add a little, but says nothing.

    Two tables of 3 bytes of HBM, and one of 3 of HBM or 200 of DDR: the best weight
    of DDR is 3 / 200 of that of HBM, which is below 2 %.
    """
    problem = one_rank(
        [[(3, 0, 0)], [(3, 0, 0)], [(3, 0, 0), (0, 200, 0)]], (4, 100, 9)
    )
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.shortfall.tier == "hbm"
    assert proof.shortfall.needed_bytes == pytest.approx(6.0)
    assert proof.shortfall.available_bytes == pytest.approx(4.0)


def test_small_weights_stay_where_the_proof_needs_them() -> None:
    """Tables of 3 bytes of HBM or 200 of DDR: without DDR's weight all would fit."""
    problem = one_rank([[(3, 0, 0), (0, 200, 0)]] * 3, (4, 100, 9))
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.shortfall.tier == "hbm+0.015 ddr"
    assert proof.shortfall.needed_bytes == pytest.approx(9.0)
    assert proof.shortfall.available_bytes == pytest.approx(4 + 0.015 * 100)


def test_the_largest_tables_come_first() -> None:
    """Five names at most, of the tables that need most."""
    problem = one_rank(
        [[(float(size), 0, 0)] for size in (2, 7, 1, 6, 3, 5, 4)], (9, 9, 9)
    )
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.shortfall.tables == ("t1", "t3", "t5", "t6", "t4")
    assert proof.shortfall.needed_bytes == pytest.approx(28.0)


def test_what_fits_exactly_is_no_shortfall() -> None:
    """The needed bytes must be above what there is, not equal to it."""
    problem = one_rank([[(3, 0, 0)], [(1, 0, 0)]], (4, 9, 9))
    assert memory_proof(problem) is None
    assert memory_proofs(problem) == []


def test_single_bytes_count() -> None:
    """Two tables of one byte do not fit one byte."""
    proof = memory_proof(one_rank([[(1, 0, 0)], [(1, 0, 0)]], (1, 9, 9)))
    assert proof is not None
    assert proof.shortfall.available_bytes == 1.0


def test_tables_without_options_or_bytes() -> None:
    """A table that nothing may hold is no matter of memory, nor is one of no bytes."""
    assert memory_proof(one_rank([[(9, 0, 0)], []], (4, 9, 9))) is None
    assert memory_proof(one_rank([[(0, 0, 0)]], (4, 9, 9))) is None


def test_one_price_of_time_makes_a_proof_void() -> None:
    """Not one second may count, in any phase."""
    problem = one_rank([[(3, 0, 0), (0, 2, 0)]] * 3, (4, 2, 9))
    proof = memory_proof(problem)
    assert proof is not None
    relaxed = Relaxed.of(problem)
    assert is_proof(relaxed, proof.prices)
    for phase in range(6):
        row = tuple(0.1 * (phase == other) for other in range(6))
        assert not is_proof(relaxed, proof.prices.replace(ranks=(row,)))


@pytest.mark.parametrize(
    ("limits", "tier"), [({}, "hbm"), ({"hosts": [1, 2]}, "hbm of old")]
)
def test_host_groups_are_named_where_they_differ(
    limits: dict[str, list[int]], tier: str
) -> None:
    """Tables for the old hosts alone do not fit them; for all hosts, not any."""
    rows = 30_000_000 if limits else 60_000_000
    tables = [{"num_embeddings": rows} for _ in range(4)]
    limits = {"compute_kernels": ["fused"], **limits}
    problem = Instance(
        workload(*tables, constraints=limits), MIXED, COST_MODEL
    ).problem()
    proof = memory_proof(problem)
    assert proof is not None
    assert proof.shortfall.tier == tier
    assert proof.shortfall.needed_bytes > proof.shortfall.available_bytes
