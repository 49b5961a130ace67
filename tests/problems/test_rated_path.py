"""TorchRec's rating as one more phase beside those of its critical path."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io.catalog import load_cost_model
from shardplan.problems.problem import build_problem
from shardplan.problems.rated_path import with_rating_phase
from shardplan.records.sharding import Objective, Target
from tests.helpers import CLUSTERS, random_assignment, workload


@pytest.mark.parametrize("seed", range(3))
def test_its_step_is_the_path_and_some_times_the_rating(seed: int) -> None:
    """Of any plan; every phase has a name, and none is always empty."""
    problem = build_problem(
        workload(*({"pooling_factor": float(i)} for i in range(1, 7))),
        CLUSTERS["two_hosts"],
        load_cost_model("torchrec"),
        target=Target.TORCHREC,
        objective=Objective.STEP,
    )
    both = with_rating_phase(problem, 3.0)
    plan = random_assignment(problem, np.random.default_rng(seed))
    loads = problem.loads(plan)
    path = loads.value(Objective.STEP)
    rating = loads.value(Objective.MAX_RANK)
    assert both.value(plan) == pytest.approx(path + 3.0 * rating, rel=1e-12)
    assert len(both.pricer.phases) == both.num_phases
    assert both.options.item_cost.any(axis=(0, 1)).all()
    assert both.pricer.phases[-1] == "rating"
