"""Exporters of plug-ins: what they may do wrong, and who gets the blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError, PluginError
from shardplan.exporters import export, exporter_names, load_exporter
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shardplan import Plan

    PlugIn = Callable[..., Path]

WHO = "exporter plug-in 'cuts' (their-package 1.2, theirs:export): "


@pytest.fixture(scope="module")
def plan() -> Plan:
    from shardplan import solve

    return solve(workload({}), ONE_HOST, COST_MODEL, solver="greedy").plan


def test_an_exporter_of_another_package(plug_in: PlugIn, plan: Plan) -> None:
    """It is found by its name and gets the plan."""
    source = "def export(plan): return {'tables': [t.name for t in plan.tables]}"
    plug_in("exporters", "cuts = theirs:export", source)
    assert exporter_names()[-1] == "cuts"
    assert export(plan, "cuts") == {"tables": ["t0"]}


def test_what_an_exporter_needs() -> None:
    """The package has it in one place."""
    from shardplan.exporters import Plan, rectangles, require_runnable

    assert all(map(callable, (Plan, rectangles, require_runnable)))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("return None", "it returned None, must return a dict"),
        ("return 'text'", "it returned a str, must return a dict"),
        (
            "return {'seconds': float('nan')}",
            "it returned what JSON cannot hold: Out of range float values are not JSON",
        ),
        (
            "return {'ranks': {1, 2}}",
            "it returned what JSON cannot hold: Object of type set is not JSON",
        ),
        ("return plan.tabels", "exporting raised AttributeError: "),
        ("raise SystemExit", "exporting raised SystemExit (theirs.py:2)"),
    ],
)
def test_what_exporters_do_wrong(
    plug_in: PlugIn, plan: Plan, source: str, fault: str
) -> None:
    """The error names the plug-in and what it did."""
    source = f"def export(plan):\n    {source}"
    plug_in("exporters", "cuts = theirs:export", source)
    with pytest.raises(PluginError) as caught:
        export(plan, "cuts")
    assert str(caught.value).startswith(WHO + fault)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def export(): pass", "theirs:export takes (), must be called with (plan)"),
        ("export = {}", "theirs:export is a dict, must be called with (plan)"),
    ],
)
def test_what_is_no_exporter(plug_in: PlugIn, source: str, fault: str) -> None:
    """It is refused before there is a plan."""
    plug_in("exporters", "cuts = theirs:export", source)
    with pytest.raises(PluginError) as caught:
        load_exporter("cuts")
    assert str(caught.value).startswith(WHO + fault)


def test_a_refusal_is_shown_as_it_is(plug_in: PlugIn, plan: Plan) -> None:
    """An exporter refuses plans that its program cannot run by `InputError`."""
    source = """\
        from shardplan import InputError

        def export(plan):
            raise InputError.single("plan", "t0", None, "must be table_wise")
    """
    plug_in("exporters", "cuts = theirs:export", source)
    with pytest.raises(InputError, match=r"^- plan: t0: must be table_wise$"):
        export(plan, "cuts")
