"""What a round of annealing does, and what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.weighted import StepView, step_pricer
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Stop
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.moves.recut import Recutter
from tests.benchmarks.families import Family, family_problem
from tests.solvers.search_helpers import start


@pytest.mark.parametrize(
    ("family", "objective", "recuts"),
    [
        (Family.SSD, Objective.TIME, False),
        (Family.SSD, Objective.STEP, True),
        (Family.DDR, Objective.TIME, True),
    ],
)
def test_tables_over_ssd_are_not_recut_under_time(
    family: Family,
    objective: Objective,
    recuts: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in rounds nor in the descent at the end; shards move on."""
    problem = family_problem(family, 1, 30, 8, objective)
    if objective is Objective.TIME:
        view = StepView(problem, np.arange(len(problem.options)))
        problem = view.problem(np.ones(len(step_pricer(problem).phases)))
    begun, rng, seen = start(problem), np.random.default_rng(0), []
    make, first = Recutter.make, Recutter.first_that_helps
    monkeypatch.setattr(
        Recutter, "make", lambda *args: seen.append("make") or make(*args)
    )
    monkeypatch.setattr(
        Recutter, "first_that_helps", lambda *args: seen.append("one") or first(*args)
    )
    excess = begun.limits.excess(begun.limits.best(0.0, 0.0))
    regret, state = begun.regrets.of_option, begun.state
    annealer = Annealer(state, regret, excess, rng, Stop(), lambda state: None)
    load = state.load.copy()
    annealer.cycle(3, 1e-2, 1e-4)
    assert bool(seen) is recuts
    assert not np.array_equal(load, state.load)
