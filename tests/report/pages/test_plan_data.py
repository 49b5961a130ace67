"""The data of a page is that of the other reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.checking import examine
from shardplan.planning import planner
from shardplan.plans.evaluation import evaluate
from shardplan.plans.frames import shard_frame
from shardplan.records.placement import parse_ranks
from shardplan.report.explain import explain_data
from shardplan.report.pages.plan_data import plan_page_data
from shardplan.report.plan_view import tables_data

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation


def test_it_is_json(data: dict[str, Any]) -> None:
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_explain_is_in_it(evaluation: Evaluation, data: dict[str, Any]) -> None:
    """Numbers are those of `explain` and `show`."""
    explained = explain_data(evaluation, examine(evaluation.plan))
    costs = {t["table"]: t["cost_s"] for t in explained.pop("tables")}
    assert {key: data[key] for key in explained} == explained
    assert {t["table"]: t["cost_s"] for t in data["tables"]} == costs
    sizes = {t["table"]: t["num_bytes"] for t in tables_data(evaluation)}
    assert {t["table"]: t["num_bytes"] for t in data["tables"]} == sizes


def test_items_add_up(evaluation: Evaluation, data: dict[str, Any]) -> None:
    """Items of a place are what it holds, and phases what it takes."""
    (pools,) = data["ranks"]["memory"].values()
    items = np.sum(list(pools["items_bytes"].values()), axis=0)
    assert items == pytest.approx(evaluation.loads.hbm, rel=1e-12)
    assert pools["used_bytes"] == evaluation.loads.hbm.tolist()
    phases = np.sum(list(data["ranks"]["phases_s"].values()), axis=0)
    assert phases == pytest.approx(data["ranks"]["total_s"], rel=1e-12)


def test_tables_take_what_ranks_do(
    evaluation: Evaluation, data: dict[str, Any]
) -> None:
    """Tables on all ranks together add up to the ranks."""
    seconds = [table["all_ranks_s"] for table in data["tables"]]
    assert seconds == sorted(seconds, reverse=True)
    assert sum(seconds) == pytest.approx(evaluation.loads.cost.sum(), rel=1e-12)


def test_places_are_those_of_the_frame(
    evaluation: Evaluation, data: dict[str, Any]
) -> None:
    """Ranks of every table, and shares that are 1 in all, or for each copy."""
    frame = shard_frame(evaluation.plan)
    for table in data["tables"]:
        ranks = {
            r: p["share"] for p in table["places"] for r in parse_ranks(p["ranks"])
        }
        assert set(ranks) == set(frame.loc[frame.table == table["table"], "rank"])
        copies = len(ranks) if table["sharding_type"] == "data_parallel" else 1
        assert sum(ranks.values()) == pytest.approx(copies, rel=1e-6)


def test_no_step_without_rates() -> None:
    """TorchRec's cost model has no rates: the page says why there is no step."""
    plan = planner.solve(
        "criteo-kaggle", "dgx-h100", "torchrec", target="torchrec", solver="greedy"
    ).plan
    found = plan_page_data(evaluate(plan), examine(plan))
    assert found["step"] is None
    assert found["step_fault"]
