"""Pieces that reports are made of: tables, bars, lists of facts, text."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import JustifyMethod, RenderableType

WIDTH = 100
"""Characters per line where there is no terminal to ask."""
_BAR = 20
"""Characters of a bar."""


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    title : str
        Its heading.
    is_number : bool
        It is aligned on the right.
    is_whole : bool
        Its entries stay on one line.
    """

    title: str
    is_number: bool = False
    is_whole: bool = False


def number(title: str) -> Column:
    """Make a column of right-aligned numbers."""
    return Column(title, is_number=True, is_whole=True)


def whole(title: str) -> Column:
    """Make a column of short texts that stay on one line."""
    return Column(title, is_whole=True)


def table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[str]]
) -> RenderableType:
    """Lay out rows under headings; text is never cut, but folded."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for entry in columns:
        column = Column(entry) if isinstance(entry, str) else entry
        side: JustifyMethod = "right" if column.is_number else "left"
        grid.add_column(
            Text(column.title),
            justify=side,
            overflow="fold",
            no_wrap=column.is_whole,
        )
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


def facts(pairs: Mapping[str, str]) -> RenderableType:
    """Lay out names and values in two columns; empty values are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        if value:
            grid.add_row(Text(name), Text(value))
    return grid


def section(title: str, *body: RenderableType) -> RenderableType:
    """Put a title above something."""
    return Group(Text(f"\n{title}", style="bold underline"), *body)


def lines(text: Iterable[str]) -> RenderableType:
    """Put texts below each other; none is folded."""
    return Group(*(Text(line, no_wrap=True, overflow="ignore") for line in text))


def bar(value: float, full: float, width: int = _BAR) -> str:
    """Draw `value` as a bar that is complete at `full`; an excess ends in ``>``."""
    share = value / full if full > 0 else float(value > 0) * 2.0
    if share > 1.0 + 1e-9:
        return "#" * (width - 1) + ">"
    filled = round(width * share)
    return "#" * filled + "." * (width - filled)


def percent(share: float | None) -> str:
    """Format a share: ``12.5 %``, or ``-`` if it is unknown."""
    return "-" if share is None else f"{100.0 * share:.1f} %"


def change(before: float, after: float) -> str:
    """Format a relative change: ``+12.5 %``, or ``-`` if it began at 0."""
    if before == after:
        return "0.0 %"
    return f"{100.0 * (after / before - 1.0):+.1f} %" if before else "-"


def count(value: float) -> str:
    """Format a large number in words of three digits: ``793 G``."""
    for scale, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f}"


def plural(number_of: int, noun: str) -> str:
    """Format a count with its noun: ``1 host``, ``1,024 hosts``."""
    return f"{number_of:,} {noun}" + ("" if number_of == 1 else "s")


def left_out(shown: int, total: int) -> str:
    """Say how many entries a limit hides; empty if none."""
    return f"... and {total - shown:,} more; see --limit" if shown < total else ""


def to_text(
    body: RenderableType, width: int | None = None, *, is_terminal: bool = False
) -> str:
    """Render as text that ends in a line break, with styles for a terminal only."""
    target = StringIO()
    console = Console(
        file=target,
        width=width or WIDTH,
        force_terminal=is_terminal,
        color_system="auto" if is_terminal else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(body, crop=False)
    text = "\n".join(line.rstrip() for line in target.getvalue().split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"
