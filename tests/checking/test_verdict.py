"""What a verdict says about bound and optimum, from numbers alone."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.checking import Violation
from shardplan.checking.verdict import Verdict
from shardplan.plans.plan import Outcome


def verdict(proven_s: float | None, *violations: Violation, **outcome: Any) -> Verdict:
    """Judge a plan of 2 s that is said to be optimal."""
    said = {
        "solver": "by_hand",
        "seed": 0,
        "status": "optimal",
        "objective_s": 2.0,
        "lower_bound_s": 2.0,
        "gap": 0.0,
        **outcome,
    }
    return Verdict(Outcome.model_validate(said), violations, proven_s)


WRONG = Violation("capacity", "t", "is full")
CASES = {
    "all is proven": (verdict(2.0), "proven", "proven", ""),
    "more is proven": (verdict(2.5), "proven", "proven", ""),
    "less is proven": (verdict(1.9), "claimed", "claimed", "bound is claimed"),
    "no certificate": (verdict(None), "claimed", "claimed", "bound is claimed"),
    "a plan that is wrong": (verdict(2.0, WRONG), "claimed", "claimed", "claimed"),
    "the solver claims the rest": (
        verdict(1.0, lower_bound_s=1.0, gap=1.0, claimed_bound_s=2.0),
        "proven",
        "claimed",
        "the certificate proves less",
    ),
    "not optimal": (
        verdict(1.0, lower_bound_s=1.0, gap=1.0, status="feasible"),
        "proven",
        "none",
        "",
    ),
    "no bound": (
        verdict(None, lower_bound_s=0.0, gap=None, status="feasible"),
        "none",
        "none",
        "no lower bound",
    ),
    "no bound but a claim": (
        verdict(None, lower_bound_s=0.0, gap=None, claimed_bound_s=2.0),
        "claimed",
        "claimed",
        "bound is claimed",
    ),
    "nothing to do": (
        verdict(None, objective_s=0.0, lower_bound_s=0.0, gap=None),
        "none",
        "proven",
        "",
    ),
    "one second is not nothing": (
        verdict(None, objective_s=1.0, lower_bound_s=0.0, gap=None),
        "none",
        "claimed",
        "no lower bound",
    ),
    "nothing to do, done wrong": (
        verdict(None, WRONG, objective_s=0.0, lower_bound_s=0.0, gap=None),
        "none",
        "claimed",
        "no lower bound",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_proven_claimed_or_not_said(case: tuple[Verdict, str, str, str]) -> None:
    """Only a certificate of a valid plan proves, and only as much as it says."""
    found, bound, optimality, unproven = case
    assert (found.bound, found.optimality) == (bound, optimality)
    assert unproven in found.unproven
    assert bool(unproven) is bool(found.unproven)
