"""``shardplan study diff``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import limit_option, list_limit, report_options


@click.command("diff", cls=Command, examples="shardplan study diff before after")
@click.argument("before", metavar="DIR_A", type=click.Path())
@click.argument("after", metavar="DIR_B", type=click.Path())
@limit_option("points of each kind")
@report_options
def command(before: str, after: str, limit: int | None, form: str, output: str) -> None:
    """Compare two studies by their results.

    What was asked otherwise: the study file and the inputs. What came out otherwise
    for points that have the same values on all axes, largest changes first, and the
    points that only one of the studies has.
    """
    from shardplan.report.study_diff import render_study_diff, study_diff_data
    from shardplan.studies.diff import diff_studies
    from shardplan.studies.runner import load_study

    old, new = load_study(before), load_study(after)
    data = study_diff_data(
        old,
        new,
        diff_studies(old, new),
        versions=(_made_by(before), _made_by(after)),
        limit=list_limit(limit, form),
    )
    console.report(data, render_study_diff, form, output)


def _made_by(directory: str) -> str:
    """Return the release of shardplan that found the last results in a folder."""
    from shardplan.studies.directory import ResultFolder

    return ResultFolder(directory).journal().version
