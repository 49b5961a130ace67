"""How a co-design went on, on its page."""

from __future__ import annotations

from typing import Any

from shardplan.report.pages.study.growth import design_growth

HISTORY = [
    {"points": 4, "eligible": 0, "best": None},
    {"points": 8, "eligible": 3, "best": 2.5},
    {"points": 12, "eligible": 6, "best": 40.0},
]


def grown(history: list[dict[str, Any]]) -> dict[str, Any]:
    found = design_growth(
        {"measure": "hypervolume", "reference": [10.0, 0.5], "history": history}
    )
    assert found is not None
    return found


def test_the_table_has_every_batch() -> None:
    found = grown(HISTORY)
    assert [line["best"] for line in found["lines"]] == ["none yet", "2.5", "40"]
    assert found["corner"] == "10, 0.5"


def test_the_figure_begins_with_the_first_design_that_counts() -> None:
    """In steps from left to right, and up; words say the same."""
    found = str(grown(HISTORY)["figure"])
    assert 'd="M667 ' in found
    first, rest = found.partition('d="M667 ')[2].split('"')[0].split("H")
    across, down = rest.split("V")
    assert across == "1000"
    assert int(down) < int(first)
    assert "From 2.5 after 8 designs to 40 after 12." in found


def test_one_value_needs_no_figure() -> None:
    assert grown(HISTORY[:2])["figure"] is None


def test_other_studies_have_none() -> None:
    assert design_growth(None) is None
