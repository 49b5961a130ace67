"""The figure of a front: points of a study over two columns, constraints drawn in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shardplan.report.pages.study.scales import Scale
from shardplan.report.pages.svg import element, figure, percent, stretched
from shardplan.report.study_values import tick_text, unit_text
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from shardplan.studies.columns import StudyColumn
    from shardplan.studies.constraints import Constraint

MOST_DOTS = 400
"""Points of a kind that are drawn one by one; of more, squares stand for several."""
_MOST_NUMBERS = 16
"""Points of the front whose numbers stand beside them."""
_ACROSS, _DOWN = 60, 36
"""Squares that a figure is divided in where it has many points."""
_HEIGHT = 360

DotKind = Literal["front", "plain", "missed"]


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a figure.

    Attributes
    ----------
    number : int
        Of the point in its study.
    x, y : float
        In the units of the columns.
    kind : {"front", "plain", "missed"}
        On the front, dominated, or a constraint is missed.
    words : str
        What is said of it.
    href : str, optional
        Its page.
    """

    number: int
    x: float
    y: float
    kind: DotKind
    words: str
    href: str | None = None


@dataclass(frozen=True)
class Scatter:
    """A figure of points.

    Attributes
    ----------
    key : str
        Its name in the page.
    title, description : str
        For those who do not see it.
    x, y : StudyColumn
    dots : tuple of Dot
        Those of the front in its order.
    constraints : tuple of Constraint
        Those on one of the two columns are drawn.
    has_line : bool
        A line runs along the front, which is that of these two columns.
    """

    key: str
    title: str
    description: str
    x: StudyColumn
    y: StudyColumn
    dots: Sequence[Dot]
    constraints: Sequence[Constraint] = ()
    has_line: bool = False

    def svg(self) -> Markup:
        """Draw the figure; what matters most comes last and lies above the rest."""
        across, down = self.scales()
        body = [*self._axes(across, down), *self._limits(across, down)]
        for kind in ("missed", "plain"):
            body += self._crowd(kind, across, down)
        if self.has_line:
            body += self._line(across, down)
        body += self._front(across, down)
        words = (self.key, self.title, self.description)
        # A picture has no links for who hears it read; a group has.
        role = "group" if any(dot.href for dot in self.dots) else "img"
        return figure(*words, body, height=_HEIGHT, role=role)

    def scales(self) -> tuple[Scale, Scale]:
        """Choose the scales of both axes: all points and constraints are inside."""
        xs, ys = self.on(self.x), self.on(self.y)
        return (
            Scale.over([*(dot.x for dot in self.dots), *(bound(c) for c in xs)]),
            Scale.over([*(dot.y for dot in self.dots), *(bound(c) for c in ys)]),
        )

    def labels(self) -> dict[int, str]:
        """Return what stands beside the front: the numbers of all points at a place."""
        places: dict[tuple[float, float], list[int]] = {}
        for dot in self._of("front"):
            places.setdefault((dot.x, dot.y), []).append(dot.number)
        found = {}
        for numbers in places.values():
            shown = ", ".join(map(str, numbers[:3])) + (", ..." * (len(numbers) > 3))
            found[numbers[-1]] = shown  # the last one lies above the others
        return found

    @property
    def drawn(self) -> list[Constraint]:
        """The constraints that are drawn."""
        return [c for column in (self.x, self.y) for c in self.on(column)]

    def _of(self, kind: DotKind) -> list[Dot]:
        return [dot for dot in self.dots if dot.kind == kind]

    def on(self, column: StudyColumn) -> list[Constraint]:
        """Return the constraints that are bounds of a column."""
        return [
            c
            for c in self.constraints
            if c.column == column.name and c.op in ("<=", "<", ">=", ">")
        ]

    def _axes(self, across: Scale, down: Scale) -> Iterator[Markup]:
        for value in down.ticks():
            y = percent(1.0 - down.share(value))
            yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="gridline")
            word = tick_text(self.y, value)
            yield element("text", word, x="-8", y=y, dy=".32em", class_="tick end")
        for value in across.ticks():
            x = percent(across.share(value))
            yield element("line", x1=x, x2=x, y1="0", y2="100%", class_="gridline")
            word = tick_text(self.x, value)
            yield element("text", word, x=x, y="100%", dy="1.4em", class_="tick middle")
        words = f"{self.x.name}{unit_text(self.x)} →{_better(self.x)}"
        place = {"x": "100%", "y": "100%", "dy": "2.9em"}
        yield element("text", words, **place, class_="axisname end")
        words = f"↑ {self.y.name}{unit_text(self.y)}{_better(self.y)}"
        yield element("text", words, x="0", y="-10", class_="axisname")

    def _limits(self, across: Scale, down: Scale) -> Iterator[Markup]:
        """Shade what constraints forbid, and say which."""
        for constraint in self.on(self.x):
            at = across.share(bound(constraint))
            is_most = constraint.op.startswith("<")
            yield _shade(at if is_most else 0.0, 0.0, 1.0 if is_most else at, 1.0)
            x = percent(at)
            yield element("line", x1=x, x2=x, y1="0", y2="100%", class_="limit")
            side = {"dx": "6"} if at < 0.5 else {"dx": "-6", "class_": "limitname end"}
            words = {"x": x, "y": "100%", "dy": "-.6em", "class_": "limitname", **side}
            yield element("text", str(constraint), **words)
        for constraint in self.on(self.y):
            at = 1.0 - down.share(bound(constraint))
            is_most = constraint.op.startswith("<")
            yield _shade(0.0, 0.0 if is_most else at, 1.0, at if is_most else 1.0)
            y = percent(at)
            yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="limit")
            is_below = at < 0.1 or (not is_most and at < 0.9)
            dy = "1.2em" if is_below else "-.5em"
            words = {"x": "100%", "y": y, "dx": "-6", "dy": dy}
            yield element("text", str(constraint), **words, class_="limitname end")

    def _crowd(self, kind: DotKind, across: Scale, down: Scale) -> Iterator[Markup]:
        """Draw points that are not on the front, many of them as squares."""
        dots = self._of(kind)
        if len(dots) <= MOST_DOTS:
            for dot in dots:
                mark = _cross() if kind == "missed" else element("circle", r="3.5")
                yield _placed(dot, mark, across=across, down=down)
            return
        counts = Counter(
            (
                min(_ACROSS - 1, int(_ACROSS * across.share(dot.x))),
                min(_DOWN - 1, int(_DOWN * (1.0 - down.share(dot.y)))),
            )
            for dot in dots
        )
        for (i, j), number_of in sorted(counts.items()):
            level = 1 if number_of < 5 else 2 if number_of < 25 else 3
            yield element(
                "rect",
                element("title", plural(number_of, "point")),
                x=percent(i / _ACROSS),
                y=percent(j / _DOWN),
                width=percent(1 / _ACROSS),
                height=percent(1 / _DOWN),
                class_=f"crowd {kind} c{level}",
            )

    def _line(self, across: Scale, down: Scale) -> Iterator[Markup]:
        """Join the front by steps: beyond them lies what no point reaches."""
        places = [
            (round(1000 * across.share(dot.x)), round(1000 * (1 - down.share(dot.y))))
            for dot in self._of("front")
        ]
        if len(places) > 1:
            steps = "".join(f"H{x}V{y}" for x, y in places[1:])
            path = f"M{places[0][0]} {places[0][1]}{steps}"
            yield stretched(1000, 1000, element("path", d=path, class_="frontline"))

    def _front(self, across: Scale, down: Scale) -> Iterator[Markup]:
        dots, labels = self._of("front"), self.labels()
        for dot in dots:
            mark = [
                element("circle", r="12", class_="target"),
                element("path", d="M0-6.5 6.5 0 0 6.5-6.5 0z"),
            ]
            if dot.number in labels and len(labels) <= _MOST_NUMBERS:
                is_right = across.share(dot.x) > 0.9
                side = {"dx": "-9", "class_": "end"} if is_right else {"dx": "9"}
                mark.append(element("text", labels[dot.number], dy="-.5em", **side))
            found = _placed(dot, *mark, across=across, down=down)
            if dot.href is not None:
                words = f"Plan page of point {dot.number}"
                found = element("a", found, href=dot.href, aria_label=words)
            yield found


def bound(constraint: Constraint) -> float:
    """Return the number of a constraint that is drawn."""
    assert isinstance(constraint.value, int | float)
    return float(constraint.value)


def _placed(dot: Dot, *mark: Markup, across: Scale, down: Scale) -> Markup:
    """Put a mark, drawn around (0, 0), at a point."""
    return element(
        "svg",
        element("title", dot.words),
        *mark,
        x=percent(across.share(dot.x)),
        y=percent(1.0 - down.share(dot.y)),
        overflow="visible",
        class_=f"dot {dot.kind}",
    )


def _cross() -> Markup:
    return element("path", d="M-3.5-3.5 3.5 3.5M-3.5 3.5 3.5-3.5")


def _shade(left: float, top: float, right: float, bottom: float) -> Markup:
    return element(
        "rect",
        x=percent(left),
        y=percent(top),
        width=percent(right - left),
        height=percent(bottom - top),
        class_="forbidden",
    )


def _better(column: StudyColumn) -> str:
    words = {"min": " (less is better)", "max": " (more is better)", None: ""}
    return words[column.sense]
