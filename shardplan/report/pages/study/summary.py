"""What `study report` says of the folder that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import facts, sentences
from shardplan.report.pages.study.folder import INDEX
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from shardplan.report.pages.study.subject import PointPage


def summary_data(output: str, pages: Mapping[int, PointPage]) -> dict[str, Any]:
    """Collect the report of `shardplan study report`."""
    return {
        "index": str(Path(output) / INDEX),
        "pages": [
            {"point": number, "page": page.href, "remark": page.remark}
            for number, page in pages.items()
        ],
    }


def render_summary(data: dict[str, Any]) -> RenderableType:
    """Lay out the report as text."""
    made = sum(page["page"] is not None for page in data["pages"])
    remarks = [
        f"Point {page['point']}: {page['remark']}."
        for page in data["pages"]
        if page["remark"]
    ]
    head = {"pages": data["index"], "plans": plural(made, "page")}
    return Group(facts(head), sentences(remarks))
