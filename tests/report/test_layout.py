"""Bars, changes, counts, and text that is never markup."""

from __future__ import annotations

import pytest

from shardplan.report import layout
from shardplan.units import plural


@pytest.mark.parametrize(
    ("value", "full", "drawn"),
    [
        (0.0, 1.0, ".........."),
        (0.5, 1.0, "#####....."),
        (1.0, 1.0, "##########"),
        (1.5, 1.0, "#########>"),
        (0.0, 0.0, ".........."),
        (1.0, 0.0, "#########>"),
    ],
)
def test_bar(value: float, full: float, drawn: str) -> None:
    """A bar shows the share, and an arrow what is too much."""
    assert layout.bar(value, full, 10) == drawn


def test_change() -> None:
    """Changes are relative to what was before, if there was anything."""
    assert layout.change(2.0, 3.0) == "+50.0 %"
    assert layout.change(2.0, 1.0) == "-50.0 %"
    assert layout.change(2.0, 2.0) == layout.change(0.0, 0.0) == "0.0 %"
    assert layout.change(0.0, 2.0) == "-"


def test_counts() -> None:
    """Large counts have three digits, small ones are exact; nouns agree."""
    assert layout.count(793e9) == "793 G"
    assert layout.count(1_234) == "1,234"
    assert plural(1, "host") == "1 host"
    assert plural(1024, "host") == "1,024 hosts"


def test_names_are_no_markup() -> None:
    """Brackets, colons and backslashes of names survive."""
    name = "[red]a[/red] :smile: \\[x]"
    assert name in layout.to_text(layout.table(["name"], [[name]]))
    assert name in layout.to_text(layout.facts({"name": name}))
    assert name in layout.to_text(layout.lines([name]))


def test_long_lines_are_not_folded() -> None:
    """Lines of problems stay whole, whatever the width."""
    line = "x " * 200
    assert layout.to_text(layout.lines([line])) == line.rstrip() + "\n"


def test_long_names_are_folded_not_cut() -> None:
    """A name that is wider than the page loses no character."""
    name = "n" * 300
    text = layout.to_text(layout.table(["name", "other"], [[name, "y"]]))
    assert text.count("n") - "name".count("n") == 300


def test_styles_only_for_terminals() -> None:
    """Escape sequences are written for terminals alone."""
    body = layout.section("Title", layout.facts({"a": "b"}))
    assert "\x1b" not in layout.to_text(body)
