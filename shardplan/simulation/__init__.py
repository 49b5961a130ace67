"""Simulate the training step that a plan leads to."""

from shardplan.simulation.result import Simulation as Simulation
from shardplan.simulation.slopes import Explanation as Explanation
from shardplan.simulation.slopes import explain as explain
from shardplan.simulation.spread import step_range as step_range
from shardplan.simulation.step import simulate as simulate
from shardplan.simulation.trace import trace_events as trace_events
from shardplan.simulation.trace import write_trace as write_trace
from shardplan.steps.settings import SimulationSettings as SimulationSettings

__all__ = [
    "Explanation",
    "Simulation",
    "SimulationSettings",
    "explain",
    "simulate",
    "step_range",
    "trace_events",
    "write_trace",
]
