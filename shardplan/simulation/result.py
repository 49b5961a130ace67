"""What a simulation finds out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.records.brief import Brief
from shardplan.simulation.breakdown import breakdown, exposures
from shardplan.simulation.critical import critical_path
from shardplan.simulation.memory import MemoryUse
from shardplan.simulation.run_time import run_time
from shardplan.simulation.traffic import link_loads
from shardplan.steps.operation import Stage, Stream
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats
    from shardplan.simulation.breakdown import Breakdown, Exposure
    from shardplan.simulation.critical import CriticalPath
    from shardplan.simulation.run_time import RunTime
    from shardplan.simulation.timeline import Run, Timeline
    from shardplan.simulation.traffic import LinkLoads
    from shardplan.steps.settings import SimulationSettings


@dataclass(frozen=True, eq=False)
class PhaseRow:
    """One operation of the steady step.

    Attributes
    ----------
    lead : int
        Batches that it runs ahead.
    start_s, end_s : float
        When its first rank begins and its last one ends [s]; the first operation
        of the step begins at 0.
    busy_s : float array (W,)
        What it takes on each rank, waiting not included [s].
    exposed_s : float
        Mean over ranks of the time in which nothing hides it [s].
    """

    name: str
    stage: Stage
    stream: Stream
    lead: int
    start_s: float
    end_s: float
    busy_s: Floats
    exposed_s: float

    @property
    def mean_s(self) -> float:
        """Mean over the ranks [s]."""
        return float(self.busy_s.mean())

    @property
    def max_s(self) -> float:
        """The slowest rank [s]."""
        return float(self.busy_s.max())

    @property
    def critical_rank(self) -> int:
        """The slowest rank; the first of equal ones."""
        return int(self.busy_s.argmax())

    def to_dict(self, *, per_rank: bool = False) -> dict[str, Any]:
        """Return the row as JSON-able data, with seconds of all ranks if asked."""
        row = {
            "name": self.name,
            "stage": self.stage.value,
            "stream": self.stream.value,
            "lead": self.lead,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "mean_s": self.mean_s,
            "max_s": self.max_s,
            "critical_rank": self.critical_rank,
            "exposed_s": self.exposed_s,
        }
        return {**row, "busy_s": self.busy_s.tolist()} if per_rank else row


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Brief):
    """The steady state of training with a plan.

    Attributes
    ----------
    settings : SimulationSettings
        What was taken into account.
    evaluation : Evaluation
        The prices that it rests on.
    step_time_s : float
        From the end of one batch to the end of the next [s].
    batch_size : int
        Global batch [samples].
    timeline : Timeline
        All simulated batches.

    Notes
    -----
    Everything else is worked out from these when it is first asked for.
    """

    settings: SimulationSettings
    evaluation: Evaluation
    step_time_s: float
    batch_size: int
    timeline: Timeline

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        inputs = self.evaluation.plan.inputs
        return {
            "workload": inputs.workload.name,
            "topology": f"{inputs.topology.name}: {plural(self._world_size, 'rank')}",
            "step time": format_seconds(self.step_time_s),
            "throughput": f"{self.throughput_samples_per_s:,.0f} samples/s",
        }

    @cached_property
    def phases(self) -> tuple[PhaseRow, ...]:
        """Operations in order of issue, without those that take no time."""
        return phase_rows(self.timeline, self._exposures)

    @cached_property
    def breakdown(self) -> Breakdown:
        """Where the time of a step goes."""
        return breakdown(self.timeline, self._exposures)

    @cached_property
    def critical(self) -> CriticalPath:
        """Why the step takes as long as it does."""
        return critical_path(self.timeline)

    @cached_property
    def links(self) -> LinkLoads:
        """Bytes on the links of the cluster in one step."""
        return link_loads(self.evaluation, self.timeline, self.step_time_s)

    @cached_property
    def memory(self) -> MemoryUse:
        """What memory holds during the step."""
        return MemoryUse.of(self.evaluation)

    @cached_property
    def run(self) -> RunTime | None:
        """How long training to the target takes; None where no target is known."""
        run = self.evaluation.plan.inputs.workload.run
        if run is None:
            return None
        forward = (p.end_s for p in self.phases if p.stage is Stage.DENSE_FORWARD)
        exchanged = (p.end_s for p in self.phases if p.stage is Stage.FWD_COMMS)
        forward_s = max((*forward, *exchanged), default=0.0)
        return run_time(run, self.batch_size, self.step_time_s, forward_s)

    @cached_property
    def _exposures(self) -> list[Exposure]:
        return exposures(self.timeline)

    @property
    def throughput_samples_per_s(self) -> float:
        """Samples per second over all ranks; infinite for a step without work."""
        if not self.step_time_s:
            return float("inf")
        return self.batch_size / self.step_time_s

    @property
    def critical_rank(self) -> int:
        """The rank that holds up the others the most."""
        return self.critical.rank

    def exposed_s_by_stage(self) -> dict[str, float]:
        """Mean time that each stage takes from the step, waits in it included [s].

        Notes
        -----
        What other work hides does not count.
        """
        found: dict[str, float] = {}
        for part in self._exposures:
            stage = part.run.operation.stage.value
            seconds = float((part.exposed + part.waiting).mean())
            found[stage] = found.get(stage, 0.0) + seconds
        return found

    def rank_busy_s(self, stream: Stream = Stream.COMPUTE) -> Floats:
        """Return each rank's working seconds of a step on one stream (W,)."""
        busy = [phase.busy_s for phase in self.phases if phase.stream is stream]
        return np.sum(busy, axis=0) if busy else np.zeros(self._world_size)

    @property
    def _world_size(self) -> int:
        return self.evaluation.cluster.world_size

    def to_dict(self, *, per_rank: bool = False) -> dict[str, Any]:
        """Return the results as JSON-able data, with lists over ranks if asked."""
        throughput = self.throughput_samples_per_s
        result: dict[str, Any] = {
            "step_time_s": self.step_time_s,
            "throughput_samples_per_s": throughput if self.step_time_s else None,
            "global_batch_size": self.batch_size,
            "world_size": self._world_size,
            "settings": asdict(self.settings),
            "phases": [phase.to_dict(per_rank=per_rank) for phase in self.phases],
            "breakdown": self.breakdown.to_dict(),
            "critical": self.critical.to_dict(),
            "links": self.links.to_dict(),
            "memory": self.memory.to_dict(),
        }
        if self.run is not None:
            result["run"] = self.run.to_dict()
        if per_rank:
            result["rank_busy_s"] = {
                stream.value: self.rank_busy_s(stream).tolist() for stream in Stream
            }
        return result


def phase_rows(timeline: Timeline, parts: list[Exposure]) -> tuple[PhaseRow, ...]:
    """Return a row for every operation issued in the steady step that takes time."""
    runs = [run for run in timeline.steady_runs if not run.operation.is_idle]
    origin = min((float(run.start.min()) for run in runs), default=0.0)
    exposed: dict[str, float] = {}
    for part in parts:
        name = part.run.operation.name
        exposed[name] = exposed.get(name, 0.0) + float(part.exposed.mean())
    return tuple(
        PhaseRow(
            name=run.operation.name,
            stage=run.operation.stage,
            stream=run.operation.stream,
            lead=run.operation.lead,
            start_s=float(run.start.min()) - origin,
            end_s=float(run.end.max()) - origin,
            busy_s=_busy(run),
            exposed_s=exposed.get(run.operation.name, 0.0),
        )
        for run in runs
    )


def _busy(run: Run) -> Floats:
    """Seconds of each rank's own part, as long as it was slowed by others."""
    return run.done - run.start
