"""``shardplan study run``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import WholeRange, format_option
from shardplan.cli.progress import MODES
from shardplan.cli.study.progress import study_progress

if TYPE_CHECKING:
    from shardplan.planning.interrupts import Interrupts
    from shardplan.studies.study import Study

_MOST_SAID = 5
"""Points without a result that are named."""


@click.command(
    "run",
    cls=Command,
    examples="""
    shardplan study run study.toml -o results
    shardplan study run study.toml -o results --workers 8 --only hosts=16
    shardplan study run study.toml -o results --scheduler tcp://10.0.0.1:8786
    shardplan study run results -o results
    """,
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(),
    required=True,
    help="Keep results in the folder DIR; a run of the same study there goes on.",
)
@click.option(
    "--workers",
    metavar="N",
    type=WholeRange(min=1, max=1024),
    help="Processes of this machine (default: as many as cores if dask is installed, "
    "else 1).",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use the workers of a Dask scheduler, such as tcp://10.0.0.1:8786.",
)
@click.option(
    "--only",
    metavar="AXIS=VALUE",
    multiple=True,
    help="Run only points with this value; may be repeated.",
)
@click.option("--fresh", is_flag=True, help="Forget all results in DIR first.")
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
    file: str,
    directory: str,
    workers: int | None,
    scheduler: str | None,
    only: tuple[str, ...],
    fresh: bool,
    progress: str,
    form: str,
) -> None:
    """Run the points of a study that have no result yet.

    Every finished point is kept at once: after Ctrl-C, SIGTERM or a crash the same
    command goes on, and after an edit of FILE it runs only what has changed. FILE may
    be a folder of results as well, which has all inputs, wherever it lies. That a point
    fits nowhere is a result. The exit code is 1 if points ended in errors.
    """
    from shardplan.report.study_summary import render_summary
    from shardplan.studies.runner import run
    from shardplan.studies.summary import summary

    if directory == console.STDOUT:
        raise click.BadParameter("results need a folder", param_hint="--output")
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other")
    if workers is None:
        workers = _cores() if scheduler is None else 1
    interrupts: Interrupts = ctx.obj
    with study_progress(progress) as observer, console.strays_to_stderr():
        found = run(
            file,
            directory,
            workers=workers,
            scheduler=scheduler,
            only=only,
            fresh=fresh,
            observer=observer,
            interrupts=interrupts,
        )
    console.report({**summary(found), "folder": directory}, render_summary, form)
    if _say_errors(found):
        ctx.exit(1)


def _cores() -> int:
    """Return how many processes to use; say where more could be."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    if cores > 1 and find_spec("distributed") is None:
        console.note(
            "Runs in 1 process; for all cores: pip install 'shardplan[study]'\n"
        )
        return 1
    return cores


def _say_errors(study: Study) -> bool:
    """Name points that ended in errors or were lost."""
    wrong = {
        row.point.number: str(row.values["message"])
        for row in study.rows
        if row.status == "error"
    } | dict(study.lost)
    for number in sorted(wrong)[:_MOST_SAID]:
        console.warn(f"point {number}: {wrong[number]}")
    if len(wrong) > _MOST_SAID:
        console.warn(f"and {len(wrong) - _MOST_SAID:,} points more ended in errors")
    return bool(wrong)
