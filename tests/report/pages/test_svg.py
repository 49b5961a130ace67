"""Elements are escaped; ticks are round."""

import pytest
from markupsafe import Markup

from shardplan.report.pages.svg import element, figure, grid, percent, tick_word, ticks


def test_everything_is_escaped() -> None:
    """Names of others end neither an attribute nor an element, and hide nothing."""
    evil = "\"'><script>\u202e"
    made = element("text", evil, Markup("<b>"), data_x=evil, class_=None)
    shown = "&#34;&#39;&gt;&lt;script&gt;\\u202e"
    assert made == f'<text data-x="{shown}">{shown}<b></text>'


@pytest.mark.parametrize(
    ("high", "found"),
    [
        (0.0, [0]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (7.3, [0, 2, 4, 6]),
        (16.0, [0, 5, 10, 15]),
        (3e-9, [0, 1e-9, 2e-9, 3e-9]),
    ],
)
def test_ticks(high: float, found: list[float]) -> None:
    assert ticks(high) == pytest.approx(found)


@pytest.mark.parametrize(
    ("word", "short"),
    [
        ("600.000 ms", "600 ms"),
        ("1.500 s", "1.5 s"),
        ("80.0 GB", "80 GB"),
        ("0.0 us", "0"),
        ("0 B", "0"),
        ("0.5 %", "0.5 %"),
        ("100 B", "100 B"),
    ],
)
def test_words_of_ticks_are_short(word: str, short: str) -> None:
    assert tick_word(word) == short


def test_percent_is_short() -> None:
    assert [percent(x) for x in (0, 0.5, 1 / 3, 1)] == ["0%", "50%", "33.333%", "100%"]


def test_figures_have_words() -> None:
    """A figure names its title and description to screen readers."""
    made = figure("k", "Title", "What is seen", grid(2.0, [(1.0, "1 s")]), height=9)
    assert 'role="img" aria-labelledby="k-title k-desc"' in made
    assert '<title id="k-title">Title</title><desc id="k-desc">What is seen' in made
    assert 'y1="50%"' in made
