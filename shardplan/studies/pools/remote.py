"""What a worker of a Dask cluster does: fetch a study once, run its points."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from shardplan.studies.packing import from_wire
from shardplan.studies.pools.workshop import Workshop
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.studies.pools.task import PointOutcome, Task

_MOST = 2
"""Studies that a worker remembers."""
_workshops: OrderedDict[str, Workshop] = OrderedDict()
_one_at_a_time = threading.Lock()
"""Caches are not made for threads, and Python's lock lets only one compute anyway."""


def run_tasks(
    content: bytes, digest: str, tasks: Sequence[Task], wanted: str
) -> list[PointOutcome] | str:
    """Run points on a worker.

    Parameters
    ----------
    content : bytes
        The study; workers get it once, from each other or from the scheduler.
    digest : str
        Of `content`.
    tasks : sequence of Task
    wanted : str
        The release of shardplan that asks: another one might find other values.

    Returns
    -------
    list of PointOutcome, or str
        The own release if it is another one.
    """
    if wanted != VERSION:
        return VERSION
    with _one_at_a_time:
        workshop = _workshop(content, digest)
        return [workshop.run(task) for task in tasks]


def _workshop(content: bytes, digest: str) -> Workshop:
    if digest not in _workshops:
        _workshops[digest] = Workshop(*from_wire(content))
        # What is there by now stays: collections of garbage need not look at it again.
        gc.freeze()
        while len(_workshops) > _MOST:
            _workshops.popitem(last=False)
    return _workshops[digest]
