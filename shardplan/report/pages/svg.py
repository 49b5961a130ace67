"""Pieces of SVG: elements with escaped attributes, and ticks of an axis.

Positions across are percentages, so that a figure fills any width and its text keeps
its size; what has many points lies in a box of its own that is stretched.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from shardplan.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable


def element(name: str, *content: str, **attributes: object) -> Markup:
    """Make an element; ``class_`` and ``data_x`` stand for ``class`` and ``data-x``.

    Content that is no `Markup` is text; attributes that are None are left out.
    """
    shown = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), one_line(str(value))
        )
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(
        part if isinstance(part, Markup) else escape(one_line(part)) for part in content
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, shown, inside)


def figure(
    key: str,
    title: str,
    description: str,
    body: Iterable[Markup],
    *,
    height: int,
    role: str = "img",
) -> Markup:
    """Make a figure of `height` pixels and any width, with words for screen readers."""
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *body,
        class_="plot",
        height=height,
        role=role,
        aria_labelledby=f"{key}-title {key}-desc",
    )


def percent(share: float) -> str:
    """Write a position; a thousandth of a percent is below a pixel."""
    return f"{100.0 * share:.3f}".rstrip("0").rstrip(".") + "%"


def ticks(high: float, most: int = 5) -> list[float]:
    """Choose round values from 0 to `high`: at most `most` steps of 1, 2 or 5.

    Parameters
    ----------
    high : float
        In the unit of what is shown; more than 0.
    """
    if not high > 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(high / most))
    step = next(
        power * factor for factor in (1, 2, 5, 10) if high <= most * power * factor
    )
    return [step * i for i in range(math.floor(high / step * (1 + 1e-9)) + 1)]


def tick_word(word: str) -> str:
    """Shorten a formatted round value: ``600.000 ms`` is ``600 ms``, nothing is 0."""
    short = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", word).replace(". ", " ")
    return "0" if re.match(r"0\b(?!\.)", short) else short


def grid(high: float, words: Iterable[tuple[float, str]]) -> list[Markup]:
    """Draw lines across at values up to `high`, with their words to the left."""
    lines = []
    for value, word in words:
        y = percent(1.0 - value / high)
        lines.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="gridline"))
        lines.append(
            element("text", tick_word(word), x="-8", y=y, dy=".32em", class_="tick end")
        )
    return lines


def stretched(width: int, height: int, *body: Markup) -> Markup:
    """Make a box of its own units that fills the figure."""
    return element(
        "svg",
        *body,
        x="0",
        y="0",
        width="100%",
        height="100%",
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
    )
