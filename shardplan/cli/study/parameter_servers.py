"""``shardplan study parameter-servers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import (
    CatalogueEntry,
    FiniteRange,
    QuantityRange,
    WholeRange,
    complete_solver,
    cost_model_option,
    report_options,
)
from shardplan.units import Dimension

if TYPE_CHECKING:
    from shardplan.planning.interrupts import Interrupts

_HOSTS = WholeRange(min=1, max=65_536)


@click.command(
    "parameter-servers",
    cls=Command,
    examples="""
    shardplan study parameter-servers dlrm-dcnv2 --topology dgx-h100:2
    shardplan study parameter-servers neo-i --topology zionex --workers 64 --servers 32
    """,
)
@click.argument("workload", type=CatalogueEntry("workloads"))
@click.option(
    "--topology",
    metavar="NAME[:HOSTS]",
    type=CatalogueEntry("topologies"),
    required=True,
    help="The cluster that trains synchronously: a shipped name or a path.",
)
@cost_model_option
@click.option(
    "--solver",
    metavar="NAME",
    shell_complete=complete_solver,
    default="greedy",
    help="Solver of the plan for the cluster (default: greedy).",
)
@click.option(
    "--host",
    metavar="NAME",
    type=CatalogueEntry("topologies"),
    default="cpu-host",
    help="The host that workers and servers are (default: cpu-host).",
)
@click.option(
    "--workers", metavar="N", type=_HOSTS, default=16, help="Workers (default: 16)."
)
@click.option(
    "--servers",
    metavar="N",
    type=_HOSTS,
    help="Parameter servers (default: as many as workers).",
)
@click.option(
    "--batch",
    metavar="N",
    type=QuantityRange(Dimension.COUNT, is_whole=True, min=1, max=2**31),
    help="Samples per step and worker (default: those of a rank of the cluster).",
)
@click.option(
    "--noise",
    metavar="SHARE",
    type=FiniteRange(min=0, max=10),
    default=0.1,
    help="Standard deviation of a worker's step over its mean (default: 0.1).",
)
@click.option(
    "--staleness",
    metavar="STEPS",
    type=WholeRange(min=0, max=10**6),
    multiple=True,
    default=(1, 8),
    help="Steps that a worker may be ahead; may be repeated (default: 1 and 8).",
)
@report_options
@click.pass_obj
def command(
    interrupts: Interrupts,
    /,
    workload: str,
    topology: str,
    cost_model: str | None,
    solver: str,
    host: str,
    workers: int,
    servers: int | None,
    batch: int | None,
    noise: float,
    staleness: tuple[int, ...],
    form: str,
    output: str,
) -> None:
    """Compare parameter servers on CPUs with the synchronous step of a plan.

    Throughput of synchronous, bounded-staleness and asynchronous workers, and what
    bounds them, beside that of the simulated step of a plan on a cluster.
    """
    from shardplan.planning.planner import load_inputs, solve
    from shardplan.report.parameter_servers import render_comparison
    from shardplan.studies.parameter_servers import ServerSetup, compare

    hosts = load_inputs(workload, host, None, 1)
    found = solve(workload, topology, cost_model, solver=solver, interrupts=interrupts)
    plan = found.plan
    samples = plan.inputs.workload.batch_over(plan.world_size)
    setup = ServerSetup(
        num_workers=workers,
        num_servers=workers if servers is None else servers,
        batch_size=batch or max(samples // plan.world_size, 1),
        noise=noise,
    )
    data = {**compare(plan, hosts, setup, staleness), "bound": found.bound}
    console.report(data, render_comparison, form, output)
