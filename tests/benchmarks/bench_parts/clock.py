"""Solve on the processor's clock: what others do on the machine does not count."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from shardplan.certify.highs import Highs
from shardplan.solvers.base import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.certify.highs import End

_run = Highs.run
_EVERY = 50
"""Questions of HiGHS per look at the clock."""


def processor_stop(limit_s: float) -> Stop:
    """Return a stop after so many seconds of this process."""
    return Stop(time_limit_s=limit_s, clock=time.process_time)


@contextmanager
def highs_on_processor_clock() -> Iterator[None]:
    """Within the block, limits of HiGHS are in seconds of this process, too.

    HiGHS has a clock of its own, so it is asked to end by a callback.
    """
    with patch.object(Highs, "run", _timed_run):
        yield


def _timed_run(
    model: Highs,
    *,
    time_limit_s: float = float("inf"),
    is_over: Callable[[], bool] | None = None,
    **others: Any,
) -> End:
    if time_limit_s == float("inf"):
        return _run(model, is_over=is_over, **others)
    end, asked = time.process_time() + time_limit_s, count()

    def is_late() -> bool:
        # It asks at each iteration, which may take less than to look at this clock.
        is_turn = next(asked) % _EVERY == 0
        is_late = is_turn and time.process_time() >= end
        return is_late or (is_over is not None and is_over())

    return _run(model, is_over=is_late, **others)


@contextmanager
def planner_on_processor_clock() -> Iterator[None]:
    """Within the block, `solve` counts seconds of this process, as HiGHS does."""
    stop = partial(Stop, clock=time.process_time)
    with patch("shardplan.planning.planner.Stop", stop), highs_on_processor_clock():
        yield
