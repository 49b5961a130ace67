"""The options that all tables of one kind have in common, before they are priced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.shards import KERNELS
from shardplan.problems.options.arrays import SHARDING_TYPES, offsets
from shardplan.problems.options.structures import COLUMN_UNIT, Structure, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Template:
    """K options of every table of a kind, and their J items.

    Attributes
    ----------
    sharding_type, scope, column_shards, row_shards, kernel, dtype : (K,) ints
    hbm_share, ddr_share, heat_weight : (K,) floats
    same_host, apart : (K,) bools
    item_start : (K + 1,) ints
        Items of option k are ``item_start[k]:item_start[k + 1]``.
    item_option, item_columns, item_count : (J,) ints
    """

    sharding_type: Ints
    scope: Ints
    column_shards: Ints
    row_shards: Ints
    kernel: Ints
    dtype: Ints
    hbm_share: Floats
    ddr_share: Floats
    heat_weight: Floats
    same_host: Bools
    apart: Bools
    item_start: Ints
    item_option: Ints
    item_columns: Ints
    item_count: Ints

    @classmethod
    def of(cls, dim: int, pairs: Sequence[tuple[Structure, Variant]]) -> Self:
        """Lay out structures and variants for tables of `dim` columns."""
        cuts = [structure for structure, _ in pairs]
        places = [variant for _, variant in pairs]
        column_shards = np.array([cut.column_shards for cut in cuts], dtype=np.int64)
        row_shards = np.array([cut.row_shards for cut in cuts], dtype=np.int64)
        scope = np.array([cut.scope for cut in cuts], dtype=np.int64)
        apart = np.array([cut.apart for cut in cuts], dtype=bool)
        row_places = np.where(apart, row_shards, 1)
        option, width, count = _items(dim, column_shards, row_places)
        kernel = [KERNELS.index(place.kernel) for place in places]
        return cls(
            sharding_type=np.array(
                [SHARDING_TYPES.index(c.sharding_type) for c in cuts]
            ),
            scope=scope,
            column_shards=column_shards,
            row_shards=row_shards,
            kernel=np.array(kernel, dtype=np.int64),
            dtype=np.array([place.dtype for place in places], dtype=np.int64),
            hbm_share=np.array([place.hbm_share for place in places]),
            ddr_share=np.array([place.ddr_share for place in places]),
            heat_weight=np.array([cut.heat_weight for cut in cuts]),
            same_host=np.array([cut.same_host for cut in cuts]),
            apart=apart,
            item_start=offsets(np.bincount(option, minlength=len(pairs))),
            item_option=option,
            item_columns=width,
            item_count=count,
        )

    def __len__(self) -> int:
        """Return the number of options K."""
        return len(self.scope)

    @property
    def structure(self) -> Ints:
        """Number of each option's structure, options of one structure share it (K,).

        Where rows are cut does not count: it changes what is on the places of an
        option, not the places.
        """
        cut = [self.sharding_type, self.scope, self.column_shards, self.row_shards]
        _, number = np.unique(np.stack(cut, axis=1), axis=0, return_inverse=True)
        return np.asarray(number.ravel())


def _items(dim: int, column_shards: Ints, row_places: Ints) -> tuple[Ints, Ints, Ints]:
    """Split columns as evenly as multiples of 4 allow; each block has `row_places`.

    Returns
    -------
    option, width, count : int arrays (J,)
        The option each item belongs to, its columns and its number of places.
    """
    unit = COLUMN_UNIT if dim % COLUMN_UNIT == 0 else dim
    base, extra = np.divmod(dim // unit, column_shards)
    index = np.arange(len(column_shards))
    option = np.concatenate([index[extra > 0], index])
    width = np.concatenate([(base + 1)[extra > 0], base]) * unit
    count = np.concatenate([extra[extra > 0], column_shards - extra])
    order = np.lexsort((-width, option))
    option, width, count = option[order], width[order], count[order]
    return option, width, count * row_places[option]
