"""Kinds of ranks: of one class, with the same load of what stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.solvers.tolerances import RANK_DIGITS

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks by kind.

    Attributes
    ----------
    number, rank_class : int arrays (N,)
    base : float array (N, E)
        Load that stays.
    kind : int array (W,)
        Of each rank.
    """

    number: Ints
    rank_class: Ints
    base: Floats
    kind: Ints

    @classmethod
    def of(cls, base: Floats, rank_class: Ints) -> Self:
        """Group ranks: base (W, E), rank_class (W,)."""
        key = np.column_stack([rank_class, np.round(base, RANK_DIGITS)])
        _, first, kind, number = np.unique(
            key, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        kind = kind.ravel()
        largest = np.zeros((len(first), base.shape[1]))
        np.maximum.at(largest, kind, base)
        return cls(number, rank_class[first], largest, kind)
