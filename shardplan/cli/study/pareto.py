"""``shardplan study pareto``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import output_option, plot_option


@click.command(
    "pareto",
    cls=Command,
    examples="""
    shardplan study pareto results
    shardplan study pareto results --x hosts --y throughput_samples_per_s
    shardplan study pareto results --plot front.svg
    """,
)
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option(
    "--x",
    metavar="COLUMN",
    help="First goal, instead of the study file's: a column that has a better end.",
)
@click.option("--y", metavar="COLUMN", help="Second goal.")
@plot_option("the front")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    help="Text for people, JSON for programs, or the front as CSV (default: text).",
)
@output_option
def command(
    directory: str,
    x: str | None,
    y: str | None,
    plot: str | None,
    form: str,
    output: str,
) -> None:
    """List the points of a study that no other point beats.

    Points that miss a constraint are left out before; the nearest of them follow, with
    by how much they miss it. Goals are those of [pareto] or [codesign] in the study
    file, else price, or hosts where there are no prices, and throughput.
    """
    if plot is not None:
        from shardplan.report.plot import require_matplotlib

        require_matplotlib()
    from shardplan.report.study_front import front_csv, front_data, render_front
    from shardplan.studies.front import study_front
    from shardplan.studies.runner import load_study

    study = load_study(directory)
    front = study_front(study, x, y)
    if plot is not None:
        from shardplan.io.atomic import write_bytes_atomically
        from shardplan.report.pages.study.picture import picture_of

        kind = plot.rpartition(".")[2].lower()
        write_bytes_atomically(plot, picture_of(study, front, kind))
    data = front_data(study, front)
    if form == "csv":
        console.write(front_csv(data), output)
    else:
        console.report(data, render_front, form, output)
