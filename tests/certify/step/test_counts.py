"""Whatever a rank holds within a limit is counted as one rank at most."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from shardplan.certify.step.bound import step_bound
from shardplan.certify.step.counts import count_rows, counted, filling, filling_rows
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.verify import bound_of, verify_step
from shardplan.planning.planner import load_inputs
from shardplan.problems.problem import build_problem
from shardplan.records.certificate import StepCase
from shardplan.records.sharding import Objective, Target
from tests.certify.step.tiny import Tiny
from tests.helpers import COST_MODEL, Instance, topology, workload
from tests.solvers.helpers import brute_force

A = 3e-4
"""What a rank may be pressed with in the examples [s]."""


def menu_of(pressed_s: list[float]) -> StepMenu:
    """A menu of which only what items press on one operation is known."""
    return cast("StepMenu", SimpleNamespace(item_alone=np.array(pressed_s)[:, None]))


@pytest.mark.parametrize(
    ("pieces", "shares", "takes"),
    [
        (1, [0.4, 0.5, 0.501, 1.0], [0.0, 0.0, 1.0, 1.0]),
        (2, [0.3, 1 / 3, 0.34, 0.67, 1.0], [0.0, 0.0, 0.5, 1.0, 1.0]),
        (3, [0.25, 0.26, 0.5, 0.51], [0.0, 1 / 3, 1 / 3, 2 / 3]),
    ],
)
def test_pieces_of_more_than_a_part_count(
    pieces: int, shares: list[float], takes: list[float]
) -> None:
    """At n pieces, how many (n + 1)-th parts of the limit are below an item."""
    found = counted(menu_of([A * share for share in shares]), 0, pieces, A)
    assert found.tolist() == pytest.approx(takes)


@pytest.mark.parametrize("seed", range(20))
def test_what_fits_together_counts_as_one_rank_at_most(seed: int) -> None:
    """Also where items are exact parts of the limit, or fill it up exactly."""
    rng = np.random.default_rng(seed)
    for pieces in range(1, 8):
        parts = rng.dirichlet(np.ones(int(rng.integers(1, 9))))
        equal = np.full(pieces + 1, 1.0 / (pieces + 1))
        for shares in (parts, equal, equal[:-1], np.array([1.0])):
            items = (shares * A).tolist()
            found = counted(menu_of(items), 0, pieces, max(A, sum(items)))
            assert found.sum() <= 1.0 + 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_what_fits_twice_counts_as_one_rank_at_most(seed: int) -> None:
    """Pieces of a rank, within the limits of two operations at once."""
    rng = np.random.default_rng(seed)
    for pieces in range(1, 5):
        one, two = (rng.dirichlet(np.ones(int(rng.integers(1, 6)))) for _ in range(2))
        own = np.zeros((max(len(one), len(two)), 2))
        own[: len(one), 0], own[: len(two), 1] = one, two
        own = rng.choice([own, np.round(own * 4) / 4]) * A
        most = np.maximum(own.sum(axis=0), A)
        menu = cast("StepMenu", SimpleNamespace(item_alone=own))
        for least_s in (*own[own[:, 1] > 0, 1].tolist(), 0.5 * A, 0.3 * A):
            each = counted(menu, 0, pieces, float(most[0]))
            found = filling(menu, each, 1, least_s, float(most[1]))
            assert found.sum() <= 1.0 + 1e-12


def test_a_piece_fills_its_rank() -> None:
    """It leaves no half; halves count by the other operation, less than one not."""
    own = A * np.array([[0.1, 0.8], [0.6, 0.5], [0.3, 0.5], [0.9, 0.2]])
    menu = cast("StepMenu", SimpleNamespace(item_alone=own))
    found = filling(menu, counted(menu, 0, 1, A), 1, 0.5 * A, A)
    assert found.tolist() == [1.0, 1.0, 0.0, 0.0]


@cache
def three_on_two() -> Tiny:
    """Three equal tables, whole, on two ranks: one of them has two."""
    table = {"num_embeddings": 100_000, "embedding_dim": 64, "pooling_factor": 30.0}
    model = workload(
        *([table] * 3),
        global_batch_size=4096,
        constraints={"sharding_types": ["table_wise"], "compute_kernels": ["fused"]},
    )
    instance = Instance(model, topology(num_hosts=2, local_world_size=1), COST_MODEL)
    problem = instance.problem(objective=Objective.TIME)
    return Tiny(problem, brute_force(problem)[0])


def test_two_of_three_tables_meet_on_a_rank() -> None:
    """Means see three halves of a table; counts see two, and prove the best plan."""
    problem, best_s = three_on_two()
    certificate, bound_s = step_bound(problem, best_s)
    assert 0.995 * best_s <= bound_s <= best_s
    assert any(case.counts for case in certificate.steps)
    free = certificate.model_copy(
        update={
            "steps": tuple(
                case.model_copy(
                    update={"counts": tuple((*of[:2], 0.0) for of in case.counts)}
                )
                for case in certificate.steps
            )
        }
    )
    assert verify_step(problem, free) < 0.99 * best_s


def test_counts_that_may_be_too_many() -> None:
    """One whole table per rank fits, so that three are too many for two ranks."""
    problem, _ = three_on_two()
    menu = StepMenu.of(problem)
    k = menu.index("embedding_forward")
    assert k is not None
    longest = float(menu.item_alone[:, k].max())
    rows = dict(count_rows(menu, k, 1.9 * longest))
    assert rows[1].tolist() == [0.5] * 3
    assert not dict(count_rows(menu, k, 6.1 * longest))
    assert not dict(count_rows(menu, k, np.inf))


def test_whole_tables_fill_ranks_whose_lookups_are_short() -> None:
    """One per rank fits in gradients: beside it no half table does."""
    inputs = load_inputs("dlrm-dcnv2", "dgx-h100:2", None)
    problem = build_problem(
        **dict(inputs), target=Target.HUGECTR, objective=Objective.TIME
    )
    menu = StepMenu.of(problem)
    gradients = menu.index("gradient_all_to_all")
    lookups = menu.index("embedding_backward")
    assert gradients is not None
    assert lookups is not None
    whole = menu.alone[:, gradients].max()
    most = np.full(len(menu.pressures), np.inf)
    most[gradients], most[lookups] = 1.1 * whole, 4.0 * whole
    assert not list(filling_rows(menu, most, [1]))
    found = list(filling_rows(menu, most, [lookups]))
    count, each = found[0]
    assert (count.operation, count.beside) == (
        "embedding_backward",
        "gradient_all_to_all",
    )
    assert count.least_s == pytest.approx(whole / 2)
    is_whole = menu.alone[:, gradients] == whole
    pieces = problem.options.item_count[problem.options.item_start[:-1]]
    assert each[is_whole].tolist() == pytest.approx(
        (pieces[is_whole] / problem.world_size).tolist()
    )


def test_a_price_of_pieces_is_taken_off() -> None:
    """It adds what the pieces take, and no more."""
    problem, best_s = three_on_two()
    menu = StepMenu.of(problem)
    counts = (("embedding_forward", 1, 0.25 * best_s),)
    alone = StepCase(counts=counts)
    assert bound_of(menu, alone, best_s) == 0.0
