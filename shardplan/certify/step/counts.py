"""How many pieces fit on a rank: prices of pieces, where a case limits a pressure.

Why it holds. In a case in which no plan has a pressure above a on operation k, what a
rank holds presses at most a on it. Let c[i] be what item i presses at least on any rank
that has it. For every whole number n >= 1

    sum over the items of a rank of (ceil((n + 1) c[i] / a) - 1)  <=  n,

for each term is below (n + 1) c[i] / a, so that the sum is a whole number below n + 1.
With n = 1 items of more than a / 2 count: at most one fits on a rank. Divided by n and
times a price it is a load of which no rank has more than the price. A phase of such
loads is added to the sum of a case, and the price taken off its constant.

A piece may fill its rank on another operation, of which no plan has a pressure above b:
one that presses more than b - s leaves no room for any that presses s or more. So it
counts as the whole rank, what presses less than s as nothing, and the rest as above: a
rank has one that fills it and no other that counts, or it has the rest alone.

References
----------
Fekete and Schepers, New classes of fast lower bounds for bin packing problems,
Mathematical Programming 91 (2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shardplan.certify.step.menu import StepMenu
    from shardplan.records.arrays import Floats

_SAFE = 1e-12
"""Share taken off, more than the roundings of a pressure."""
_MOST_PIECES = 5
"""Pieces on a rank up to which they are counted."""
_MOST_BESIDE, _MOST_PARTS = 2, 3
"""The same where some may fill it, and pressures of others that are tried."""
_EXCHANGES = ("output_all_to_all", "gradient_all_to_all")
"""Operations on which pieces may fill a rank."""
_SAME = 1e-6
"""Share of a pressure within which another one is the same."""


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


class Count(NamedTuple):
    """A price of pieces.

    Attributes
    ----------
    operation : str
    pieces : int
        How many fit on a rank: n above.
    price_s : float
        Of what they take of a rank [s].
    beside : str
        Another operation, on which pieces may fill a rank; empty for none.
    least_s : float
        Pieces that press less on it count as nothing: s above [s].
    """

    operation: str
    pieces: int
    price_s: float
    beside: str = ""
    least_s: float = 0.0


def filling(
    menu: StepMenu, each: Floats, k: int, least_s: float, most_s: float
) -> Floats:
    """Return what of a rank each item takes if some fill it, at most 1 together (I,).

    Parameters
    ----------
    each : float array (I,)
        What they take otherwise: see `counted`.
    k : int
        Operation on which they may fill it.
    least_s : float
        Items that press less on it count as nothing: s above [s].
    most_s : float
        No plan of the case presses more on it: b above [s].
    """
    alone = menu.item_alone[:, k]
    fills = alone * (1.0 - _SAFE) > most_s - least_s * (1.0 - _SAFE)
    return np.where(alone < least_s, 0.0, np.where(fills, 1.0, each))


def filling_rows(
    menu: StepMenu, most_s: Floats, changed: Collection[int]
) -> Iterator[tuple[Count, Floats]]:
    """List counts of kernels in which pieces of an exchange may fill a rank.

    Parameters
    ----------
    most_s : float array (K,)
        Pressures that no plan of the case exceeds [s].
    changed : collection of int
        Operations; one of the two is among them.

    Yields
    ------
    Count
        At no price.
    float array (O,)
        How many ranks each option takes, as a share of all.
    """
    seen: set[bytes] = set()
    parts = list(_parts(menu, most_s))
    for k, pieces in _kernels(menu, most_s) if parts else ():
        own = counted(menu, k, pieces, most_s.item(k))
        for g, least_s in parts if own.any() else ():
            if not (k in changed or g in changed):
                continue
            items = filling(menu, own, g, least_s, most_s.item(g))
            each, most = _ranks(menu, items)
            if most > 1.0 and each.tobytes() not in seen:
                seen.add(each.tobytes())
                name, beside = (menu.pressures[i].operation for i in (k, g))
                yield Count(name, pieces, 0.0, beside, least_s), each


def _kernels(menu: StepMenu, most_s: Floats) -> Iterator[tuple[int, int]]:
    """List kernels that items take time of, and how many of these may fit."""
    longest = menu.item_alone.max(axis=0, initial=0.0)
    for k, kernel in enumerate(menu.pressures):
        if kernel.curve is None and longest[k] > 0.0 and 0.0 < most_s[k] < np.inf:
            for pieces in range(1, _MOST_BESIDE + 1):
                yield k, pieces


def _parts(menu: StepMenu, most_s: Floats) -> Iterator[tuple[int, float]]:
    """List exchanges, and pressures on them beside which longer pieces fill a rank."""
    for k, exchange in enumerate(menu.pressures):
        if exchange.operation not in _EXCHANGES or not 0.0 < most_s[k] < np.inf:
            continue
        alone = np.unique(menu.item_alone[:, k])
        alone = alone[np.diff(alone, prepend=0.0) > _SAME * alone]
        longest = float(alone.max(initial=0.0))
        some = alone[(alone <= most_s[k] / 2.0) & (longest > most_s[k] - alone)]
        for least_s in some[::-1][:_MOST_PARTS].tolist():
            yield k, least_s


def _ranks(menu: StepMenu, items: Floats) -> tuple[Floats, float]:
    """Return the share of all ranks that each option takes (O,), and the most of all.

    Parameters
    ----------
    items : float array (I,)
        What each item takes of its rank.
    """
    options = menu.problem.options
    each = np.add.reduceat(items * menu.item_ranks, options.item_start[:-1])
    return each, float(np.maximum.reduceat(each, options.start[:-1]).sum())


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
    seen = set()
    for pieces in range(1, _MOST_PIECES + 1):
        each, most = _ranks(menu, counted(menu, k, pieces, most_s))
        if most > 1.0 and each.tobytes() not in seen:
            seen.add(each.tobytes())
            yield pieces, each
