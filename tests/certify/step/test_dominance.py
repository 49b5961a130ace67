"""Options that no other one of their bundle beats."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shardplan.certify.step.dominance import undominated


class TestUndominated:
    def test_the_cheapest_in_any_way_is_left_and_what_is_worse_in_all_is_not(self):
        values = np.array([[1.0, 3.0], [3.0, 1.0], [3.0, 3.0], [2.0, 2.0]])
        assert undominated(values, np.array([0, 4])).tolist() == [0, 1, 3]

    def test_of_equal_options_the_first_is_left(self):
        values = np.ones((3, 2))
        assert undominated(values, np.array([0, 3])).tolist() == [0]

    def test_bundles_of_several_sizes_are_compared_within_themselves(self):
        values = np.array([[5.0], [4.0], [1.0], [7.0], [7.0], [6.0]])
        start = np.array([0, 2, 3, 6])
        assert undominated(values, start).tolist() == [1, 2, 5]

    def test_every_option_left_out_is_beaten_by_one_that_is_left(self):
        rng = np.random.default_rng(0)
        values = rng.integers(0, 4, (200, 3)).astype(float)
        start = np.array([0, 30, 90, 200])
        left = undominated(values, start)
        assert left is not None
        for first, last in pairwise(start.tolist()):
            own = left[(left >= first) & (left < last)]
            beaten = (values[own][:, None] <= values[None, first:last]).all(axis=2)
            assert beaten.any(axis=0).all()

    def test_too_many_pairs_are_not_compared(self):
        assert undominated(np.zeros((5_000, 1)), np.array([0, 5_000])) is None
