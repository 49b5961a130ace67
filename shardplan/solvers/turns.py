"""Parts of a search that take turns, each as long whatever the limit of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.solvers.base import Stop

_LEAST_S = 0.2
"""Seconds that are taken to be over at first, for the first turns to be worth it."""


class Turns:
    """Says how long turns are: shares of what the search has spent before them.

    With shares of what is left, more time would change all that is done, for better or
    worse. Like this a search with a higher limit begins with all that one with a lower
    limit does, and its plan is at least as good. The last turn may be cut short.

    Parameters
    ----------
    stop : Stop
        Of a search that begins now.
    least_work : float
        Work that is taken to be over at first.
    """

    def __init__(self, stop: Stop, least_work: float) -> None:
        self._stop, self._begin = stop, stop.spent
        self._least = least_work if stop.is_by_work else _LEAST_S

    @property
    def is_free(self) -> bool:
        """Whether nothing limits the search: the clock must then not decide."""
        return self._stop.is_endless and not self._stop.is_by_work

    def length(self, share: float) -> float:
        """Return the length of a turn that begins now, as of `Stop.spent`."""
        if self.is_free:
            return np.inf
        return share * max(self._stop.spent - self._begin, self._least)

    def ends(self, share: float) -> float:
        """Return at what `Stop.spent` it ends."""
        return self._stop.spent + self.length(share)
