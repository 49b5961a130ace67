"""Columns are where their values say, however many there are."""

import re

import numpy as np
import pytest

from shardplan.report.pages.columns import MOST_COLUMNS, Columns
from shardplan.units import format_seconds


def columns(*layers: list[float], **changes: object) -> Columns:
    named = {f"l{i}": np.array(values) for i, values in enumerate(layers)}
    given = {"form": format_seconds, "unit": "s", "place": "rank", **changes}
    return Columns("k", "Title", "Words", layers=named, **given)  # type: ignore[arg-type]


def corners(path: str) -> list[tuple[int, int]]:
    """Follow a path of relative steps."""
    x, y = map(int, re.match(r"M(\d+) (\d+)", path).groups())  # type: ignore[union-attr]
    found = [(x, y)]
    for name, value in re.findall(r"([hvV])(-?\d+)", path):
        x += int(value) * (name == "h")
        y = int(value) if name == "V" else y + int(value) * (name == "v")
        found.append((x, y))
    return found


def test_layers_lie_on_each_other() -> None:
    """The second layer begins where the first ends; 100 at the top is 4 % below it."""
    made = columns([50.0, 50.0, 0.0], [50.0, 0.0, 25.0])
    first, second = re.findall(r'<path d="([^"]+)"', made.svg())
    top, middle = 1000 - round(1000 / 1.04), 1000 - round(500 / 1.04)
    assert corners(first) == [
        *((0, middle), (2, middle), (2, 1000), (3, 1000)),
        *((3, 1000), (0, 1000)),
    ]
    assert corners(second)[:3] == [(0, top), (1, top), (1, middle)]
    assert corners(second)[-1] == (0, middle)


def test_data_is_what_is_drawn() -> None:
    made = columns([1.23456, 2.0], limit=np.array([4.0, 4.0]), limit_name="usable")
    assert made.data() == {
        "place": "rank",
        "unit": "s",
        "shown": None,
        "count": 2,
        "layers": [["l0", [1.235, 2]]],
        "limit": [4, 4],
        "limit_name": "usable",
    }
    assert made.heaviest(1) == [("1", "2.000 s", "2.000 s")]
    assert 'class="limit"' in made.svg()


def test_of_too_many_the_highest_are_shown() -> None:
    """Three times as many places: the peak and the last one keep their columns."""
    values = np.ones(3 * MOST_COLUMNS)
    values[1000] = 9.0
    made = columns(values.tolist(), mark=1000, mark_name="peak")
    assert len(made.shown) == MOST_COLUMNS
    assert 1000 in made.shown
    assert made.data()["shown"] == made.shown.tolist()
    assert made.data()["layers"][0][1].count(9) == 1
    assert made.svg().count("<path") == 1
    assert "▼ peak" in made.svg()


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0]])
def test_nothing_to_show_is_drawn(values: list[float]) -> None:
    assert "<path" in columns(values).svg()
