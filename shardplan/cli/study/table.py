"""``shardplan study table``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import output_option


@click.command(
    "table",
    cls=Command,
    examples="""
    shardplan study table results --sort throughput_samples_per_s
    shardplan study table results --columns hosts,step_time_s --where "hosts >= 8"
    shardplan study table results --format csv -o table.csv
    """,
)
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns with commas between them; 'all' for all (default: in text, axes that "
    "vary and main results; else all).",
)
@click.option(
    "--sort", metavar="COLUMN", help="Best first, or smallest if neither end is better."
)
@click.option(
    "--where",
    metavar="RULE",
    multiple=True,
    help="Only rows that meet a rule such as 'hbm_fill <= 0.9'; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    help="Text for people, JSON or CSV for programs (default: text).",
)
@output_option
def command(
    directory: str,
    columns: str | None,
    sort: str | None,
    where: tuple[str, ...],
    form: str,
    output: str,
) -> None:
    """Show the results of a study.

    Units are in the names of columns, in the JSON report, and in the metadata of
    results.parquet.
    """
    from shardplan.report.study_table import render_rows
    from shardplan.studies.runner import load_study
    from shardplan.studies.selection import Selection
    from shardplan.studies.table import to_csv

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    if names is None and form != "text":
        names = ["all"]
    found = Selection.of(load_study(directory), names, sort, where)
    if form == "csv":
        console.write(to_csv(found.columns, found.rows), output)
    else:
        console.report(found.to_dict(), render_rows, form, output)
