"""What the page of a study is about: its points, the front, and the pages of plans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shardplan.report.pages.study.points import PointColumn, point_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.studies.front import Front
    from shardplan.studies.study import Study, StudyRow


@dataclass(frozen=True, slots=True)
class PointPage:
    """The page of a point's plan.

    Attributes
    ----------
    href : str or None
        Relative to the page of the study; None if it could not be made.
    remark : str
        What differs from what the study found; empty if nothing does.
    """

    href: str | None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class PageSubject:
    """A study, its front, and the pages that there are of its points by number."""

    study: Study
    front: Front[StudyRow]
    pages: Mapping[int, PointPage]

    @cached_property
    def columns(self) -> list[PointColumn]:
        """Axes, and the columns of results that have any value."""
        return point_columns(self.study)

    @cached_property
    def axes(self) -> list[PointColumn]:
        """The axes among the columns."""
        return [column for column in self.columns if column.is_axis]

    @cached_property
    def numbers(self) -> list[int]:
        """Numbers of the points in the order of their rows."""
        return [row.point.number for row in self.study.rows]

    @cached_property
    def place(self) -> dict[int, int]:
        """The row of every number."""
        return {number: at for at, number in enumerate(self.numbers)}

    @cached_property
    def on_front(self) -> set[int]:
        """Numbers of the points of the front."""
        return {row.point.number for row in self.front.rows}

    @cached_property
    def missed(self) -> set[int]:
        """Numbers of the points that miss a constraint."""
        return {miss.row.point.number for miss in self.front.near}

    def column(self, name: str) -> PointColumn | None:
        """Return the column of a name, if it has any value."""
        return next((column for column in self.columns if column.name == name), None)

    @cached_property
    def hrefs(self) -> dict[int, str]:
        """Where the pages of plans are, by number."""
        pages = sorted(self.pages.items())
        return {number: page.href for number, page in pages if page.href is not None}
