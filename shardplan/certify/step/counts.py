"""How many pieces fit on a rank: prices of pieces, where a case limits a pressure.

Why it holds. In a case in which no plan has a pressure above a on operation k, what a
rank holds presses at most a on it. Let c[i] be what item i presses at least on any rank
that has it. For every whole number n >= 1

    sum over the items of a rank of (ceil((n + 1) c[i] / a) - 1)  <=  n,

for each term is below (n + 1) c[i] / a, so that the sum is a whole number below n + 1.
With n = 1 items of more than a / 2 count: at most one fits on a rank. Divided by n and
times a price it is a load of which no rank has more than the price. A phase of such
loads is added to the sum of a case, and the price taken off its constant.

References
----------
Fekete and Schepers, New classes of fast lower bounds for bin packing problems,
Mathematical Programming 91 (2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.certify.step.menu import StepMenu
    from shardplan.records.arrays import Floats

_SAFE = 1e-12
"""Share taken off, more than the roundings of a pressure."""
_MOST_PIECES = 5
"""Pieces on a rank up to which they are counted."""


def counted(menu: StepMenu, k: int, pieces: int, most_s: float) -> Floats:
    """Return what of a rank each item takes, at most 1 together (I,).

    Parameters
    ----------
    k : int
        Operation.
    pieces : int
        How many fit on a rank: n above.
    most_s : float
        No plan of the case presses more on it: a above [s].
    """
    times = menu.item_alone[:, k] * ((pieces + 1) * (1.0 - _SAFE) / most_s)
    return np.maximum(np.ceil(times) - 1.0, 0.0) / pieces


def count_rows(menu: StepMenu, k: int, most_s: float) -> Iterator[tuple[int, Floats]]:
    """List counts that may be too many: pieces, and ranks per option.

    Yields
    ------
    int
        How many fit on a rank.
    float array (O,)
        How many ranks each option takes then, as a share of all.
    """
    longest = float(menu.item_alone[:, k].max(initial=0.0))
    if not 0.0 < most_s < np.inf or longest * (_MOST_PIECES + 1) <= most_s:
        return
    options = menu.problem.options
    seen = set()
    for pieces in range(1, _MOST_PIECES + 1):
        items = counted(menu, k, pieces, most_s) * menu.item_ranks
        each = np.add.reduceat(items, options.item_start[:-1])
        most = np.maximum.reduceat(each, options.start[:-1]).sum()
        if most > 1.0 and each.tobytes() not in seen:
            seen.add(each.tobytes())
            yield pieces, each
