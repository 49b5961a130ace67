"""The front of a study, beside a brute-force search for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.studies.constraints import parse_constraint
from shardplan.studies.front import Front, Goal, find_front

COST, RATE = "cost_per_hour", "throughput_samples_per_s"
GOALS = (Goal(COST, "min"), Goal(RATE, "max"))


@dataclass(frozen=True)
class Made:
    """A row made by hand."""

    values: dict[str, Any]


def rows(*pairs: tuple[float | None, float | None], **more: Any) -> list[Made]:
    """Feasible rows of cost and rate."""
    return [
        Made({"status": "feasible", "feasible": True, COST: x, RATE: y, **more})
        for x, y in pairs
    ]


def pairs(found: Front[Made]) -> list[tuple[float, float]]:
    return [(row.values[COST], row.values[RATE]) for row in found.rows]


def test_front_in_order_with_who_dominates() -> None:
    """(3, 1) loses to (2, 5), which is cheaper and faster; (1, 1) is cheapest."""
    made = rows((3, 1), (1, 1), (4, 9), (2, 5), (4, 8))
    found = find_front(made, GOALS)
    assert pairs(found) == [(1, 1), (2, 5), (4, 9)]
    beaten = [(d.row.values[COST], d.by.values[RATE]) for d in found.dominated]
    assert beaten == [(3, 5), (4, 9)]


def test_equal_points_are_on_the_front_together() -> None:
    """Neither is better in anything, so neither dominates the other."""
    found = find_front(rows((1, 1), (2, 5), (2, 5)), GOALS)
    assert pairs(found) == [(1, 1), (2, 5), (2, 5)]
    assert found.dominated == ()


def test_points_without_a_value_are_on_no_front() -> None:
    """A missing price is not a price of 0."""
    found = find_front(rows((None, 9), (1, None), (2, 5)), GOALS)
    assert pairs(found) == [(2, 5)]
    assert len(found.unjudged) == 2


def test_infeasible_points_are_left_out() -> None:
    """A point that fits nowhere has a price all the same."""
    cheap = Made({"status": "infeasible", "feasible": False, COST: 1.0, RATE: None})
    found = find_front([cheap, *rows((2, 5))], (Goal(COST, "min"),))
    assert pairs(found) == [(2, 5)]
    assert found.unjudged == ()


def test_constraints_filter_before_the_front() -> None:
    """The best point misses the constraint, so it dominates nobody."""
    limit = parse_constraint("hbm_fill <= 0.5")
    full = rows((1, 9), hbm_fill=0.6)
    slow = rows((2, 1), hbm_fill=0.7)
    room = rows((2, 5), (3, 4), hbm_fill=0.5)
    unknown = rows((9, 9), hbm_fill=None)
    found = find_front([*slow, *full, *room, *unknown], GOALS, (limit,))
    assert pairs(found) == [(2, 5)]
    assert [miss.row for miss in found.near] == [*full, *slow]
    assert [miss.joins for miss in found.near] == [True, False]
    assert found.near[0].share == pytest.approx(0.2)
    assert found.unjudged == tuple(unknown)


def test_the_knee_is_farthest_from_the_line_between_the_ends() -> None:
    """Scaled, (2, 8) lies at (1/9, 2/9), and the ends at (0, 1) and (1, 0)."""
    found = find_front(rows((1, 1), (2, 8), (10, 10)), GOALS)
    assert found.knee is not None
    assert found.knee.values[COST] == 2


@pytest.mark.parametrize("made", [[(1, 1), (2, 2), (3, 3)], [(1, 1), (2, 5)], []])
def test_a_straight_or_short_front_has_no_knee(made: list[Any]) -> None:
    """There is nothing to choose by."""
    assert find_front(rows(*made), GOALS).knee is None


value = st.one_of(st.none(), st.integers(-3, 3), st.floats(-2, 2))
"""Few values, so that there are ties."""


@given(
    st.lists(st.tuples(value, value, st.integers(0, 3)), max_size=30),
    st.sampled_from(["min", "max"]),
    st.sampled_from(["min", "max"]),
    st.integers(1, 2),
)
def test_front_is_that_of_brute_force(
    drawn: list[tuple[float | None, float | None, int]],
    first: str,
    second: str,
    number_of: int,
) -> None:
    """Any number of points, either sense, one goal or two, ties and gaps."""
    goals = (Goal(COST, first), Goal(RATE, second))[:number_of]
    limit = parse_constraint("gap <= 2")
    made = [
        Made({"status": "feasible", COST: x, RATE: y, "gap": fill})
        for x, y, fill in drawn
    ]

    def beats(a: Made, b: Made) -> bool:
        costs = [(goal.cost(a.values), goal.cost(b.values)) for goal in goals]
        return all(p <= q for p, q in costs) and any(p < q for p, q in costs)  # type: ignore[operator]

    known = [r for r in made if all(g.cost(r.values) is not None for g in goals)]
    met = [row for row in known if row.values["gap"] <= 2]
    found = find_front(made, goals, (limit,))
    ids = {id(row) for row in met if not any(beats(other, row) for other in met)}
    assert {id(row) for row in found.rows} == ids
    assert {id(d.row) for d in found.dominated} == {id(row) for row in met} - ids
    assert all(beats(d.by, d.row) and id(d.by) in ids for d in found.dominated)
    firsts = [goals[0].cost(row.values) for row in found.rows]
    assert firsts == sorted(firsts)  # type: ignore[type-var]
    assert len(found.near) == sum(row.values["gap"] > 2 for row in known)
    for miss in found.near:
        assert miss.joins != any(beats(row, miss.row) for row in met)
