"""``shardplan stats measure``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import WholeRange, format_option
from shardplan.cli.progress import MODES
from shardplan.cli.stats.progress import measure_progress
from shardplan.errors import LimitError

if TYPE_CHECKING:
    from shardplan.planning.interrupts import Interrupts


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
    metavar="N",
    type=WholeRange(min=1, max=256),
    help="Processes of this machine (default: 1); the result is the same for any "
    "number.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use the workers of a Dask scheduler, such as tcp://10.0.0.1:8786.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse a log of which anything cannot be read, instead of naming it.",
)
@click.option(
    "--progress",
    type=click.Choice(MODES),
    default="auto",
    help="What standard error shows: a line that changes, on a terminal only (auto), "
    "a line every few seconds (plain), or nothing (default: auto).",
)
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    logs: tuple[str, ...],
    features: str,
    output: str,
    workers: int | None,
    scheduler: str | None,
    progress: str,
    form: str,
    *,
    strict: bool,
) -> None:
    """Measure the tables of a log: how often, how hot, and how soon rows come again.

    LOGS are Parquet, CSV, TSV (Criteo's, too), npy, npz, pt or libffm files, text also
    compressed (.gz, .zst, .bz2), and folders of such files, which are read in the order
    of their names. What cannot be read costs its own rows, and is named. Exit code 1: a
    wrong mapping, no such file or column, ids that are no rows, nothing to read.

    What is counted is kept beside FOLDER until it is written: after Ctrl-C, SIGTERM or
    a crash the same command goes on.
    """
    from shardplan.report.statistics_view import render_statistics, statistics_data
    from shardplan.statistics.folder import require_folder, write_statistics
    from shardplan.statistics.mapping_file import load_mapping
    from shardplan.statistics.measure import measure
    from shardplan.statistics.work_folder import beside

    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other")
    require_folder(output)
    mapping = load_mapping(features)
    interrupts: Interrupts = ctx.obj
    with beside(output).held() as folder, measure_progress(progress) as observer:
        try:
            found = measure(
                logs,
                mapping,
                workers=workers or 1,
                scheduler=scheduler,
                strict=strict,
                folder=folder,
                observer=observer,
            )
        except KeyboardInterrupt:
            text = f"{interrupts.word}: what is counted is kept in {folder.path}; the "
            text += "same command goes on"
            raise LimitError(text, interrupted=True) from None
        write_statistics(found, output)
        folder.remove()
    for unread in found.unread:
        console.warn(f"{unread.path}: {unread.reason}")
    console.report(statistics_data(found), render_statistics, form, console.STDOUT)
