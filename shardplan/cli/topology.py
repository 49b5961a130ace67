"""``shardplan topology``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.options import CatalogueEntry, report_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.records.topology import Topology


@click.command(
    "show",
    cls=Command,
    examples="""
    shardplan topology show dgx-h100
    shardplan topology show dgx-h100:16 --format json
    """,
)
@click.argument("topology", type=CatalogueEntry("topologies"))
@report_options
def show(topology: str, form: str, output: str) -> None:
    """Show a topology; NAME:HOSTS takes another number of hosts."""
    from shardplan.report.catalog_view import render_topology, topology_data

    console.report(topology_data(_load(topology)), render_topology, form, output)


def _load(name: str) -> Topology:
    from shardplan.io.catalog import load_topology

    return load_topology(name)


def _summary(topology: Topology) -> dict[str, Any]:
    from shardplan.report.catalog_view import topology_summary

    return topology_summary(topology)


def _render(data: dict[str, Any]) -> RenderableType:
    from shardplan.report.catalog_view import render_topologies

    return render_topologies(data)


command = Catalogue(
    kind="topologies",
    noun="topology",
    plural="topologies",
    example="cluster",
    shipped="dgx-h100",
    load=_load,
    summary=_summary,
    render=_render,
).group(show)
