"""Simulate the training step that a plan leads to."""

from shardplan.simulate.result import Simulation as Simulation
from shardplan.simulate.settings import SimulationSettings as SimulationSettings
from shardplan.simulate.slopes import Explanation as Explanation
from shardplan.simulate.slopes import explain as explain
from shardplan.simulate.step import simulate as simulate
from shardplan.simulate.trace import trace_events as trace_events
from shardplan.simulate.trace import write_trace as write_trace

__all__ = [
    "Explanation",
    "Simulation",
    "SimulationSettings",
    "explain",
    "simulate",
    "trace_events",
    "write_trace",
]
