"""Largest differencing: Karmarkar and Karp's results on known sets of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.ldm import LargestDifferencing, Piece, largest_differencing
from tests.helpers import Instance, mixed_cluster
from tests.solvers.test_greedy import partition_problem


def parts(numbers: list[float], num_parts: int) -> list[list[float]]:
    pieces = [Piece(float(n), index, 0) for index, n in enumerate(numbers)]
    found = largest_differencing(pieces, num_parts)
    return [sorted((piece.weight for piece in part), reverse=True) for part in found]


@pytest.mark.parametrize(
    ("numbers", "num_parts", "sums"),
    [
        # Karmarkar-Karp by hand: 8-7=1; 6-5=1; 4-1=3; 3-1=2: sums 16 and 14.
        ([8, 7, 6, 5, 4], 2, [16, 14]),
        # The textbook set, whose best split is even: 8 7 | 6 5 4.
        ([4, 5, 6, 7, 8], 2, [16, 14]),
        # 5-5=0, 4-4=0, 3-3=0, and 3 is left: 12 and 15.
        ([5, 5, 4, 4, 3, 3, 3], 2, [15, 12]),
        # Differences of powers never cancel: 16 | 8 4 2 1.
        ([16, 8, 4, 2, 1], 2, [16, 15]),
    ],
)
def test_known_partitions(
    numbers: list[float], num_parts: int, sums: list[float]
) -> None:
    """The differences of the method, worked out by hand."""
    assert [sum(part) for part in parts(numbers, num_parts)] == sums


def test_few_or_no_numbers() -> None:
    """Fewer numbers than parts leave the other parts out."""
    assert parts([], 3) == []
    assert parts([2.0], 3) == [[2.0]]
    assert parts([1.0, 2.0], 3) == [[2.0], [1.0]]
    assert parts([1.0, 2.0, 3.0], 1) == [[3.0, 2.0, 1.0]]


@given(
    st.lists(st.integers(0, 1000), max_size=30),
    st.integers(1, 8),
)
def test_partitions_are_partitions(numbers: list[int], num_parts: int) -> None:
    """Every number is in one part, heaviest first, within the largest of each other."""
    found = parts([float(n) for n in numbers], num_parts)
    assert sorted(n for part in found for n in part) == sorted(numbers)
    sums = [sum(part) for part in found]
    assert sums == sorted(sums, reverse=True)
    assert len(found) <= num_parts
    if len(numbers) >= num_parts:
        assert sums[0] - sums[-1] <= max(numbers)


def test_whole_tables_are_partitioned_as_the_method_does() -> None:
    """With table_wise only, the plan is Karmarkar and Karp's: 16, where LPT has 17."""
    problem = partition_problem([8, 7, 6, 5, 4], 2)
    result = LargestDifferencing().solve(problem, Stop(), 0, Silent())
    assert result.assignment is not None
    assert problem.value(result.assignment) == 16


def test_beside_a_plan_no_other_is_found_after_the_stop() -> None:
    """Alone the method finds a plan however late it is."""
    problem, over = partition_problem([8, 7, 6, 5, 4], 2), Stop(time_limit_s=0.0)
    for has_plan in (False, True):
        solver = LargestDifferencing(has_plan=has_plan)
        found = solver.solve(problem, over, 0, Silent())
        assert (found.assignment is None) is has_plan


def test_memory_counts_when_time_does_not() -> None:
    """Tables of equal time and unequal size are spread so that they fit."""
    problem = partition_problem([1.0] * 4, 2)
    problem.options.item_bytes[:, 0] = [6.0, 5.0, 2.0, 1.0]
    problem.capacity.rank_hbm[:] = 7.001
    result = LargestDifferencing().solve(problem, Stop(), 0, Silent())
    assert result.assignment is not None
    assert problem.loads(result.assignment).fits(problem.capacity)


def test_mixed_clusters_are_placed_greedily() -> None:
    """Numbers that differ by rank are not partitioned, but placed one by one."""
    instance: Instance = mixed_cluster()
    problem = instance.problem()
    result = LargestDifferencing().solve(problem, Stop(), 0, Silent())
    assert result.assignment is not None
    assert np.isfinite(problem.value(result.assignment))
