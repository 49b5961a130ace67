"""The page of a plan: well formed, labelled, the same bytes, numbers as elsewhere."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.checking import examine
from shardplan.planning import planner
from shardplan.plans.evaluation import evaluate
from shardplan.report.pages.plan_data import plan_page_data
from shardplan.report.pages.plan_page import SECTIONS, memory_figures, plan_page
from shardplan.units import format_seconds
from tests.helpers import CLUSTERS, dlrm_like, tiered
from tests.report.pages.conftest import Page

if TYPE_CHECKING:
    from tests.helpers import Instance


@pytest.fixture(scope="module")
def text(data: dict[str, Any]) -> str:
    return plan_page(data)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_same_data_same_bytes(text: str, data: dict[str, Any]) -> None:
    """Also from what JSON gives back."""
    assert plan_page(json.loads(json.dumps(data))) == text


def test_it_loads_nothing(page: Page, text: str) -> None:
    """No address but pictures inside, and no style or handler in an attribute."""
    for name in ("src", "href"):
        assert all(v.startswith(("data:", "#")) for v in page.values(name))
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name == "style" or name.startswith("on")]
    assert "http" not in text.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_ids_are_unique_and_found(page: Page) -> None:
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    named = " ".join(
        value
        for name in ("aria-labelledby", "aria-describedby")
        for value in page.values(name)
    )
    links = [value[1:] for value in page.values("href") if value.startswith("#")]
    assert {*named.split(), *links} <= set(ids)
    assert set(SECTIONS) <= set(ids)


def test_headings_are_in_order(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_pictures_have_words(page: Page) -> None:
    for tag, attributes in page.elements:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg" and attributes.get("class") == "plot":
            assert attributes["role"] == "img"


def test_numbers_are_those_of_the_reports(page: Page, data: dict[str, Any]) -> None:
    assert format_seconds(data["objective_s"]) in page.text
    assert format_seconds(data["step_time_s"]) in page.text
    assert "It fits." in page.text
    for table in data["tables"]:
        assert table["table"] in page.text


def solved(instance: Instance) -> dict[str, Any]:
    plan = instance.solve(solver="greedy").plan
    return plan_page_data(evaluate(plan), examine(plan))


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_kind_of_cluster(name: str) -> None:
    """Also one rank, CPUs, and hosts that differ."""
    page = Page(plan_page(solved(dlrm_like()._replace(topology=CLUSTERS[name]))))
    assert "It fits." in page.text


def test_tiers_in_use_have_figures() -> None:
    """Tables that overflow HBM: DDR of hosts has its own figure."""
    found = solved(tiered())
    figures = {figure.key: figure.place for figure in memory_figures(found)}
    assert figures == {"memory-hbm": "rank", "memory-ddr": "host"}
    assert "DDR of every host" in Page(plan_page(found)).text


def test_a_plan_of_torchrecs_model() -> None:
    plan = planner.solve(
        "criteo-kaggle", "dgx-h100", "torchrec", target="torchrec", solver="greedy"
    ).plan
    data = plan_page_data(evaluate(plan), examine(plan))
    assert data["step_fault"] in Page(plan_page(data)).text
