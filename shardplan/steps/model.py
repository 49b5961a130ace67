"""Predict the step from what the tables ask of every rank: the objective `time`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.memo import by_identity
from shardplan.steps.path import StepGraph
from shardplan.steps.program import build_program
from shardplan.steps.settings import SimulationSettings

if TYPE_CHECKING:
    from shardplan.costs.pricer import ModelPricer
    from shardplan.records.arrays import Floats
    from shardplan.steps.meeting import Meeting
    from shardplan.steps.operation import Stage
    from shardplan.steps.sparse_work import SparseWork


@dataclass(frozen=True, eq=False)
class Prediction:
    """The steady step that some work leads to.

    Attributes
    ----------
    names : tuple of K str
        The operations of a step, in order of issue.
    stages : tuple of K Stage
    rank_seconds : float array (K, W)
        What each takes on every rank [s].
    meetings : tuple of K Meeting or None
        Which ranks meet in each.
    graph : StepGraph
        What waits for what among them.
    """

    names: tuple[str, ...]
    stages: tuple[Stage, ...]
    rank_seconds: Floats
    meetings: tuple[Meeting | None, ...]
    graph: StepGraph

    @cached_property
    def seconds(self) -> Floats:
        """What each operation takes on its slowest rank (K,) [s]."""
        return np.asarray(self.rank_seconds.max(axis=1))

    @cached_property
    def step_s(self) -> float:
        """The longest path through the step: the value of objective `time` [s]."""
        return float(self.graph.step(self.rank_seconds, self.meetings).max())

    @cached_property
    def passes(self) -> Floats:
        """How often the longest path passes each operation on every rank (K, W).

        Times `rank_seconds` they add up to the step.
        """
        return self.graph.circuit(self.rank_seconds, self.meetings)

    @cached_property
    def criticality(self) -> dict[str, float]:
        """By how much the step grows with each operation: 1 is second for second.

        It is the operation on the ranks where the longest path passes it that counts;
        these need not be its slowest.
        """
        counts = self.passes.sum(axis=1)
        return dict(zip(self.names, counts.tolist(), strict=True))

    def seconds_of(self, name: str) -> float:
        """Return what an operation takes; 0 for one that the step does not have [s]."""
        if name not in self.names:
            return 0.0
        return float(self.seconds[self.names.index(name)])


@dataclass(frozen=True, eq=False)
class StepModel:
    """The step of one workload on one system.

    Notes
    -----
    The program is the simulator's, with nothing slowed by what runs beside it;
    `simulate` under `SimulationSettings.path` gives the same step.
    """

    pricer: ModelPricer
    settings: SimulationSettings = field(default_factory=SimulationSettings.path)
    _graphs: dict[tuple[bool, ...], StepGraph] = field(default_factory=dict)

    def predict(self, work: SparseWork) -> Prediction:
        """Predict the step.

        Raises
        ------
        InputError
            If there are dense layers, but the topology gives no arithmetic rate.
        """
        program = build_program(self.pricer, work, self.settings)
        # What takes no time changes the graph: it does not occupy its stream.
        key = tuple(operation.is_idle for operation in program)
        if key not in self._graphs:
            self._graphs[key] = StepGraph.of(program)
        return Prediction(
            tuple(operation.name for operation in program),
            tuple(operation.stage for operation in program),
            np.array([operation.seconds for operation in program]),
            tuple(operation.meeting for operation in program),
            self._graphs[key],
        )


@by_identity
def step_model(pricer: ModelPricer) -> StepModel:
    """Return the model for a pricer; the last ones are kept."""
    return StepModel(pricer)
