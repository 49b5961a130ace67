"""``shardplan solve``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.changes import change_options, settings_of
from shardplan.cli.options import (
    CatalogueEntry,
    FiniteRange,
    QuantityRange,
    RanksOrAuto,
    WholeRange,
    complete_solver,
    cost_model_option,
    format_option,
)
from shardplan.cli.progress import MODES
from shardplan.cli.progress import progress as observed
from shardplan.errors import InfeasibleError, LimitError
from shardplan.records.sharding import Objective, ReplicaLayout, Target
from shardplan.units import Dimension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.io.settings import Setting
    from shardplan.planning.interrupts import Interrupts
    from shardplan.planning.result import PlanResult
    from shardplan.records.inputs import Inputs


@click.command(
    "solve",
    cls=Command,
    examples="""
    shardplan solve dlrm-dcnv2 --topology dgx-h100:2 -o plan.json
    shardplan solve ./model.toml --topology ./cluster.toml --target torchrec
    shardplan solve neo-a --topology zionex --time-limit 60 --gap 0.01 --format json
    shardplan solve dlrm-v1 --topology dgx-h100 --set workload.tables.*.dtype=fp16
    """,
)
@click.argument("workload", type=CatalogueEntry("workloads"))
@click.option(
    "--topology",
    metavar="NAME[:HOSTS]",
    type=CatalogueEntry("topologies"),
    required=True,
    help="The cluster: a shipped name or a path.",
)
@click.option(
    "--hosts",
    metavar="N",
    type=WholeRange(min=1, max=65_536),
    help="Hosts to use instead of the topology's own number.",
)
@cost_model_option
@change_options
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    default=Target.ANY.value,
    help="The framework that will run the plan (default: any).",
)
@click.option(
    "--sharding-group",
    metavar="RANKS",
    type=RanksOrAuto(),
    help="Two-dimensional parallelism: as many ranks share the tables, and the "
    "cluster has several such groups with a copy each; 'auto' compares quick plans of "
    "all sizes (default: all ranks share them).",
)
@click.option(
    "--replicas",
    type=click.Choice([layout.value for layout in ReplicaLayout]),
    help="Where copies of sharding groups meet: inside hosts or across them (default: "
    "the better).",
)
@click.option(
    "--sync-every",
    metavar="STEPS",
    type=WholeRange(min=1, max=1_000_000),
    help="Average copies after as many steps (default: 1).",
)
@click.option(
    "--objective",
    type=click.Choice([objective.value for objective in Objective]),
    help="What plans are compared by, and what their bound and gap are of: the "
    "predicted step (time), the sum over phases of the slowest rank (step), or the "
    "slowest rank's sum over phases (max-rank) (default: time, or max-rank with "
    "TorchRec's cost model, which cannot time a step).",
)
@click.option(
    "--solver",
    metavar="NAME",
    shell_complete=complete_solver,
    default="auto",
    help="auto, greedy, ldm, ilp, cbc or that of a plug-in (default: auto).",
)
@click.option(
    "--time-limit",
    metavar="TIME",
    type=QuantityRange(Dimension.SECONDS, min=0, min_open=True),
    help="End the whole command after about this long, in seconds or with a unit such "
    "as '10 min', with the best plan found (default: no limit).",
)
@click.option(
    "--work-limit",
    metavar="N",
    type=QuantityRange(Dimension.COUNT, min=0, min_open=True),
    help="Stop the search after this much work, counted in evaluated moves; unlike a "
    "time limit it gives the same plan on every machine (default: no limit).",
)
@click.option(
    "--write-lp",
    metavar="FILE",
    type=click.Path(),
    callback=console.place,
    help="Also write the integer program of solver ilp or cbc in LP format.",
)
@click.option(
    "--gap",
    metavar="FRACTION",
    type=FiniteRange(min=0),
    default=0.0,
    help="Stop at a plan whose gap, the relative distance of the --objective in use "
    "to its lower bound, is at most this (default: 0).",
)
@click.option(
    "--seed",
    metavar="N",
    type=WholeRange(min=0, max=2**32 - 1),
    default=0,
    help="Seed of solvers that draw random numbers (default: 0).",
)
@click.option(
    "--workers",
    metavar="N",
    type=WholeRange(min=1, max=64),
    default=1,
    help="Processes for solver auto: the second proves while the first searches, more "
    "search with other seeds. Each takes memory for the whole problem. They have no "
    "effect under a work limit (default: 1).",
)
@click.option(
    "--solver-params",
    "params",
    metavar="FILE",
    type=click.Path(),
    help="Take numbers of the solver from a TOML file; what it leaves out keeps its "
    "default.",
)
@click.option(
    "--rounds",
    metavar="N",
    type=WholeRange(min=0, max=100),
    default=0,
    help="Under the sums, step and max-rank: solve again up to N times with what "
    "phases cost in the predicted step, and keep the plan whose simulated step is "
    "shortest (default: 0).",
)
@click.option(
    "--progress",
    type=click.Choice(MODES),
    default="auto",
    help="What standard error shows of a long search: a line that changes, on a "
    "terminal only (auto), a line for every change, at most every few seconds "
    "(plain), or nothing (default: auto).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    callback=console.place,
    help="Write the plan to FILE; '-' writes it, and nothing else, to standard output.",
)
@format_option
@click.pass_obj
def command(
    interrupts: Interrupts, /, form: str, output: str | None, **arguments: Any
) -> None:
    """Find a shard plan.

    The summary goes to standard output, the plan to the file of -o. Ctrl-C or SIGTERM
    stops with the best plan found so far; a second one ends at once.
    """
    try:
        settings = settings_of(arguments)
        result = _solve(output, settings=settings, **arguments, interrupts=interrupts)
    except (InfeasibleError, LimitError) as error:
        for text in error.warnings:
            console.warn(text)
        if form == "json" and output != console.STDOUT:
            from shardplan.report.solution import failure_data

            console.write(console.json_report(failure_data(error)))
        raise
    _write(result, form, output)


def _solve(
    output: str | None,
    *,
    workload: str,
    topology: str,
    cost_model: str | None,
    hosts: int | None,
    settings: Sequence[Setting],
    time_limit: float | None,
    work_limit: float | None,
    write_lp: str | None,
    progress: str,
    **arguments: Any,
) -> PlanResult:
    started = time.monotonic()
    from shardplan.planning.planner import load_inputs, solve
    from shardplan.plans.plan_file import expected_bytes

    _require_groups(arguments, write_lp)
    inputs = load_inputs(workload, topology, cost_model, hosts, settings)
    console.require_place(output, expected_bytes(inputs))
    if write_lp is not None:
        _write_lp(write_lp, inputs, arguments)
    with observed(progress) as observer, console.strays_to_stderr():
        return solve(
            inputs.workload,
            inputs.topology,
            inputs.cost_model,
            **arguments,
            time_limit_s=max(0.0, _limit(time_limit) - (time.monotonic() - started)),
            work_limit=_limit(work_limit),
            observer=observer,
        )


def _require_groups(arguments: dict[str, Any], write_lp: str | None) -> None:
    """Refuse options of sharding groups without any; steps to average after: 1."""
    if arguments["sharding_group"] is None:
        for name in ("replicas", "sync_every"):
            if arguments[name] is not None:
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} goes with --sharding-group")
    elif write_lp is not None:
        raise click.UsageError("--write-lp does not go with --sharding-group")
    arguments["sync_every"] = arguments["sync_every"] or 1


def _limit(value: float | None) -> float:
    return float("inf") if value is None else value


def _write_lp(path: str, inputs: Inputs, arguments: dict[str, Any]) -> None:
    """Write the integer program that solver ilp or cbc is about to solve."""
    if arguments["solver"] not in ("ilp", "cbc"):
        raise click.UsageError("--write-lp goes with --solver ilp or cbc")
    if path == console.STDOUT:
        raise click.BadParameter("the program needs a file", param_hint="--write-lp")
    from shardplan.planning.planner import integer_program

    chosen = {name: arguments[name] for name in ("target", "objective", "params")}
    text = integer_program(
        inputs.workload, inputs.topology, inputs.cost_model, **chosen
    )
    console.write(text, path)


def _write(result: PlanResult, form: str, output: str | None) -> None:
    """Write the plan and report the solution."""
    for text in result.plan.outcome.warnings:
        console.warn(text)
    if output is not None:
        from shardplan.plans.plan_file import format_plan

        console.keep(format_plan(result.plan), output)
    if output != console.STDOUT:
        from shardplan.report.solution import render_solution, solution_data

        console.report(solution_data(result, output), render_solution, form)
