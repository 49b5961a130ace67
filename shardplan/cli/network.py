"""``shardplan network``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.network_fit import fit
from shardplan.cli.options import CatalogueEntry, QuantityRange, report_options
from shardplan.units import Dimension

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.records.network import NetworkModel

line_bw_type = QuantityRange(Dimension.BANDWIDTH, min=1e7, max=1e12)


@click.command(
    "show",
    cls=Command,
    examples="""
    shardplan network show nvlink4
    shardplan network show infiniband-rail --line-bw '200 Gb/s'
    """,
)
@click.argument("network", type=CatalogueEntry("networks"))
@click.option(
    "--line-bw",
    metavar="RATE",
    type=line_bw_type,
    help="Line rate of one rank and direction for the predicted times (default: the "
    "highest of the curves and the shipped topologies that name it, else 400 Gb/s).",
)
@report_options
def show(network: str, line_bw: float | None, form: str, output: str) -> None:
    """Show a network: coefficients with sources, curves, predicted times."""
    from shardplan.report.network_view import network_data, render_network

    console.report(network_data(_load(network), line_bw), render_network, form, output)


def _load(name: str) -> NetworkModel:
    from shardplan.io.catalog import load_network

    return load_network(name)


def _summary(network: NetworkModel) -> dict[str, Any]:
    from shardplan.report.network_view import network_summary

    return network_summary(network)


def _render(data: dict[str, Any]) -> RenderableType:
    from shardplan.report.network_view import render_networks

    return render_networks(data)


command = Catalogue(
    kind="networks",
    noun="network",
    plural="networks",
    example="network",
    shipped="infiniband-rail",
    load=_load,
    summary=_summary,
    render=_render,
    verbs="List, show, validate, copy and fit",
).group(show, fit)
