"""A table that fits its page: what gives way first, and what never does.

If a table is wider than the page,

1. bars are left out;
2. texts and headings are folded, names shortened in their middle, the widest first;
3. columns that still have no place go below, in a table of their own that begins
   with the same columns: the first, and others that tell rows apart.

Numbers, with their units, are never cut, folded or left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from shardplan.report.wrapping import longest_token, longest_word, shorten, wrap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult

_GAP = 3
"""Characters between two columns."""
_EDGES = 2
"""Characters before the first column and after the last."""
_NAME = 16
"""A name is not shortened below this."""
_LONGEST_NAME = 40
"""Names are shortened to this even where there is room."""
_TEXT = 12
"""A text is not folded below this."""


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    title : str
        Its heading.
    is_number : bool
        It is aligned on the right.
    is_whole : bool
        Its entries stay on one line and keep all their characters.
    is_name : bool
        Its entries stay on one line, and may lose their middle.
    is_bar : bool
        It repeats what a number says.
    """

    title: str
    is_number: bool = False
    is_whole: bool = False
    is_name: bool = False
    is_bar: bool = False


class Grid:
    """A table; rich asks it how it looks on a page of some width.

    Parameters
    ----------
    columns : sequence of Column
    rows : iterable of sequence of str
    keys : int
        How many columns, from the first one on, it takes to tell rows apart.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Iterable[Sequence[str]], keys: int = 1
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]
        self.keys = keys

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield one table, or several that stand below each other."""
        for part in self.arranged(options.max_width):
            yield self._table(part)

    def arranged(self, width: int) -> list[dict[int, int]]:
        """Return the width of every column, in parts that fit a page, mostly one."""
        widest = [self._widest(index) for index in range(len(self.columns))]
        indices = list(range(len(self.columns)))
        if _total(widest) > width:
            indices = [i for i in indices if not self.columns[i].is_bar]
        least = [self._least(i, found) for i, found in enumerate(widest)]
        return [
            _squeezed({i: widest[i] for i in part}, least, width)
            for part in _parts(indices, least, width, self.keys)
        ]

    def _widest(self, index: int) -> int:
        """Characters that a column takes if nothing presses."""
        column = self.columns[index]
        cells = max((cell_len(row[index]) for row in self.rows), default=0)
        if column.is_name:
            cells = min(cells, _LONGEST_NAME)
        return max(cells, cell_len(column.title))

    def _least(self, index: int, widest: int) -> int:
        """Characters that a column needs."""
        column = self.columns[index]
        texts = [row[index] for row in self.rows]
        if column.is_whole:
            needed = max(map(cell_len, texts), default=0)
        elif column.is_name:
            needed = min(_NAME, max(map(cell_len, texts), default=0))
        else:
            needed = max([_TEXT, *map(longest_token, texts)])
        return min(widest, max(needed, longest_word(column.title)))

    def _table(self, part: dict[int, int]) -> Table:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for index, width in part.items():
            column = self.columns[index]
            side: JustifyMethod = "right" if column.is_number else "left"
            title = Text("\n".join(wrap(column.title, width)))
            grid.add_column(title, justify=side, width=width, no_wrap=True)
        for row in self.rows:
            grid.add_row(
                *(self._cell(row[index], index, w) for index, w in part.items())
            )
        return grid

    def _cell(self, text: str, index: int, width: int) -> Text:
        if self.columns[index].is_name:
            return Text(shorten(text, width))
        return Text("\n".join(wrap(text, width)))


def _total(widths: Collection[int]) -> int:
    """Characters that columns of some widths take together."""
    return sum(widths) + _GAP * (len(widths) - 1) + _EDGES


def _parts(
    indices: Sequence[int], least: Sequence[int], width: int, keys: int
) -> Iterator[list[int]]:
    """Put columns that fit beside each other into one part, in their order.

    Of the keys, each part repeats as many as leave half of the page to others.
    """
    while keys > 1 and 2 * _total([least[i] for i in indices[:keys]]) > width:
        keys -= 1
    repeated = list(indices[:keys])
    part = list(repeated)
    for index in indices[keys:]:
        if len(part) > keys and _total([least[i] for i in (*part, index)]) > width:
            yield part
            part = list(repeated)
        part.append(index)
    yield part


def _squeezed(
    widest: dict[int, int], least: Sequence[int], width: int
) -> dict[int, int]:
    """Take from the widest column that can give, until all fit."""
    found = dict(widest)
    while _total(found.values()) > width:
        able = [i for i in found if found[i] > least[i]]
        if not able:
            break
        found[max(able, key=found.__getitem__)] -= 1
    return found
