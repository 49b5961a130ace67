"""Single figures: both kinds, the same bytes again, any name."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.plans.evaluation import evaluate
from shardplan.report.plot import (
    memory_plot,
    phases_plot,
    require_matplotlib,
    timeline_plot,
)
from shardplan.report.ranks import ranks_data
from shardplan.report.timeline import timeline_data
from shardplan.simulation import simulate
from tests.helpers import tiered

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS = {"svg": b"<?xml", "png": b"\x89PNG"}
NAME = "$\\frac{1}{2}$ <b> \u202e 🙂 表"


@pytest.fixture(scope="module")
def plots() -> dict[str, Callable[[str, str], bytes]]:
    """Three figures of a plan with tables in DDR."""
    plan = tiered().solve(solver="greedy").plan
    ranks = ranks_data(evaluate(plan))
    return {
        "memory": partial(memory_plot, ranks["memory"]),
        "phases": partial(phases_plot, ranks["phases_s"]),
        "timeline": partial(timeline_plot, timeline_data(simulate(plan))),
    }


@pytest.mark.parametrize("name", ["memory", "phases", "timeline"])
@pytest.mark.parametrize("form", ["svg", "png"])
def test_same_bytes_again(
    plots: dict[str, Callable[[str, str], bytes]], name: str, form: str
) -> None:
    """No date, no chance; a name with letters that no font has warns of nothing."""
    made = plots[name](NAME, form)
    assert made.startswith(STARTS[form])
    assert plots[name](NAME, form) == made


def test_words_are_text(plots: dict[str, Callable[[str, str], bytes]]) -> None:
    """Names are neither formulas nor markup, and what they hide is shown."""
    text = plots["memory"](NAME, "svg").decode()
    assert "$\\frac{1}{2}$ &lt;b&gt; \\u202e 🙂 表" in text
    assert ">HBM of every rank<" in text
    assert ">DDR of every host<" in text
    assert ">usable<" in text
    assert "▼ slowest: rank" in plots["phases"]("n", "svg").decode()
    assert ">dense layers<" in plots["timeline"]("n", "svg").decode()


def test_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'shardplan\[report\]'"):
        require_matplotlib()
