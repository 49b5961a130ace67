"""``shardplan validate``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options


@click.command(
    "validate",
    cls=Command,
    examples="""
    shardplan validate
    shardplan validate --against ./my-measurements.json --format json
    """,
)
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    help="Measurements to compare with instead of the shipped ones; may be repeated.",
)
@report_options
@click.pass_context
def command(
    ctx: click.Context, against: tuple[str, ...], form: str, output: str
) -> None:
    """Compare predictions with published measurements.

    For every measurement: predicted, measured, error, tolerance; for every group:
    mean and worst error; for steps: the bias of each GPU generation, the ranking of
    systems, their scaling, and the error of a system or generation that took no part
    in the fit of constants. Measurements of one's own never take part in a fit. The
    exit code is 1 if a measurement is outside its tolerance.
    """
    from shardplan.report.validation import render_validation
    from shardplan.validation import load_measurements, validate_model

    validation = validate_model(load_measurements(against), shipped=not against)
    console.report(validation.to_dict(), render_validation, form, output)
    if not validation.passed:
        ctx.exit(1)
