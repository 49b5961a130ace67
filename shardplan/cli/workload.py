"""``shardplan workload``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.options import (
    CatalogueEntry,
    file_option,
    format_option,
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


@click.command(
    "build",
    cls=Command,
    examples="""
    shardplan workload build --statistics statistics --model model.toml -o workload.json
    """,
)
@click.option(
    "--statistics",
    metavar="FOLDER",
    required=True,
    type=click.Path(),
    help="What shardplan stats measured.",
)
@click.option(
    "--model",
    metavar="WORKLOAD",
    required=True,
    type=CatalogueEntry("workloads"),
    help="Tables of the model by the names of the statistics, the batch, dense layers.",
)
@file_option("the workload to FILE.json", console.place_json)
@format_option
def build(statistics: str, model: str, output: str, form: str) -> None:
    """Write a workload whose lookups are those that were measured.

    For each measured table the pooling factor, the coverage, the access curve, unique
    ids, misses of caches and the heat of row blocks take the place of the model's.
    Files are JSON, indented as text. Exit code 1: a measured table that the model does
    not have, or has with other rows.
    """
    from shardplan.statistics.folder import load_statistics
    from shardplan.statistics.workload import with_statistics

    found = with_statistics(_load(model), load_statistics(statistics))
    console.write(console.record_text(found, form), output)


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
    verbs="List, show, validate, copy and build",
).group(show, build)
