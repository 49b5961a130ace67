"""When every operation ran on every rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.records.arrays import Floats
    from shardplan.steps.operation import Operation


_SAME = 1e-12  # of the time so far: steps that differ by less are equal


class Run(NamedTuple):
    """One operation for one batch.

    Attributes
    ----------
    position : int
        Where the run is in the timeline.
    step, batch : int
        The step in which it was issued, and the batch that it works for.
    waits_for : tuple of int
        Positions of the runs that had to end before.
    ready, start, end : float arrays (W,)
        When a rank could begin, began and ended [s]; a rank waits for others of a
        collective between the first two.
    done : float array (W,)
        When a rank's own part of the operation ended [s].
    """

    position: int
    operation: Operation
    step: int
    batch: int
    waits_for: tuple[int, ...]
    ready: Floats
    start: Floats
    end: Floats
    done: Floats


@dataclass(frozen=True, eq=False, repr=False)
class Timeline:
    """All runs in order of issue.

    Attributes
    ----------
    runs : tuple of Run
    step_end : float array (number of steps, W)
        When each rank ended each step, at least three of them [s].
    meets_between_stages : bool
        Ranks met where a stage ended, not in collectives (a step without overlap).
    """

    runs: tuple[Run, ...]
    step_end: Floats
    meets_between_stages: bool

    @property
    def steady_step(self) -> int:
        """The step that is taken as the steady state: the last but one.

        Ranks that are early begin the step after it before the others end it.
        """
        return len(self.step_end) - 2

    @property
    def last_rank(self) -> int:
        """The rank that ends the steady step last, of those that take longest for it.

        Ranks that meet in no step all take their own time for one.
        """
        begin, end = self.step_end[-3:-1]
        took = end - begin
        is_slow = took >= took.max() - _SAME * end.max()
        return int(np.where(is_slow, end, -np.inf).argmax())

    @property
    def window(self) -> tuple[float, float]:
        """Begin and end of the steady step, on the rank that ends it last [s]."""
        begin, end = self.step_end[-3:-1, self.last_rank]
        return float(begin), float(end)

    @property
    def steady_runs(self) -> tuple[Run, ...]:
        """The runs issued in the steady step."""
        return tuple(run for run in self.runs if run.step == self.steady_step)

    def straggler(self, run: Run, rank: int) -> int:
        """Return the rank that a run on `rank` waited for; itself if for none."""
        if run.start[rank] <= run.ready[rank]:
            return rank
        candidates = run.ready.copy()
        meets = run.operation.meets
        if meets is not None and not self.meets_between_stages:
            candidates[meets != meets[rank]] = -np.inf
        return int(candidates.argmax())

    def heaviest(self, run: Run, rank: int) -> int:
        """Return the rank whose share of a collective decides when `rank` ends."""
        meets = run.operation.meets
        if meets is None or self.meets_between_stages:
            return rank
        members = np.flatnonzero(meets == meets[rank])
        return int(members[run.done[members].argmax()])

    def cause(self, run: Run, rank: int) -> Run | None:
        """Return the run whose end made `run` ready on `rank`; None at time 0."""
        return latest((self.runs[i] for i in run.waits_for), rank)


def latest(runs: Iterable[Run], rank: int) -> Run | None:
    """Return the run that ended last on a rank, a real one before an idle one."""
    return max(
        (run for run in runs if run.end[rank] > 0),
        key=lambda run: (run.end[rank], run.end[rank] - run.start[rank]),
        default=None,
    )
