"""Choosing options where several tiers are tight at once."""

from __future__ import annotations

import numpy as np
import pytest

import shardplan
from shardplan.certify.highs import failures
from shardplan.problems.totals import OptionTotals, first_least
from shardplan.records.sharding import Objective
from shardplan.solvers.linear_choice import choose_by_linear_program
from tests.benchmarks.families import Family, family_problem


@pytest.mark.parametrize("hosts", [3, 8])
def test_equal_giants_spill_over_every_tier(hosts: int) -> None:
    """64 equal tables of 375 GB fill HBM and DDR of few hosts, then their SSDs."""
    plan = shardplan.solve(
        "neo-f", f"zionex:{hosts}", solver="greedy", objective="step"
    ).plan
    kernels = {str(placement.compute_kernel) for placement in plan.tables}
    assert "key_value" in kernels
    assert len(kernels) > 1


def test_too_few_ssds_are_named() -> None:
    """Two hosts hold 19.6 TB in all their tiers; the tables need 24.2 TB."""
    with pytest.raises(
        shardplan.InfeasibleError, match=r"HBM\+DDR\+SSD short by 4.6 TB"
    ):
        shardplan.solve("neo-f", "zionex:2", solver="greedy", objective="step")


def test_what_cannot_fit_is_as_little_too_full_as_possible() -> None:
    """No choice takes a hundredth of every tier: HiGHS does not fail on that."""
    problem = family_problem(Family.SSD, 9301, 12, 4, Objective.STEP)
    totals = OptionTotals.of(problem)
    every = np.arange(len(problem.options))
    with failures() as heard:
        chosen = choose_by_linear_program(problem, totals, every, 0.01)
    assert not heard
    assert chosen is not None
    quickest = first_least(totals.seconds, problem.options.start)
    most, quickest_most = (
        totals.tier_bytes[some].sum(axis=0).max() for some in (chosen, quickest)
    )
    assert 0.01 < most < quickest_most


def test_choices_over_three_tight_tiers_are_optimal() -> None:
    """Where HBM and DDR lack room for all tables, the program ends optimal."""
    problem = family_problem(Family.SSD, 9302, 40, 16, Objective.STEP)
    totals = OptionTotals.of(problem)
    every = np.arange(len(problem.options))
    with failures() as heard:
        chosen = choose_by_linear_program(problem, totals, every, 0.97)
    assert not heard
    assert chosen is not None
    used = totals.tier_bytes[chosen].sum(axis=0)
    assert used.max() < 0.97 + 3.0 / 16
