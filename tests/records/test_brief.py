"""What objects say of themselves is short, true, and harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import shardplan
from shardplan.checking import examine
from shardplan.problems.problem import build_problem
from shardplan.records.brief import Brief
from tests.helpers import COST_MODEL, ONE_HOST, Instance, workload

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def result() -> shardplan.PlanResult:
    """A plan of a hundred tables."""
    tables = [{"num_embeddings": 1000 + 10 * i} for i in range(100)]
    return Instance(workload(*tables), ONE_HOST, COST_MODEL).solve(solver="greedy")


def objects(result: shardplan.PlanResult) -> Iterator[Any]:
    plan, inputs = result.plan, result.plan.inputs
    yield from (result, plan, plan.outcome, plan.certificate, result.verdict)
    yield from (inputs, inputs.workload, inputs.topology, inputs.cost_model)
    yield from (inputs.workload.tables[0], plan.tables[0], inputs.workload.access)
    yield from (shardplan.evaluate(plan), shardplan.simulate(plan))
    yield from (examine(plan), shardplan.load_cost_model("torchrec"))
    yield build_problem(inputs.workload, inputs.topology, inputs.cost_model)


def test_reprs_are_short(result: shardplan.PlanResult) -> None:
    """A line on a screen, where pydantic and arrays fill pages; str says the same."""
    for thing in objects(result):
        assert len(repr(thing)) <= 400, type(thing)
        assert type(thing).__name__ in repr(thing)
        assert "\n" not in repr(thing)
        assert str(thing) == repr(thing)


def test_what_they_say(result: shardplan.PlanResult) -> None:
    """Names, sizes, and what is proven."""
    assert "100 tables" in repr(result.plan.inputs.workload)
    assert "4 ranks" in repr(result.plan.inputs.topology)
    assert "proven" in repr(result)
    assert "with certificate" in repr(result.plan)
    bare = result.plan.replace(certificate=None)
    assert "without certificate" in repr(bare)
    assert "bound claimed" in repr(examine(bare))
    table = result.plan.inputs.workload.tables[0]
    assert f"num_embeddings={table.num_embeddings}" in repr(table)
    assert "tuple" not in repr(table)


def test_defaults_are_left_out(result: shardplan.PlanResult) -> None:
    """A record shows the fields that say something."""
    fabric = type(result.plan.inputs.topology.fabric)
    assert repr(fabric()) == "Fabric()"
    assert repr(fabric(oversubscription=2.0)) == "Fabric(oversubscription=2.0)"


def test_notebooks_show_a_table(result: shardplan.PlanResult) -> None:
    """Every brief object has one, with its facts."""
    for thing in objects(result):
        if isinstance(thing, Brief):
            html = thing._repr_html_()
            assert html.startswith("<table>")
            assert html.count("<tr>") == len(thing.facts())


class Odd(Brief):
    """Something whose name nobody checked."""

    def facts(self) -> dict[str, str]:
        return {"name": "<script>alert(1)</script>&\u202e\x9b31m"}


def test_names_are_escaped() -> None:
    """Neither HTML nor what a terminal obeys gets through from a name."""
    html = Odd()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html
    assert repr(Odd()).isprintable()


def test_dir_is_the_public_api() -> None:
    """What `dir` and the completion of a shell show is what is promised."""
    assert set(dir(shardplan)) == set(shardplan.__all__)
