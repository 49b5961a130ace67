"""Any circuits, shares, lines and prices bound all plans of their case."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.params import PROOF_DEFAULTS
from shardplan.certify.step.counts import Count
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.mixture import Mixture
from shardplan.certify.step.verify import bound_of
from shardplan.problems.weighted import step_pricer
from shardplan.records.certificate import StepCase
from tests.certify.step.test_circuits import walk
from tests.certify.step.test_menu import case_of, drawn_loads
from tests.certify.step.tiny import tiny
from tests.steps.draws import draw_problem, pick, pressed

Rng = np.random.Generator


def drawn_count(menu: StepMenu, limit_s: float, rng: Rng) -> tuple[str, int, float]:
    """Draw an operation, pieces and their price."""
    return (
        str(rng.choice([pressure.operation for pressure in menu.pressures])),
        int(rng.integers(1, 6)),
        limit_s * float(pick(rng, 0.0, 0.01, 0.3, 10.0)),
    )


def beside(menu: StepMenu, rng: Rng) -> tuple[str, float]:
    """Draw another operation, and a pressure that some item may have on it."""
    k = int(rng.integers(len(menu.pressures)))
    alone = float(pick(rng, *menu.item_alone[:, k].tolist()))
    return menu.pressures[k].operation, alone * float(pick(rng, 0.5, 1.0)) + 1e-12


def drawn_case(menu: StepMenu, limit_s: float, rng: Rng) -> StepCase:
    """Draw circuits, shares and slopes, and prove what follows from them."""
    circuits = [walk(menu.graph, rng) for _ in range(int(rng.integers(1, 4)))]
    shares = rng.dirichlet(np.ones(len(circuits))) * (1.0 - 1e-12)
    circuits = [
        circuit.model_copy(update={"share": float(share)})
        for circuit, share in zip(circuits, shares, strict=True)
    ]
    slopes = {}
    for pressure, stairs in zip(menu.pressures, menu.staircases(limit_s), strict=True):
        if stairs is not None:
            good = stairs.slopes(8, runs=True)
            slopes[pressure.operation] = float(pick(rng, *good, *good, 0.0, 1e3))
        elif rng.random() < 0.5:
            slopes[pressure.operation] = float(pick(rng, 0.0, 0.3, 0.9, 1.5, 30.0))
    counts = tuple(drawn_count(menu, limit_s, rng) for _ in range(int(rng.integers(3))))
    filling = tuple(
        (*drawn_count(menu, limit_s, rng), *beside(menu, rng)) for _ in counts
    )
    every = [Count(*one) for one in (*counts, *filling)]
    mixture = Mixture(menu, circuits, slopes, limit_s, every)
    rest_s, proof = limit_s - mixture.constant_s, None
    if rest_s > 0:
        bound = lower_bound(
            mixture.problem, rest_s, None, PROOF_DEFAULTS, mixture.relaxed
        )
        proof = bound.certificate
    return StepCase(
        circuits=tuple(circuits),
        slopes=tuple(slopes.items()),
        counts=counts,
        filling=filling,
        threshold_s=proof.threshold_s if proof else None,
        cases=proof.cases if proof else (),
    )


@pytest.mark.parametrize("seed", [*range(10), 229])
def test_no_plan_of_a_case_is_faster(seed: int) -> None:
    """Whatever is split, mixed and priced."""
    (_, problem), rng = draw_problem(seed, 4, most_ranks=8), np.random.default_rng(seed)
    pricer = step_pricer(problem)
    for cost in drawn_loads(problem, rng, 4):
        value, found = pricer.predict(cost).step_s, pressed(pricer, cost)
        menu = case_of(StepMenu.of(problem), rng, found, int(rng.integers(4)))
        assert menu is not None
        limit_s = value * float(pick(rng, 1.0001, 1.2, 3.0))
        case = drawn_case(menu, limit_s, rng)
        assert bound_of(menu, case, limit_s) <= value * (1.0 + 1e-12)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 400))
def test_no_plan_of_many_cases_is_faster(seed: int) -> None:
    """The same, on many more systems."""
    test_no_plan_of_a_case_is_faster(seed)


def test_limits_sharpen_each_other() -> None:
    """What others take at least is missing to the limit of each."""
    problem, best_s = tiny(1)
    menu, rng = StepMenu.of(problem), np.random.default_rng(0)
    alone = menu.staircases(best_s)
    for _ in range(10):
        mixture = Mixture(menu, [walk(menu.graph, rng)], {}, best_s)
        for before, after in zip(alone, mixture.staircases, strict=True):
            assert before is None or after is None or after.high <= before.high
    slopes = {"output_all_to_all": 0.0}
    mixture = Mixture(menu, [], slopes, best_s)
    assert mixture.constant_s <= 0.0
    assert mixture.line_s(0, 1.0) == mixture.line_s(0, 2.0)
