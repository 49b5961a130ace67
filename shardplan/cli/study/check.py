"""``shardplan study check``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options


@click.command(
    "check",
    cls=Command,
    examples="""
    shardplan study check study.toml
    shardplan study check study.toml --format json -o study.json
    """,
)
@click.argument("file", metavar="FILE", type=click.Path())
@report_options
def command(file: str, form: str, output: str) -> None:
    """Say what a study would run, or what is wrong with its file.

    Axes, points and what is left out of them, the inputs, and the columns that will
    stay empty. Every value of every axis is tried; nothing is planned.
    """
    from shardplan.report.study_check import render_study
    from shardplan.studies.overview import overview
    from shardplan.studies.spec import load_spec

    spec = load_spec(file)
    for warning in spec.warnings:
        console.warn(warning)
    console.report(overview(spec), render_study, form, output)
