"""``shardplan topology``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.options import (
    CatalogueEntry,
    WholeRange,
    output_option,
    read_ranks,
    report_options,
    require_ranks,
)

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


@click.command(
    "graph",
    cls=Command,
    examples="""
    shardplan topology graph dgx-h100:4 --route 0 9
    shardplan topology graph dgx-h100:4 --ranks 0-15
    shardplan topology graph dgx-h100:2 --format dot -o links.dot
    """,
)
@click.argument("topology", type=CatalogueEntry("topologies"))
@click.option(
    "--route",
    "between",
    metavar="RANK RANK",
    nargs=2,
    type=WholeRange(min=0),
    help="Show the links that bytes between two ranks pass; dot has them in bold.",
)
@click.option(
    "--ranks",
    metavar="RANKS",
    help="Show what joins these ranks, such as 0-3,8, to all others, and the link that "
    "an all-to-all among them fills first.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot"]),
    default="text",
    help="Text for people, JSON for programs or dot for Graphviz (default: text).",
)
@output_option
def graph(
    topology: str,
    between: tuple[int, int] | None,
    ranks: str | None,
    form: str,
    output: str,
) -> None:
    """Show the links of a cluster: routes, cuts, a drawing.

    NAME:HOSTS takes another number of hosts. Rates are peaks of one direction, before
    the efficiencies of a cost model. Graphviz draws what --format dot writes, for
    example by: dot -Tsvg links.dot -o links.svg
    """
    from shardplan.report.topology_graph import graph_data, render_graph, to_dot

    loaded = _load(topology)
    if between is not None:
        require_ranks(between, loaded.world_size, "--route")
        if between[0] == between[1]:
            raise click.BadParameter(
                "needs two ranks that differ", param_hint="--route"
            )
    group = None if ranks is None else read_ranks(ranks, loaded.world_size)
    data = graph_data(loaded, between, group)
    if form == "dot":
        console.write(to_dot(data), output)
    else:
        console.report(data, render_graph, form, output)


def _load(name: str) -> Topology:
    from shardplan.io.catalog import load_topology

    return load_topology(name)


def _check(name: str) -> Topology:
    from shardplan.io.catalog import load_cost_model, load_topology
    from shardplan.io.topology_faults import require_cost_model

    topology = load_topology(name)
    require_cost_model(topology, name, load_cost_model)
    return topology


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
    check=_check,
).group(show, graph)
