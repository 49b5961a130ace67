"""The chain of operations that determines the step, and the rank behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.simulation.timeline import latest

if TYPE_CHECKING:
    from shardplan.simulation.timeline import Run, Timeline

_NOTABLE = 0.001  # of the step: less than this is no reason


class Link(NamedTuple):
    """One operation of the critical chain.

    Attributes
    ----------
    rank : int
        On which it took that long (for a collective, the most loaded rank).
    batch : int
        Counted from the batch that the step computes.
    start_s, end_s : float
        From the begin of the step [s].
    excess_s : float
        Seconds above the mean of all ranks.
    """

    operation: str
    stage: str
    rank: int
    batch: int
    start_s: float
    end_s: float
    excess_s: float


@dataclass(frozen=True)
class CriticalPath:
    """Why the step takes as long as it does.

    Attributes
    ----------
    rank : int
        The rank with the most seconds above the mean on the chain.
    reason : str
    links : tuple of Link
        In order of time; they follow each other without a gap.
    """

    rank: int
    reason: str
    links: tuple[Link, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the chain as JSON-able data."""
        return {
            "rank": self.rank,
            "reason": self.reason,
            "links": [link._asdict() for link in self.links],
        }


def critical_path(timeline: Timeline) -> CriticalPath:
    """Follow the steady step back from its end.

    Notes
    -----
    From the rank that ends last, always to the operation that ended last among
    those that had to end before; from a collective to its last rank.
    """
    begin, finish = timeline.window
    step = timeline.steady_step
    rank = timeline.last_rank
    run = latest((r for r in timeline.steady_runs if not r.operation.lead), rank)
    links: list[Link] = []
    while run is not None and run.end[rank] > begin:
        if run.end[rank] > run.start[rank]:
            links.append(_link(timeline, run, rank, step))
        rank = timeline.straggler(run, rank)
        run = timeline.cause(run, rank)
    links.reverse()
    return _conclude(tuple(links), finish - begin)


def _link(timeline: Timeline, run: Run, rank: int, step: int) -> Link:
    begin = timeline.window[0]
    mean = float((run.done - run.start).mean())
    start, end = float(run.start[rank]), float(run.end[rank])
    return Link(
        operation=run.operation.name,
        stage=run.operation.stage.value,
        rank=timeline.heaviest(run, rank),
        batch=run.batch - step,
        start_s=max(start, begin) - begin,
        end_s=end - begin,
        excess_s=end - start - mean,
    )


def _conclude(links: tuple[Link, ...], step_s: float) -> CriticalPath:
    """Name the rank with the largest excess, and the operations that cause it."""
    if not links:
        return CriticalPath(0, "the step takes no time", links)
    ranks = np.array([link.rank for link in links])
    excess = np.bincount(ranks, [link.excess_s for link in links])
    rank = int(excess.argmax())
    largest = sorted(
        (link for link in links if link.rank == rank),
        key=lambda link: -link.excess_s,
    )
    notable = [link for link in largest if link.excess_s > _NOTABLE * step_s][:3]
    if not notable:
        return CriticalPath(rank, "no rank takes notably longer than others", links)
    shown = ", ".join(
        f"{link.operation} (+{link.excess_s * 1e3:.3g} ms)" for link in notable
    )
    reason = f"rank {rank} takes longer than the mean of the ranks in {shown}"
    return CriticalPath(rank, reason, links)
