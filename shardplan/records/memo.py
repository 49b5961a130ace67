"""Results that are kept for the last few records they were worked out from."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
P = ParamSpec("P")
V = TypeVar("V")

_KEPT = 8


def by_identity(
    function: Callable[Concatenate[K, P], V],
) -> Callable[Concatenate[K, P], V]:
    """Keep a function's last results by the identity of its immutable first argument.

    Comparing large records would cost as much as the work; thousands of plans for
    the same inputs hold the same record. Further arguments are compared.
    """
    recent: OrderedDict[object, tuple[weakref.ref[K], V]] = OrderedDict()

    @wraps(function)
    def kept(argument: K, /, *args: P.args, **kwargs: P.kwargs) -> V:
        key = (id(argument), args, tuple(kwargs.items()))
        found = recent.get(key)
        if found is None or found[0]() is not argument:
            found = (weakref.ref(argument), function(argument, *args, **kwargs))
            recent[key] = found
        recent.move_to_end(key)
        while len(recent) > _KEPT:
            recent.popitem(last=False)
        return found[1]

    return kept
