"""How operations that run beside each other share links: max-min fairness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats


_FULL = 1.0 + 1e-12  # links filled to within rounding


def fair_speeds(uses: Floats) -> Floats:
    """Return how fast operations proceed that share links.

    Parameters
    ----------
    uses : float array (F, L, ...)
        Share of each of L links that each of F operations takes by itself, 0 to 1;
        further axes are places, such as ranks, each with links of its own.

    Returns
    -------
    float array (F, ...)
        Speed of each operation, 1 for as fast as by itself.

    Notes
    -----
    Progressive filling: all operations get more of their fullest link at the same
    rate until one has what it can use or a link is full; those stop, the others go
    on. Nobody could get more without taking it from one that has no more.

    References
    ----------
    Bertsekas, Gallager 1992, Data Networks, section 6.5.2.
    """
    uses = np.asarray(uses, dtype=float)
    if uses.shape[1] == 1:
        return _one_link(uses[:, 0])
    most = uses.max(axis=1)
    weight = uses / np.where(most > 0, most, 1.0)[:, None]
    rate, room = np.zeros_like(most), np.ones_like(uses[0])
    grows = most > 0
    while grows.any():
        count = (weight * grows[:, None]).sum(axis=0)
        per_link = np.where(count > 0, room / np.where(count > 0, count, 1.0), np.inf)
        per_flow = np.where(grows, most - rate, np.inf)
        step = np.minimum(per_link.min(axis=0), per_flow.min(axis=0))
        step = np.where(np.isfinite(step), np.maximum(step, 0.0), 0.0)
        rate = rate + step * grows
        room = room - step * count
        full = per_link <= step * _FULL
        stopped = ((weight > 0) & full).any(axis=1) | (most <= rate * _FULL)
        grows = grows & ~stopped
    return np.where(most > 0, rate / np.where(most > 0, most, 1.0), 1.0)


def _one_link(uses: Floats) -> Floats:
    """Share one link (F, ...): a level that cuts off what takes more.

    Notes
    -----
    ``sum_f min(u_f, level) = 1``: with the k least whole, the others get ``(1 - their
    sum) / (F - k)``, and the right k gives the most.
    """
    least = np.sort(uses, axis=0)
    before = np.cumsum(least, axis=0) - least
    others = np.arange(len(uses), 0, -1).reshape(-1, *[1] * (uses.ndim - 1))
    level = ((1.0 - before) / others).max(axis=0)
    level = np.where(least.sum(axis=0) > 1.0, level, np.inf)
    return np.where(uses > level, level / np.where(uses > 0, uses, 1.0), 1.0)
