"""Results that are kept for the last few records they were worked out from."""

from __future__ import annotations

from collections import OrderedDict
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
V = TypeVar("V")

_KEPT = 8
_BY_VALUE = (int, str)


def by_identity(function: Callable[P, V], most: int = _KEPT) -> Callable[P, V]:
    """Keep a function's last results by the identity of its immutable arguments.

    Comparing large records would cost as much as the work; thousands of plans for
    the same inputs hold the same records. Whole numbers and texts are compared.
    Arguments are given by position.

    Parameters
    ----------
    most : int
        How many results are kept; each keeps its arguments alive, so that no other
        object can take their identity.
    """
    recent: OrderedDict[tuple[object, ...], tuple[object, V]] = OrderedDict()

    @wraps(function)
    def kept(*args: P.args, **kwargs: P.kwargs) -> V:
        key = tuple([arg if type(arg) in _BY_VALUE else (id(arg),) for arg in args])
        found = recent.pop(key, None)
        if found is None:
            found = (args, function(*args, **kwargs))
        recent[key] = found
        while len(recent) > most:
            recent.popitem(last=False)
        return found[1]

    return kept
