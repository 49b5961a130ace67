"""Find where conditions begin to hold along an axis, from few of its values.

Values are numbered from the most wanted one (fewest hosts, where hosts are minimised)
to the one that should meet the conditions the easiest. That it does is an assumption;
what is tried is looked at for signs against it, and where there is one, everything is
tried that could be better than what was found.

Nothing is remembered here: what to try next follows from what has been tried, so that
a search that was interrupted goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GUESSES = 8
"""Values tried by interpolation before halving takes over."""
_NEAR = 0.05
"""Share of its limit by which a condition is missed just so."""
_BELOW = 3
"""Values next to the answer that are tried as long as they fail just so."""
_SAME = 1e-9
"""Relative difference of slacks that is rounding."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a value of the axis gave.

    Attributes
    ----------
    holds : bool or None
        Whether all conditions hold; None for a value that cannot be tried at all, as
        a number of hosts that a topology does not have.
    slacks : tuple of float or None
        For each condition by which share of its limit it holds, negative where it
        does not; None where there is no plan.
    """

    holds: bool | None
    slacks: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign that the axis is not monotone.

    Attributes
    ----------
    wanted, easy : int
        Two values that were tried: the former should not be better, and is.
    condition : int or None
        The condition in question; None for whether there is a plan.
    """

    wanted: int
    easy: int
    condition: int | None


def next_trials(
    tried: Mapping[int, Trial], positions: Sequence[float]
) -> tuple[int, ...]:
    """Return the values to try next, none when the search has ended.

    Parameters
    ----------
    tried : mapping of int to Trial
        What is known, by number of the value.
    positions : sequence of float
        Where each value lies on its axis, for interpolation.

    Notes
    -----
    First the most wanted one and the middle; where both fail, the two easiest. Then,
    between the easiest that fails and the most wanted one that holds, the two beside
    where the slack of the failing condition crosses zero on a straight line; halves
    after `_GUESSES` values or where there is no such line. At the end the easier
    neighbour of the answer, too, and up to `_BELOW` on the other side as long as they
    fail by less than `_NEAR`, for a solver's plans are that uneven. Where `sign` finds
    something, all values that are more wanted than the answer.
    """
    usable = [
        i for i in range(len(positions)) if i not in tried or tried[i].holds is not None
    ]
    if not usable:
        return ()
    answer = best(tried)
    if sign(tried) is not None:
        end = len(positions) if answer is None else answer
        wanted = [i for i in usable if i < end]
    elif answer is None:
        first = [usable[0], usable[(len(usable) - 1) // 2]]
        wanted = usable[-2:] if tried.keys() >= set(first) else first
    elif usable[0] not in tried:
        wanted = usable[:1]
    else:
        wanted = _between(usable, tried, positions, answer)
    return tuple(sorted(i for i in set(wanted) if i not in tried))


def best(tried: Mapping[int, Trial]) -> int | None:
    """Return the most wanted value for which all conditions hold."""
    return min((i for i, trial in tried.items() if trial.holds), default=None)


def sign(tried: Mapping[int, Trial]) -> Sign | None:
    """Return the first sign that the axis is not monotone.

    Notes
    -----
    Looked at are whether there is a plan, and the slacks of conditions that fail
    somewhere: what is concluded of values that are not tried rests on these alone. A
    bump between values that were tried is not seen.
    """
    known = [i for i in sorted(tried) if tried[i].holds is not None]
    slacks = {i: found for i in known if (found := tried[i].slacks) is not None}
    plans, without = list(slacks), [i for i in known if i not in slacks]
    if plans and without and plans[0] < without[-1]:
        return Sign(plans[0], without[-1], None)
    for condition in range(len(slacks[plans[0]]) if plans else 0):
        if min(slacks[i][condition] for i in plans) >= 0:
            continue
        for wanted, easy in pairwise(plans):
            before, after = slacks[wanted][condition], slacks[easy][condition]
            if after < before - _SAME * max(abs(before), abs(after)):
                return Sign(wanted, easy, condition)
    return None


def _between(
    usable: list[int],
    tried: Mapping[int, Trial],
    positions: Sequence[float],
    answer: int,
) -> list[int]:
    """Return what to try between the easiest that fails and the answer."""
    high = usable.index(answer)
    low = max((k for k in range(high) if usable[k] in tried), default=-1)
    if high - low == 1:  # also where the most wanted one is the answer
        last = max(high - _BELOW, 0)
        while low > last and _is_near(tried.get(usable[low])):
            low -= 1
        return usable[max(low, 0) : high + 2]
    crossing = _crossing(usable, tried, positions, low, high)
    if crossing is None or len(tried) >= _GUESSES:
        return [usable[(low + high) // 2]]
    rising = positions[0] < positions[-1]
    reached = (
        k
        for k in range(low + 1, high)
        if (positions[usable[k]] - crossing) * (1 if rising else -1) >= 0
    )
    first = next(reached, high)
    return [usable[k] for k in (first - 1, first) if low < k < high]


def _is_near(trial: Trial | None) -> bool:
    """Whether a value fails by so little that the next one may well hold."""
    slacks = None if trial is None else trial.slacks
    return slacks is not None and min(slacks, default=-1.0) > -_NEAR


def _crossing(
    usable: list[int],
    tried: Mapping[int, Trial],
    positions: Sequence[float],
    low: int,
    high: int,
) -> float | None:
    """Return where a straight line through the slacks of two values crosses zero.

    Where there is no plan at the lower one, the line begins at 0 hosts, or the like,
    with nothing of what is asked for. None where it does not cross between the two.
    """
    rising = positions[0] < positions[-1]
    end, above = positions[usable[high]], tried[usable[high]].slacks
    start, below = positions[usable[low]], tried[usable[low]].slacks
    assert above is not None
    begin = start
    if below is None and rising and positions[0] > 0:
        begin, below = 0.0, (-1.0,) * len(above)
    crossings = [
        begin + (end - begin) * before / (before - after)
        for before, after in zip(below or (), above, strict=False)
        if before < 0 <= after
    ]
    found = (max if rising else min)(crossings, default=start)
    return found if (found - start if rising else start - found) > 0 else None
