"""``shardplan stats measure``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import WholeRange, format_option


def _name_of_folder(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Refuse what is no name: an empty text, and that of standard output."""
    if value in ("", console.STDOUT):
        rule = f"{value!r} is no folder: statistics are written into one"
        raise click.BadParameter(rule, ctx, param)
    return value


@click.command(
    "measure",
    cls=Command,
    examples="""
    shardplan stats measure clicks.parquet --features mapping.toml -o statistics
    shardplan stats measure day_*.gz --features criteo.toml -o statistics --workers 2
    """,
)
@click.argument("logs", nargs=-1, required=True, type=click.Path())
@click.option(
    "--features",
    metavar="MAPPING",
    required=True,
    type=click.Path(),
    help="A TOML file: which columns look up which tables.",
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    required=True,
    type=click.Path(),
    callback=_name_of_folder,
    help="Write statistics.json into FOLDER, which is replaced whole.",
)
@click.option(
    "--workers",
    type=WholeRange(min=1, max=256),
    default=1,
    help="Processes (default: 1); the result is the same for any number.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse a log of which anything cannot be read, instead of naming it.",
)
@format_option
def command(
    logs: tuple[str, ...],
    features: str,
    output: str,
    workers: int,
    form: str,
    *,
    strict: bool,
) -> None:
    """Measure the tables of a log: how often, how hot, and how soon rows come again.

    LOGS are Parquet, CSV, TSV (Criteo's, too), npy, npz, pt or libffm files, text also
    compressed (.gz, .zst, .bz2), and folders of such files, which are read in the order
    of their names. What cannot be read costs its own rows, and is named. Exit code 1: a
    wrong mapping, no such file or column, ids that are no rows, nothing to read.
    """
    from shardplan.report.statistics_view import render_statistics, statistics_data
    from shardplan.statistics.folder import require_folder, write_statistics
    from shardplan.statistics.mapping_file import load_mapping
    from shardplan.statistics.measure import measure

    require_folder(output)
    found = measure(logs, load_mapping(features), workers=workers, strict=strict)
    write_statistics(found, output)
    for unread in found.unread:
        console.warn(f"{unread.path}: {unread.reason}")
    console.report(statistics_data(found), render_statistics, form, console.STDOUT)
