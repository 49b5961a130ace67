"""Where a linear program begins: near the basis of one like it.

Programs of cases differ in some options, in what waits for what, and in lines below
curves. So a basis is kept by what columns and rows stand for, not by their numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from shardplan.certify.highs import Highs
    from shardplan.records.arrays import Ints


class Start(NamedTuple):
    """What a program looked at, and its basis.

    Attributes
    ----------
    options : int array
        Of the whole menu, sorted.
    statuses : dict
        In the basis, by what columns and rows stand for.
    """

    options: Ints
    statuses: dict[Hashable, Any]

    @classmethod
    def of(cls, model: Highs, options: Ints, labels: Sequence[Hashable]) -> Self:
        """Take the basis of the last run; labels are of all columns, then all rows."""
        return cls(options, dict(zip(labels, model.statuses, strict=True)))

    def give(self, model: Highs, labels: Sequence[Hashable]) -> None:
        """Begin the next run of a model near this basis."""
        model.begin_near([self.statuses.get(label) for label in labels])
