"""Results that are kept for the last few records they were worked out from."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

_KEPT = 8


def by_identity(function: Callable[[K], V]) -> Callable[[K], V]:
    """Keep a function's last results by the identity of its immutable argument.

    Comparing large records would cost as much as the work; thousands of plans for
    the same inputs hold the same record.
    """
    recent: OrderedDict[int, tuple[weakref.ref[K], V]] = OrderedDict()

    @wraps(function)
    def kept(argument: K) -> V:
        found = recent.get(id(argument))
        if found is None or found[0]() is not argument:
            found = (weakref.ref(argument), function(argument))
            recent[id(argument)] = found
        recent.move_to_end(id(argument))
        while len(recent) > _KEPT:
            recent.popitem(last=False)
        return found[1]

    return kept
