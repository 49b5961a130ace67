"""Simulate a training step: the time that a plan leads to, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.plans.evaluation import evaluate
from shardplan.plans.sparse_work import sparse_work
from shardplan.simulation.engine import run_in_line, run_overlapped
from shardplan.simulation.result import Simulation
from shardplan.steps.program import build_program
from shardplan.steps.settings import SimulationSettings

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan


def simulate(plan: Plan, settings: SimulationSettings | None = None) -> Simulation:
    """Simulate training with a plan.

    Parameters
    ----------
    plan : Plan
        With the inputs that it was made for.
    settings : SimulationSettings, optional
        What to take into account; by default everything.

    Returns
    -------
    Simulation
        The steady state: the step, what limits it, links and memory.

    Raises
    ------
    InputError
        If there are dense layers, but the topology gives no arithmetic rate.

    Notes
    -----
    The step is an explicit graph of operations (`program`), run for several batches
    on the streams of all ranks (`engine`); the time between the ends of two of them
    is the step. Under `SimulationSettings.bare` it equals the `step` objective of
    `shardplan.evaluate`.
    """
    chosen = settings or SimulationSettings()
    evaluation = evaluate(plan)
    program = build_program(evaluation.measured_pricer, sparse_work(evaluation), chosen)
    run = run_overlapped if chosen.overlap else run_in_line
    timeline = run(program, chosen.num_batches + 1)
    begin, end = timeline.window
    return Simulation(
        settings=chosen,
        evaluation=evaluation,
        step_time_s=end - begin,
        batch_size=evaluation.usage.batch_size * plan.inputs.topology.replicas,
        timeline=timeline,
    )
