"""Whatever a rank holds within a limit is counted as one rank at most."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from shardplan.certify.step.counts import count_rows, counted
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.search import step_bound
from shardplan.certify.step.verify import bound_of, verify_step
from shardplan.records.certificate import StepCase
from shardplan.records.sharding import Objective
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


def test_a_price_of_pieces_is_taken_off() -> None:
    """It adds what the pieces take, and no more."""
    problem, best_s = three_on_two()
    menu = StepMenu.of(problem)
    counts = (("embedding_forward", 1, 0.25 * best_s),)
    alone = StepCase(counts=counts)
    assert bound_of(menu, alone, best_s) == 0.0
