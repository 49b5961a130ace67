"""``shardplan recommend``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.changes import input_options, settings_of
from shardplan.cli.options import (
    CatalogueEntry,
    QuantityRange,
    WholeRange,
    complete_solver,
    cost_model_option,
    format_option,
)
from shardplan.units import Dimension

if TYPE_CHECKING:
    from shardplan.planning.interrupts import Interrupts


@click.command(
    "recommend",
    cls=Command,
    examples="""
    shardplan recommend neo-a --topology dgx-h100 --throughput 1e6
    shardplan recommend neo-a --topology zionex --topology dgx-h100 --throughput "1 M"
    shardplan recommend neo-f --topology zionex --throughput 1e5 --price zionex=100
    """,
)
@click.argument("workload", type=CatalogueEntry("workloads"))
@click.option(
    "--topology",
    "topologies",
    metavar="NAME",
    type=CatalogueEntry("topologies"),
    multiple=True,
    required=True,
    help="A kind of cluster: a shipped name or a path. May be repeated.",
)
@click.option(
    "--throughput",
    metavar="RATE",
    type=QuantityRange(Dimension.COUNT, min=0, min_open=True),
    required=True,
    help="Samples per second of simulated steps, such as 1e6 or '1.5 M'.",
)
@click.option(
    "--hosts-max",
    metavar="N",
    type=WholeRange(min=1, max=4096),
    default=64,
    help="Search host counts from 1 to N (default: 64).",
)
@click.option(
    "--hbm-fill",
    metavar="SHARE",
    type=QuantityRange(Dimension.FRACTION, min=0, min_open=True, max=1),
    help="Use at most this share of the HBM of any rank, such as '90 %'.",
)
@click.option(
    "--price",
    "prices",
    metavar="NAME=PER_HOST_HOUR",
    multiple=True,
    help="What a host of a topology costs for an hour, in any currency. May be "
    "repeated.",
)
@click.option(
    "--cheapest",
    is_flag=True,
    help="Choose between topologies by the price of an hour, not by ranks.",
)
@cost_model_option
@input_options
@click.option(
    "--solver",
    metavar="NAME",
    shell_complete=complete_solver,
    default="greedy",
    help="The solver of every size (default: greedy).",
)
@click.option(
    "--work-limit",
    metavar="N",
    type=QuantityRange(Dimension.COUNT, is_whole=True, min=1),
    help="Stop each search after this many evaluated moves; solver auto needs it.",
)
@click.option(
    "--workers",
    metavar="N",
    type=WholeRange(min=1, max=1024),
    default=1,
    help="Processes that plan sizes at the same time (default: 1).",
)
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(),
    help="Keep results in this folder, as `study run` does; the next call goes on.",
)
@format_option
@click.pass_obj
def command(
    interrupts: Interrupts,
    /,
    prices: tuple[str, ...],
    form: str,
    **arguments: Any,
) -> None:
    """Find the smallest, or cheapest, cluster that trains at a wanted rate.

    Of each topology the fewest hosts that reach it, why one fewer does not, and what
    one more brings. The global batch stays the same at every size, unless the workload
    or --batch-size gives one per rank. Exit code 3 if no size reaches the rate.
    """
    from shardplan.errors import InfeasibleError
    from shardplan.report.recommendation import render_recommendation
    from shardplan.studies.recommendation import recommend

    settings = settings_of(arguments)
    with console.strays_to_stderr():
        found = recommend(
            **arguments,
            settings=settings,
            prices=_read_prices(prices),
            interrupts=interrupts,
        )
    console.report(found.to_dict(), render_recommendation, form)
    if found.best is None:
        raise InfeasibleError(found.refusal, proven=False)


def _read_prices(texts: tuple[str, ...]) -> dict[str, float]:
    """Read the prices of hosts by topology."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, amount = text.rpartition("=")
        try:
            if not name:
                raise ValueError
            price = float(amount)
        except ValueError:
            rule = f"{text!r} must look like NAME=PER_HOST_HOUR, such as dgx-h100=100"
            raise click.BadParameter(rule, param_hint="--price") from None
        if name in found:
            raise click.BadParameter(f"{name} has two prices", param_hint="--price")
        found[name] = price
    return found
