"""``shardplan simulate``."""

from __future__ import annotations

from functools import partial

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import (
    complete_words,
    plan_argument,
    plot_option,
    read_ranks,
    report_options,
)
from shardplan.cli.plans import draw, load_checked


def _complete_runtime(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the runtimes of the plan's cost model, or of all shipped ones."""
    from shardplan.errors import ShardplanError
    from shardplan.io.catalog import load_cost_model, names
    from shardplan.plans.plan import Plan

    try:
        models = [Plan.load(ctx.params["plan"]).inputs.cost_model]
    except (KeyError, TypeError, ShardplanError):
        models = [load_cost_model(name) for name in names("cost_models")]
    known = {name for model in models for name in getattr(model, "runtimes", ())}
    return complete_words(sorted(known), incomplete)


@click.command(
    "simulate",
    cls=Command,
    examples="""
    shardplan simulate plan.json
    shardplan simulate plan.json --explain
    shardplan simulate plan.json --trace trace.json --ranks 0-3
    shardplan simulate plan.json --plot timeline.svg
    """,
)
@plan_argument()
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(),
    callback=console.place,
    help="Write a trace for Perfetto or chrome://tracing.",
)
@click.option(
    "--ranks",
    metavar="RANKS",
    help="Ranks in the trace, such as 0-3,8 (default: the critical rank and the "
    "first others).",
)
@click.option(
    "--runtime",
    metavar="NAME",
    shell_complete=_complete_runtime,
    help="A runtime of the cost model, such as eager (default: its default one).",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Say what bounds each operation, and what 1 % more of everything saves.",
)
@plot_option("the timeline of the critical rank and of some others")
@report_options
def command(
    plan: str,
    trace: str | None,
    ranks: str | None,
    runtime: str | None,
    explain: bool,
    plot: str | None,
    form: str,
    output: str,
) -> None:
    """Simulate the training step of a plan.

    Step time and throughput, where the time goes, and which rank holds the others
    up, with latencies, overlap of computation and communication, and the dense
    layers.
    """
    from shardplan.records.torchrec_cost_model import measured
    from shardplan.report.step import render_step, step_data
    from shardplan.simulation import SimulationSettings, simulate, write_trace
    from shardplan.simulation import explain as explain_step

    if plot is not None:
        from shardplan.report.plot import require_matplotlib

        require_matplotlib()
    if trace == console.STDOUT:
        raise click.BadParameter("the trace needs a file", param_hint="--trace")
    if ranks is not None and trace is None:
        raise click.BadParameter("needs --trace", param_hint="--ranks")
    evaluation, verdict = load_checked(plan)
    loaded = evaluation.plan
    chosen = None if ranks is None else read_ranks(ranks, loaded.world_size)
    try:
        measured(loaded.inputs.cost_model).runtime_named(runtime)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--runtime") from None
    simulation = simulate(loaded, SimulationSettings(runtime=runtime))
    reasons = explain_step(simulation) if explain else None
    if trace is not None:
        write_trace(simulation, trace, chosen)
    if plot is not None:
        from shardplan.report.plot import timeline_plot
        from shardplan.report.timeline import timeline_data

        draw(plot, partial(timeline_plot, timeline_data(simulation)), evaluation)
    data = step_data(simulation, verdict, trace, reasons)
    console.report(data, render_step, form, output)
