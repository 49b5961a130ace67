"""The parts of a step: operations, and the streams and stages that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.steps.meeting import Meeting

if TYPE_CHECKING:
    from shardplan.costs.communication.traffic import Traffic
    from shardplan.records.arrays import Floats, Ints


class Stream(StrEnum):
    """What of a rank an operation occupies; each does one operation at a time."""

    COMPUTE = "compute"
    COMMUNICATION = "communication"
    REDUCTION = "reduction"
    COPY = "copy"


class Stage(StrEnum):
    """A part of the step, in the order of a step without overlap.

    The six phases of the objective keep their names.
    """

    OVERHEAD = "overhead"
    INPUT_COPY = "input_copy"
    INPUT_DIST = "input_dist"
    PREFETCH_COMPUTE = "prefetch_compute"
    FWD_COMPUTE = "fwd_compute"
    FWD_COMMS = "fwd_comms"
    DENSE_FORWARD = "dense_forward"
    DENSE_BACKWARD = "dense_backward"
    BWD_COMMS = "bwd_comms"
    BWD_COMPUTE = "bwd_compute"
    DENSE_SYNC = "dense_sync"


STAGES = tuple(Stage)
STREAMS = tuple(Stream)


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a step on all W ranks.

    Attributes
    ----------
    name : str
        Unique within the step.
    seconds : float array (W,)
        What it takes on each rank by itself [s].
    after : tuple of str
        Operations of the same batch that must have ended on the rank.
    behind : tuple of str
        Operations of the same step (not batch) that must have ended on the rank.
        One that waits for nothing waits for the end of the previous step.
    lead : int
        Batches that it runs ahead of the step's own.
    meets : int array (W,) or None
        A collective: ranks with the same number start and end together. They follow
        each other.
    slowdown : float
        Fraction by which it slows computation that runs beside it.
    traffic : Traffic or None
        What it moves over links.
    uses : float array (L, W) or None
        Share of each rank's links that it takes by itself; None where it shares
        none with other streams.
    """

    name: str
    stage: Stage
    stream: Stream
    seconds: Floats
    after: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    lead: int = 0
    meets: Ints | None = None
    slowdown: float = 0.0
    traffic: Traffic | None = None
    uses: Floats | None = None

    @cached_property
    def is_idle(self) -> bool:
        """Whether it takes no time on any rank."""
        return not self.seconds.any()

    @cached_property
    def meeting(self) -> Meeting | None:
        """The groups of ranks that meet."""
        return None if self.meets is None else Meeting.of(self.meets)


def meeting(group: Ints, seconds: Floats) -> Ints | None:
    """Return who waits for whom in a collective.

    Parameters
    ----------
    group : int array (W,)
        The group of ranks that each rank would exchange with.
    seconds : float array (W,)
        What the exchange takes; groups that have nothing to exchange do not meet.

    Returns
    -------
    int array (W,) or None
        Equal numbers meet; None if nobody does.
    """
    if not seconds.any():
        return None
    active = np.bincount(group, seconds) > 0
    alone = int(group.max()) + 1 + np.arange(len(group))
    return np.where(active[group], group, alone)
