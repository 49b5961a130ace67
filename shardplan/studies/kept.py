"""Changed records that are kept for the points to come, with their fingerprints."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from shardplan.records.fingerprint import fingerprint
from shardplan.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

R = TypeVar("R", bound=Record)
Printed = tuple[R, str]
"""A record and its fingerprint."""


class Kept(Generic[R]):
    """The records used last, up to a total weight; one is kept whatever it weighs.

    Parameters
    ----------
    most : int
        The total weight.
    """

    def __init__(self, most: int) -> None:
        self._most, self._weight = most, 0
        self._found: OrderedDict[Hashable, tuple[Printed[R], int]] = OrderedDict()

    def get(
        self,
        key: Hashable,
        make: Callable[[], R],
        weigh: Callable[[R], int] = lambda record: 1,
    ) -> Printed[R]:
        """Return the record of a key, made if it is not kept."""
        if key not in self._found:
            record = make()
            weight = weigh(record)
            self._found[key] = (record, fingerprint(record)), weight
            self._weight += weight
            while self._weight > self._most and len(self._found) > 1:
                self._weight -= self._found.popitem(last=False)[1][1]
        self._found.move_to_end(key)
        return self._found[key][0]
