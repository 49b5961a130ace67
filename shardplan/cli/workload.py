"""``shardplan workload``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.options import (
    CatalogueEntry,
    limit_option,
    list_limit,
    report_options,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.records.workload import Workload


@click.command("show", cls=Command, examples="shardplan workload show neo-a --limit 5")
@click.argument("workload", type=CatalogueEntry("workloads"))
@limit_option("tables")
@report_options
def show(workload: str, limit: int | None, form: str, output: str) -> None:
    """Show a workload and its largest tables."""
    from shardplan.report.catalog_view import render_workload, workload_data

    data = workload_data(_load(workload), limit=list_limit(limit, form))
    console.report(data, render_workload, form, output)


def _load(name: str) -> Workload:
    from shardplan.io.catalog import load_workload

    return load_workload(name)


def _summary(workload: Workload) -> dict[str, Any]:
    from shardplan.report.catalog_view import workload_summary

    return workload_summary(workload)


def _render(data: dict[str, Any]) -> RenderableType:
    from shardplan.report.catalog_view import render_workloads

    return render_workloads(data)


command = Catalogue(
    kind="workloads",
    noun="workload",
    plural="workloads",
    example="model",
    shipped="dlrm-dcnv2",
    load=_load,
    summary=_summary,
    render=_render,
).group(show)
