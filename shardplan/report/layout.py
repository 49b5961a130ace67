"""Pieces that reports are made of: tables, bars, lists of facts, text."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from shardplan.printable import printable
from shardplan.report.grid import Column, Grid
from shardplan.report.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import ConsoleOptions, RenderableType, RenderResult

WIDTH = 100
"""Characters per line where there is no terminal to ask."""
_NARROWEST = 40
"""Pages are taken to be at least this wide."""
_BAR = 20
"""Characters of a bar."""


def number(title: str) -> Column:
    """Make a column of right-aligned numbers, each with its unit."""
    return Column(title, is_number=True, is_whole=True)


def whole(title: str) -> Column:
    """Make a column of short texts that stay on one line."""
    return Column(title, is_whole=True)


def named(title: str) -> Column:
    """Make a column of names, of which long ones lose their middle."""
    return Column(title, is_name=True)


def bars(title: str = "") -> Column:
    """Make a column of bars, which a narrow page goes without."""
    return Column(title, is_whole=True, is_bar=True)


def table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[str]], keys: int = 1
) -> RenderableType:
    """Lay out rows under headings; see `grid` for what a narrow page does to them.

    The first `keys` columns tell rows apart.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    given = [Column(c) if isinstance(c, str) else c for c in columns]
    return Grid([c._replace(title=printable(c.title)) for c in given], shown, keys)


class _Facts:
    """Names and values in two columns, folded to fit."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.pairs = {
            printable(name): printable(value) for name, value in pairs.items() if value
        }

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        longest = max(map(cell_len, self.pairs), default=0)
        width = min(longest, options.max_width // 2)
        room = options.max_width - width - 2
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        grid.add_column(width=width, no_wrap=True, style="bold")
        grid.add_column(width=room, no_wrap=True)
        for title, value in self.pairs.items():
            grid.add_row(
                Text("\n".join(wrap(title, width))), Text("\n".join(wrap(value, room)))
            )
        yield grid


class _Paragraph:
    """Text that is folded to fit."""

    def __init__(self, text: str, style: str = "") -> None:
        self.text, self.style = printable(text), style

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        for line in wrap(self.text, options.max_width):
            yield Text(line, style=self.style, no_wrap=True)


def facts(pairs: Mapping[str, str]) -> RenderableType:
    """Lay out names and values in two columns; empty values are left out."""
    return _Facts(pairs)


def section(title: str, *body: RenderableType) -> RenderableType:
    """Put a title above something."""
    return Group(Text(""), _Paragraph(title, "bold underline"), *body)


def sentences(text: Iterable[str]) -> RenderableType:
    """Lay out sentences below each other, folded to fit."""
    return Group(*map(_Paragraph, text))


def lines(text: Iterable[str]) -> RenderableType:
    """Put texts below each other; none is folded, so that each is one line."""
    shown = (Text(printable(line), no_wrap=True, overflow="ignore") for line in text)
    return Group(*shown)


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
        width=max(width or WIDTH, _NARROWEST),
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
