"""Assignments that cannot be priced are told from those that can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.problems.legality import faults
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Target
from tests.solvers.helpers import Hosts, brute_force, toy_problem, two_tables

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

# Options of t0: 0 TW, 1 CW3 (2 + 1), 2 TRW of a host, 3 DP; of t1: 4 TWCW, 5 RW2, 6 DP.


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def assigned(option: tuple[int, int], *places: Any) -> Assignment:
    return Assignment(ints(*option), tuple(places))


@pytest.mark.parametrize(
    "assignment",
    [
        assigned((0, 4), ints(3), ints(0, 0)),
        assigned((1, 5), ints(3, 3, 3), ints(2, 0)),
        assigned((2, 6), ints(1), ints()),
        Assignment(ints(0, 4).astype(np.int32), [ints(3), ints(0, 1)]),  # type: ignore[arg-type]
    ],
)
def test_legal(assignment: Assignment) -> None:
    """Whatever has a meaning: places of the scope, as many as the option has."""
    problem = replace(two_tables(), allowed={}, conflicts={})
    assert faults(problem, assignment) == []
    assert problem.value(assignment) > 0


OPTION = "`option` is {}, must be an int array of shape (2,)"


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        (Assignment([0, 4], ()), [OPTION.format("a list")]),  # type: ignore[arg-type]
        (Assignment(ints(0), ()), [OPTION.format("of shape (1,) and dtype int64")]),
        (
            Assignment(np.array([0.0, 4.0]), ()),
            [OPTION.format("of shape (2,) and dtype float64")],
        ),
        (
            assigned((4, -1)),
            [
                "bundle 0 (t0): option 4 is not its own, which are 0 to 3",
                "bundle 1 (t1): option -1 is not its own, which are 4 to 6",
            ],
        ),
        (
            assigned((0, 4), ints(0)),
            ["`places` has 1 arrays, must have one for each of 2 bundles"],
        ),
        (
            assigned((0, 6), [0], ints(0)),
            [
                "bundle 0 (t0), option 0: its places are a list, must be an int array "
                "of shape (1,): scope rank",
                "bundle 1 (t1), option 6: its places are of shape (1,) and dtype int64,"
                " must be an int array of shape (0,): scope all",
            ],
        ),
        (
            assigned((2, 5), ints(2), ints(1, 1)),
            [
                "bundle 0 (t0), option 2: 2 is no legal place of scope host for it",
                "bundle 1 (t1), option 5: its places must differ, got [1, 1]",
            ],
        ),
        (
            assigned((0, 4), ints(3), ints(1, 2)),
            [
                "bundle 1 (t1), option 4: its places must share a host, got [1, 2]",
            ],
        ),
        (
            assigned((0, 4), ints(0), ints(0, 1)),
            ["bundles 0 (t0) and 1 (t1) must not share a rank, both are on 0"],
        ),
        (
            assigned((2, 4), ints(0), ints(1, 1)),
            ["bundles 0 (t0) and 1 (t1) must not share a rank, both are on 1"],
        ),
        (
            assigned((0, 4), ints(-1), ints(1, 3)),
            [
                "bundle 0 (t0), option 0: -1 is no legal place of scope rank for it",
                "bundle 1 (t1), option 4: 3 is no legal place of scope rank for it",
            ],
        ),
    ],
)
def test_faults(assignment: Assignment, found: list[str]) -> None:
    """Each with the bundle, the option, and what there should be."""
    assert faults(two_tables(), assignment) == found


def test_scope_all_of_a_pinned_bundle() -> None:
    """A bundle that may not use all ranks has no such option; it is not priced."""
    problem = two_tables()
    assert faults(problem, assigned((0, 6), ints(0), ints())) == [
        "bundle 1 (t1), option 6: its ranks are not all allowed"
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("target", [Target.ANY, Target.TORCHREC])
def test_the_best_assignments_have_no_faults(seed: int, target: Target) -> None:
    """Of all scopes, with pins and mixed hosts."""
    rng = np.random.default_rng(seed)
    groups = [Hosts(2, 2, 2), Hosts(1, 1)]
    problem: Problem = toy_problem(rng, 3, groups, target=target)
    _, best = brute_force(problem)
    assert best is None or faults(problem, best) == []
