"""Queues: what greedy places next, where any rank will do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Target
from shardplan.solvers.placement import placing_order
from shardplan.solvers.queue import Queue
from tests.solvers.helpers import CW2, TWCW, Hosts, plain_problem, random_choice


@pytest.mark.parametrize("seed", range(6))
def test_shards_are_in_the_order_of_placing(seed: int) -> None:
    """All copies of all items are there, the widest scope first, and none twice."""
    problem, choice = plain_problem(seed), random_choice(plain_problem(seed), seed)
    totals = OptionTotals.of(problem)
    queue = Queue.of(problem, totals, choice, np.ones(problem.num_phases))
    assert queue is not None
    menu, order = problem.options, placing_order(problem, totals, choice)
    everywhere = menu.scope[choice[order]] == Scope.ALL
    assert queue.everywhere.tolist() == choice[order[everywhere]].tolist()
    assert queue.order.tolist() == order[~everywhere].tolist()
    copies = [menu.copies_of(option) for option in choice[queue.order]]
    together = np.repeat(queue.item, queue.count).tolist()
    assert together == np.concatenate(copies).tolist()
    assert (np.diff(queue.scope) <= 0).all()
    load = menu.item_cost[menu.items_in(queue.everywhere), 0].sum(axis=0)
    assert queue.first_load[:-1] == pytest.approx(load)


def test_others_need_a_second_thought() -> None:
    """Unequal ranks, pins, slower tiers and copies that mind each other are left."""
    problem = plain_problem(0)
    choice = random_choice(problem, 0)

    def is_plain(problem: object, choice: np.ndarray = choice) -> bool:
        scale = np.ones(problem.num_phases)
        return Queue.of(problem, OptionTotals.of(problem), choice, scale) is not None

    assert is_plain(problem)
    some = np.arange(problem.world_size) > 0
    assert not is_plain(replace(problem, allowed={0: some}))
    hbm = problem.capacity.rank_hbm * (1.0 + some)
    assert not is_plain(
        replace(problem, capacity=replace(problem.capacity, rank_hbm=hbm))
    )
    size = problem.options.item_bytes + np.array([0.0, 1.0, 0.0])
    options = replace(problem.options, item_bytes=size)
    assert not is_plain(replace(problem, options=options))
    mixed = plain_problem(0, [Hosts(1, 4, 4), Hosts(1, 2, 2)])
    assert not is_plain(mixed, random_choice(mixed, 0))
    cut = plain_problem(0, shapes=[CW2])
    assert is_plain(cut, cut.options.start[:-1])
    assert not is_plain(replace(cut, target=Target.TORCHREC), cut.options.start[:-1])
    one_host = plain_problem(0, shapes=[TWCW])
    assert not is_plain(one_host, one_host.options.start[:-1])
