"""Stacked columns over ranks or hosts, thousands of them in a path per layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.report.pages.svg import (
    element,
    figure,
    grid,
    percent,
    stretched,
    ticks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from markupsafe import Markup

    from shardplan.records.arrays import Floats, Ints

MOST_COLUMNS = 4096
"""Places that a figure tells apart; of more, the highest of neighbours is shown."""
_HEIGHT = 1000
"""Steps of a column: a quarter of a pixel."""
_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Columns:
    """A figure of stacked columns.

    Attributes
    ----------
    key : str
        Its name in the page.
    title, description : str
        For those who do not see it; the title is its caption, too.
    place : str
        What a column stands for: ``rank`` or ``host``.
    layers : dict of str to float array (N,)
        What is stacked, from below.
    form : function
        Writes a value with its unit.
    unit : str
        ``s``, ``bytes`` or ``share``: how the script writes values.
    limit : float array (N,), optional
        What no column may pass.
    limit_name : str
    mark : int, optional
        A place that is marked.
    mark_name : str
        The words beside the mark.
    colours : list of int, optional
        Number of each layer's colour; by default they are counted.
    height : int
        Pixels.
    """

    key: str
    title: str
    description: str
    place: str
    layers: Mapping[str, Floats]
    form: Callable[[float], str]
    unit: str
    limit: Floats | None = None
    limit_name: str = ""
    mark: int | None = None
    mark_name: str = ""
    colours: list[int] | None = None
    height: int = 240
    shown: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Choose the places that have a column."""
        object.__setattr__(self, "shown", _chosen(self.total))

    @property
    def total(self) -> Floats:
        """Heights of all columns (N,)."""
        return np.asarray(np.sum(list(self.layers.values()), axis=0))

    @property
    def numbers(self) -> list[int]:
        """Numbers of the layers' colours."""
        return self.colours or list(range(len(self.layers)))

    @property
    def headings(self) -> list[str]:
        """Headings of the layers in a table."""
        return [f"#{name}" for name in self.layers]

    @property
    def high(self) -> float:
        """Value at the top of the figure."""
        limit = 0.0 if self.limit is None else float(self.limit.max())
        return max(float(self.total.max()) * 1.04, limit * 1.04) or 1.0

    def svg(self) -> Markup:
        """Draw the figure."""
        high, count = self.high, len(self.shown)
        steps = ticks(high, self.height // 45)
        body = grid(high, [(value, self.form(value)) for value in steps])
        body.append(stretched(count, _HEIGHT, *self._paths(high)))
        body += self._marks()
        body += self._places()
        return figure(self.key, self.title, self.description, body, height=self.height)

    def _paths(self, high: float) -> list[Markup]:
        """Draw layers from below, and the limit, each as one path."""
        paths, below = [], np.zeros(len(self.shown))
        for index, values in enumerate(self.layers.values()):
            above = below + values[self.shown]
            outline = _outline(_steps(below, high), _steps(above, high))
            name = f"layer s{self.numbers[index]}"
            paths.append(element("path", d=outline, class_=name))
            below = above
        if self.limit is not None:
            line = _staircase(_steps(self.limit[self.shown], high))
            paths.append(element("path", d=line, class_="limit"))
        return paths

    def _marks(self) -> list[Markup]:
        """Point at the marked place."""
        if self.mark is None:
            return []
        x = (float(np.searchsorted(self.shown, self.mark)) + 0.5) / len(self.shown)
        anchor = "start" if x < 0.2 else "end" if x > 0.8 else "middle"
        words = {"x": percent(x), "y": "-6", "class_": f"mark {anchor}"}
        line = {"x1": percent(x), "x2": percent(x), "y1": "-4", "y2": "100%"}
        return [
            element("line", **line, class_="markline"),
            element("text", f"▼ {self.mark_name}", **words),
        ]

    def _places(self) -> list[Markup]:
        """Name some places below the columns."""
        count = len(self.shown)
        chosen = [int(value) for value in ticks(count - 1, 8) if value == int(value)]
        return [
            element(
                "text",
                str(int(self.shown[i])),
                x=percent((i + 0.5) / count),
                y="100%",
                dy="1.3em",
                class_="tick middle",
            )
            for i in chosen
        ]

    def data(self) -> dict[str, Any]:
        """Collect what the script reads out, in four digits."""
        everyone = len(self.shown) == len(self.total)
        return {
            "place": self.place,
            "unit": self.unit,
            "shown": None if everyone else self.shown.tolist(),
            "count": len(self.shown),
            "layers": [
                [name, rounded(values[self.shown])]
                for name, values in self.layers.items()
            ],
            "limit": None if self.limit is None else rounded(self.limit[self.shown]),
            "limit_name": self.limit_name,
        }

    def heaviest(self, most: int = 16) -> list[tuple[str, ...]]:
        """List the highest columns as text: place, total, and every layer."""
        order = np.lexsort((np.arange(len(self.total)), -self.total))[:most]
        return [
            (
                str(int(at)),
                self.form(float(self.total[at])),
                *(self.form(float(values[at])) for values in self.layers.values()),
            )
            for at in order
        ]


def rounded(values: Floats) -> list[float]:
    """Keep four digits; whole numbers lose their point."""
    found = []
    for value in values.tolist():
        short = float(f"{value:.{_DIGITS}g}")
        found.append(int(short) if short.is_integer() else short)
    return found


def _chosen(total: Floats) -> Ints:
    """Return all places or, of runs of neighbours, the one with the highest column."""
    count = len(total)
    if count <= MOST_COLUMNS:
        return np.arange(count)
    ends = np.linspace(0, count, MOST_COLUMNS + 1).astype(np.int64)
    return np.array([a + int(total[a:b].argmax()) for a, b in pairwise(ends)])


def _steps(values: Floats, high: float) -> Ints:
    """Turn values into whole steps from the top."""
    return np.rint(_HEIGHT * (1.0 - values / high)).astype(np.int64)


def _staircase(y: Ints) -> str:
    """Walk along the tops of columns from left to right."""
    return f"M0 {y[0]}{_walk(y, 1)}"


def _outline(below: Ints, above: Ints) -> str:
    """Walk along the tops from left to right and back along the feet."""
    foot = below[::-1]
    return f"M0 {above[0]}{_walk(above, 1)}V{foot[0]}{_walk(foot, -1)}z"


def _walk(y: Ints, way: int) -> str:
    """Step over columns of one height at once; relative numbers are short."""
    edges = np.flatnonzero(np.diff(y)) + 1
    lengths = np.diff([0, *edges, len(y)]) * way
    rises = [*np.diff(y)[edges - 1], 0]
    return "".join(
        f"h{length}" + (f"v{rise}" if rise else "")
        for length, rise in zip(lengths, rises, strict=True)
    )
