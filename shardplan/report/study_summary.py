"""How far a study is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import facts, section
from shardplan.report.study_table import cell_text
from shardplan.units import plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def render_summary(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan study run` and `study status`."""
    counts = ", ".join(f"{count:,} {name}" for name, count in data["counts"].items())
    others = data.get("other_versions", {})
    parts = [
        facts(
            {
                "study": data["study"],
                "results": data["folder"],
                "points": f"{data['finished']:,} of {data['points']:,} are finished",
                "of these": counts,
                "running": data.get("running", ""),
                "journal": _broken(data.get("broken_lines", 0)),
                "not used": ", ".join(
                    f"{plural(count, 'point')} of shardplan {version}"
                    for version, count in others.items()
                ),
            }
        )
    ]
    if data["best"]:
        best = {name: cell_text(name, value) for name, value in data["best"].items()}
        parts.append(section("Best point", facts(best)))
    for answer in data["answers"]:
        found = {name: cell_text(name, value) for name, value in answer.items()}
        title = "Answer" if answer["point"] is not None else "No answer"
        parts.append(section(title, facts(found)))
    return Group(*parts)


def _broken(count: int) -> str:
    if not count:
        return ""
    lost = plural(count, "line")
    return f"{lost} cut or overwritten: points without a result are run again"
