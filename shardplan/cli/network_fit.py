"""``shardplan network fit``."""

from __future__ import annotations

from pathlib import Path

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import (
    CatalogueEntry,
    QuantityRange,
    WholeRange,
    format_option,
)
from shardplan.records.record import MAX_RANKS
from shardplan.units import Dimension


@click.command(
    "fit",
    cls=Command,
    examples="""
    shardplan network fit a2a.json --like efa --line-bw '400 Gb/s' -o mine.toml
    shardplan network fit all_reduce=log.txt --like nvlink4 -o domain.toml
    """,
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--like",
    metavar="NETWORK",
    type=CatalogueEntry("networks"),
    help="The network to keep from what was not measured, or what measurements do not "
    "tell.",
)
@click.option(
    "--line-bw",
    metavar="RATE",
    type=QuantityRange(Dimension.BANDWIDTH, min=1e7, max=1e12),
    help="Line rate of one rank and one direction, such as '400 Gb/s' (default: that "
    "of the curves of --like, for one host).",
)
@click.option(
    "--ranks-per-host",
    metavar="N",
    type=WholeRange(min=1, max=MAX_RANKS),
    help="In place of what the files say; of a domain that spans hosts, its ranks.",
)
@click.option(
    "--ranks",
    metavar="N",
    type=WholeRange(min=2, max=MAX_RANKS),
    help="Ranks that took part, for files that do not list them.",
)
@click.option(
    "--inside",
    metavar="NETWORK",
    type=CatalogueEntry("networks"),
    default="nvlink4",
    help="The network inside hosts, for files of several (default: nvlink4).",
)
@click.option(
    "--name", metavar="NAME", help="The network's name (default: that of the file)."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(),
    callback=console.place,
    help="Write the network to FILE, a .toml.",
)
@format_option
def fit(
    files: tuple[str, ...],
    like: str | None,
    line_bw: float | None,
    ranks_per_host: int | None,
    ranks: int | None,
    inside: str,
    name: str | None,
    output: str,
    form: str,
) -> None:
    """Fit a network to what nccl-tests measured.

    FILE is what alltoall_perf, all_gather_perf, reduce_scatter_perf or all_reduce_perf
    printed, or wrote with -J; COLLECTIVE=FILE if it does not say which. All files are
    of one host, which gives curves by ranks, or all of several. Says which points were
    left out, how well the network follows the others, and how sure each coefficient
    is.
    """
    from shardplan.calibration.nccl_tests import read_all
    from shardplan.calibration.network_fit import fit_network
    from shardplan.calibration.network_text import network_toml
    from shardplan.io.catalog import load_network
    from shardplan.report.calibration_view import calibration_data, render_calibration

    if output != console.STDOUT and not output.lower().endswith(".toml"):
        raise click.BadParameter("must end in .toml", param_hint="--output")
    benchmarks = read_all(files, ranks, ranks_per_host)
    parent = None if like is None else load_network(like)
    own = name or ("fitted" if output == console.STDOUT else Path(output).stem)
    found = fit_network(own, benchmarks, parent, line_bw, load_network(inside))
    data = calibration_data(found, output)
    comment = f"Fitted by shardplan network fit at {found.setting.line_bw:g} bytes/s."
    console.write(network_toml(found.network, [comment]), output)
    if output != console.STDOUT:
        console.report(data, render_calibration, form)
