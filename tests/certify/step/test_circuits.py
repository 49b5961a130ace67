"""Circuits of a case are circuits of every plan, and change ranks where these meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.step.menu import StepMenu
from shardplan.problems.weighted import step_pricer
from shardplan.records.certificate import Circuit
from tests.certify.step.tiny import tiny
from tests.steps.draws import draw_assignment, draw_problem

if TYPE_CHECKING:
    from shardplan.certify.step.circuits import RunGraph

Rng = np.random.Generator


def walk(graph: RunGraph, rng: Rng) -> Circuit:
    """Go back from wait to wait until an operation comes twice."""
    at = int(rng.integers(len(graph.program)))
    seen: dict[int, int] = {}
    while at not in seen:
        seen[at] = len(seen)
        waits = graph.graph.waits[at]
        at = waits[int(rng.integers(len(waits)))].operation
    names = [graph.program[i].name for i in list(seen)[seen[at] :]]
    return Circuit(operations=tuple(names[::-1]), share=1.0)


@pytest.mark.parametrize("seed", range(8))
def test_every_circuit_is_a_bound_of_every_plan(seed: int) -> None:
    """Each part of it on the slowest rank, and what ranks meet in on the slowest."""
    (_, problem), rng = draw_problem(seed, most_ranks=12), np.random.default_rng(seed)
    graph = StepMenu.of(problem).graph
    for _ in range(4):
        cost = problem.loads(draw_assignment(problem, rng)).cost
        if not np.isfinite(cost).all():
            continue
        found = step_pricer(problem).predict(cost)
        of = [found.names.index(operation.name) for operation in graph.program]
        for _ in range(20):
            circuit = walk(graph, rng)
            visits, steps = graph.visits(circuit)
            total = sum(found.seconds[of[i]] for i in visits if graph.meets[i])
            for part in graph.segments(circuit):
                ranks = found.rank_seconds[[of[i] for i in part]]
                total += ranks.sum(axis=0).max()
            assert total / steps <= found.step_s * (1.0 + 1e-12)


def test_counts_are_shares_per_step() -> None:
    """A circuit twice around, over as many more steps, counts the same."""
    graph = StepMenu.of(tiny(1).problem).graph
    circuit = walk(graph, np.random.default_rng(0))
    once = graph.counts([circuit])
    _, steps = graph.visits(circuit)
    assert once.max() == pytest.approx(1.0 / steps)
    twice = circuit.model_copy(update={"operations": 2 * circuit.operations})
    assert graph.counts([twice]) == pytest.approx(once)
    halves = [circuit.model_copy(update={"share": 0.5})] * 2
    assert graph.counts(halves) == pytest.approx(once)


def test_what_is_no_circuit() -> None:
    """Unknown operations, and those that do not wait for each other."""
    graph = StepMenu.of(tiny(1).problem).graph
    broken = {"no operation 'x'": ("x",), "does not wait": ("top_forward", "overhead")}
    for reason, names in broken.items():
        with pytest.raises(InvalidCertificateError, match=reason):
            graph.visits(Circuit(operations=names, share=1.0))
    with pytest.raises(InvalidCertificateError, match="does not come back"):
        graph.visits(Circuit.model_construct(operations=(), share=1.0))


def test_parts_are_cut_where_all_ranks_meet() -> None:
    """What lies between two meetings stays in one part, in order."""
    graph = StepMenu.of(tiny(2).problem).graph
    rng = np.random.default_rng(0)
    for _ in range(50):
        circuit = walk(graph, rng)
        visits, _ = graph.visits(circuit)
        parts = graph.segments(circuit)
        local = [i for i in visits if not graph.meets[i]]
        assert sorted(i for part in parts for i in part) == sorted(local)
        meetings = len(visits) - len(local)
        assert len(parts) <= max(meetings, 1)
