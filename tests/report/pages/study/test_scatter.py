"""The figure of a front."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from shardplan.report.pages.study.scatter import MOST_DOTS, Dot, Scatter
from shardplan.studies.columns import COLUMNS
from shardplan.studies.constraints import parse_constraint

X, Y = COLUMNS["cost_per_hour"], COLUMNS["throughput_samples_per_s"]


def drawn(dots: list[Dot], *rules: str) -> ET.Element:
    """The figure as XML."""
    limits = [parse_constraint(rule) for rule in rules]
    figure = Scatter("f", "Front <&>", "words", X, Y, dots, limits, has_line=True)
    return ET.fromstring(str(figure.svg()))


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in e.attrib.get("class", "").split()]


DOTS = [
    Dot(3, 10.0, 1e6, "front", "point 3", "points/3.html"),
    Dot(5, 20.0, 3e6, "front", "point 5"),
    Dot(1, 20.0, 1e6, "plain", "point <1>"),
    Dot(2, 5.0, 3e6, "missed", "point 2"),
]


def test_points_have_shapes_words_and_links() -> None:
    """Kinds are told apart without colour; a click opens a page."""
    root = drawn(DOTS)
    (link,) = root.iter("a")
    assert link.attrib["href"] == "points/3.html"
    assert link.attrib["aria-label"] == "Plan page of point 3"
    assert [e.text for e in of_class(root, "front")[0].iter("title")] == ["point 3"]
    assert of_class(root, "plain")[0].find("circle") is not None
    assert of_class(root, "plain")[0].findtext("title") == "point <1>"
    assert of_class(root, "missed")[0].find("path") is not None
    assert len(of_class(root, "frontline")) == 1


def test_constraints_of_either_axis_are_drawn() -> None:
    """Beyond the line is shaded; a constraint on another column has no line."""
    rules = ("cost_per_hour <= 15", "throughput_samples_per_s >= 2 M", "hbm_fill < 1")
    root = drawn(DOTS, *rules)
    assert len(of_class(root, "limit")) == len(of_class(root, "forbidden")) == 2
    words = [e.text for e in of_class(root, "limitname")]
    assert words == list(rules[:2])
    right, bottom = of_class(root, "forbidden")
    assert right.attrib["x"] != "0%"
    assert bottom.attrib["y"] != "0%"


def test_many_points_are_squares() -> None:
    """A figure of 10,000 points has no more elements than squares."""
    crowd = [
        Dot(n, 1.0 + n % 97, 1.0 + n % 89, "plain", "") for n in range(10 * MOST_DOTS)
    ]
    root = drawn([DOTS[0], *crowd])
    squares = of_class(root, "crowd")
    assert len(squares) < 60 * 36
    counts = [
        int(str(e.findtext("title")).split()[0].replace(",", "")) for e in squares
    ]
    assert sum(counts) == len(crowd)


def test_the_same_bytes() -> None:
    """Nothing depends on the order of a set."""
    figure = Scatter("f", "t", "d", X, Y, DOTS)
    assert figure.svg() == figure.svg()
