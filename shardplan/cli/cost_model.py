"""``shardplan cost-model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.catalogues import Catalogue
from shardplan.cli.options import CatalogueEntry, report_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.records.torchrec_cost_model import AnyCostModel


@click.command("show", cls=Command, examples="shardplan cost-model show h100")
@click.argument("cost_model", metavar="COST-MODEL", type=CatalogueEntry("cost_models"))
@report_options
def show(cost_model: str, form: str, output: str) -> None:
    """Show the coefficients of a cost model with their units and sources.

    What a file inherits is shown with the model that it is from.
    """
    from shardplan.io.catalog import cost_model_origins
    from shardplan.report.catalog_view import cost_model_data, render_cost_model

    data = cost_model_data(_load(cost_model), cost_model_origins(cost_model))
    console.report(data, render_cost_model, form, output)


def _load(name: str) -> AnyCostModel:
    from shardplan.io.catalog import load_cost_model

    return load_cost_model(name)


def _summary(model: AnyCostModel) -> dict[str, Any]:
    from shardplan.report.catalog_view import cost_model_summary

    return cost_model_summary(model)


def _render(data: dict[str, Any]) -> RenderableType:
    from shardplan.report.catalog_view import render_cost_models

    return render_cost_models(data)


command = Catalogue(
    kind="cost_models",
    noun="cost model",
    plural="cost models",
    example="cluster",
    shipped="h100",
    load=_load,
    summary=_summary,
    render=_render,
).group(show)
