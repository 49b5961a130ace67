"""Where padding a table would pay, it is said, with what a plan for it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.planning.notices import notices
from shardplan.planning.padding import padding_that_pays
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.report.what_if import what_if_data
from tests.helpers import COST_MODEL, TWO_HOSTS, workload

if TYPE_CHECKING:
    from shardplan.planning.result import PlanResult

WIDE: dict[str, Any] = {"num_embeddings": 3_000_000, "embedding_dim": 64}
NARROW: dict[str, Any] = {"num_embeddings": 3_000_000, "embedding_dim": 10}


def planned(*tables: dict[str, Any], target: str = "torchrec") -> PlanResult:
    return solve(
        workload(*tables),
        TWO_HOSTS,
        COST_MODEL,
        target=target,
        solver="greedy",
        objective="step",
    )


def test_padding_is_planned_not_guessed() -> None:
    """The figure is that of a plan for the padded table."""
    found = planned(NARROW, WIDE)
    wider = planned({**NARROW, "embedding_dim": 12}, WIDE)
    (padded,) = padding_that_pays(evaluate(found.plan))
    assert padded.change == "t0 padded to 12 columns"
    assert padded.objective_s == pytest.approx(wider.objective_s)
    assert padded.objective_s < found.objective_s / 10
    (notice,) = [text for text in notices(found) if "padded" in text]
    assert notice.startswith(
        "TorchRec only copies tables whose width is no multiple of 4"
    )
    evaluation = evaluate(found.plan)
    changes = what_if_data(evaluation, evaluation.loads.cost.sum(axis=(0, 1)).repeat(2))
    assert "t0 padded to 12 columns, planned anew" in [c["change"] for c in changes]


def test_several_tables_are_padded_together() -> None:
    """Each of the three largest alone, and all of them."""
    small = {"embedding_dim": 2, "num_embeddings": 500_000}
    tables = [{**NARROW, "num_embeddings": 1_000_000 * n} for n in (4, 3, 2)]
    found = padding_that_pays(evaluate(planned(*tables, small, WIDE).plan))
    assert found[0].change == "all 4 tables of such widths padded"
    assert {p.change.split()[0] for p in found[1:]} == {"t0", "t1", "t2"}


@pytest.mark.parametrize(
    ("table", "target"),
    [
        (NARROW, "any"),  # may be sharded as it is
        ({**NARROW, "embedding_dim": 12}, "torchrec"),
        ({**NARROW, "num_embeddings": 10}, "torchrec"),  # a copy is best anyway
        ({**NARROW, "constraints": {"sharding_types": ["data_parallel"]}}, "torchrec"),
        (
            {**NARROW, "constraints": {"forbidden_sharding_types": ["table_wise"]}}
            | {"num_embeddings": 10},
            "torchrec",
        ),
    ],
)
def test_nothing_is_said_where_width_forbids_nothing(
    table: dict[str, Any], target: str
) -> None:
    """Other targets, other widths, small tables, and tables that are to be copied."""
    result = planned(table, WIDE, target=target)
    assert padding_that_pays(evaluate(result.plan)) == ()
    assert not any("padded" in text for text in notices(result))
