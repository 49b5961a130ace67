"""The menu as flat arrays: options of tables, and the items of options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints


SHARDING_TYPES = tuple(ShardingType)
"""Types by their code in `Options.sharding_type`."""


@dataclass(frozen=True, eq=False, repr=False)
class Options:
    """O options of T tables and their I items, sorted by table.

    An option puts `column_shards` blocks of columns each on its own place: a rank,
    or a host, a domain or all ranks over which the block's rows are cut. Blocks of
    one width are one item with a count; an option has one or two items. An option
    whose places are `apart` has `row_shards` equal places for each block instead.

    Attributes
    ----------
    table : (O,) ints
        In a `Problem`, the bundle.
    sharding_type : (O,) ints
        Index into `SHARDING_TYPES`.
    scope : (O,) ints
        Number of the `Scope` of its places.
    column_shards, row_shards : (O,) ints
        Blocks of columns, and ranks over which the rows of each are cut.
    kernel, dtype : (O,) ints
        Index into `KERNELS` and `DTYPES` of `costs.shards`.
    hbm_share, ddr_share : (O,) floats
        Share of the rows in these tiers.
    heat_weight : (O,) floats
        What the heat of rows weighs in where they are cut; see `RowHeat.cut`.
    same_host : (O,) bools
        All places are ranks of one host (`table_column_wise`).
    apart : (O,) bools
        All places are different ranks, and interchangeable.
    start : (T + 1,) ints
        Options of table t are ``start[t]:start[t + 1]``.
    item_start : (O + 1,) ints
        Items of option o are ``item_start[o]:item_start[o + 1]``.
    item_columns : (I,) ints
        Width of each of an item's blocks; the wider item comes first.
    item_count : (I,) ints
        How many places an item takes.
    item_cost : (I, C, P) floats
        Seconds per class and phase on each rank of a place.
    item_bytes : (I, 3) floats
        Bytes per tier on each rank of a place.
    """

    table: Ints
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
    start: Ints
    item_start: Ints
    item_columns: Ints
    item_count: Ints
    item_cost: Floats
    item_bytes: Floats

    def __len__(self) -> int:
        """Return the number of options O."""
        return len(self.table)

    def items_of(self, option: int) -> slice:
        """Return the items of an option as a slice."""
        return slice(self.item_start.item(option), self.item_start.item(option + 1))

    def copies_of(self, option: int) -> Ints:
        """Return an option's items, each as often as it is placed."""
        own = self.items_of(option)
        items = np.arange(own.start, own.stop)
        # Most options have each item once.
        if self.num_copies.item(option) == len(items):
            return items
        return np.repeat(items, self.item_count[own])

    def num_places(self, option: int) -> int:
        """Return how many places an option occupies."""
        return int(self.item_count[self.items_of(option)].sum())

    def items_in(self, options: Ints) -> Ints:
        """Return the items of some options, one option's after another's."""
        return _ranges(self.item_start[options], self.num_items[options])

    @cached_property
    def num_items(self) -> Ints:
        """How many items each option has, shape (O,)."""
        return np.diff(self.item_start)

    @cached_property
    def num_copies(self) -> Ints:
        """How many places each option occupies, shape (O,)."""
        return np.add.reduceat(np.r_[self.item_count, 0], self.item_start[:-1])[
            : len(self)
        ]

    @cached_property
    def is_single(self) -> Bools:
        """Options that are one item on one rank, shape (O,)."""
        is_whole = (self.num_copies == 1) & (self.scope == Scope.RANK)
        return np.asarray(is_whole & ~self.same_host)

    @cached_property
    def item_option(self) -> Ints:
        """Option of each item, shape (I,)."""
        return np.repeat(np.arange(len(self)), self.num_items)

    @cached_property
    def largest_hbm_bytes(self) -> Floats:
        """Most bytes of HBM of any item of each option, shape (O,)."""
        return np.maximum.reduceat(self.item_bytes[:, 0], self.item_start[:-1])

    @cached_property
    def uses_pools(self) -> Bools:
        """Whether each item has bytes in DDR or SSD, shape (I,)."""
        return (self.item_bytes[:, 1] > 0) | (self.item_bytes[:, 2] > 0)

    @cached_property
    def uses_ssd(self) -> bool:
        """Whether tables may go to SSD."""
        return bool(self.item_bytes[:, 2].any())

    @cached_property
    def has_whole_bytes(self) -> tuple[bool, ...]:
        """Whether all items have whole bytes in each tier."""
        return tuple(bool((b == np.floor(b)).all()) for b in self.item_bytes.T)

    def select(self, keep: Ints, num_tables: int) -> Self:
        """Return the options at sorted indices `keep` as a menu of their own."""
        sizes, items = self.num_items[keep], self.items_in(keep)
        columns = {
            f.name: getattr(self, f.name)[items if f.name.startswith("item_") else keep]
            for f in fields(self)
            if f.name not in ("start", "item_start")
        }
        start = np.searchsorted(self.table[keep], np.arange(num_tables + 1))
        return type(self)(start=start, item_start=offsets(sizes), **columns)


def concatenate(parts: list[Options], num_tables: int) -> Options:
    """Join menus and sort by table; the order within a table is kept."""
    if not parts:
        return _empty(num_tables)
    joined = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Options)
        if f.name not in ("start", "item_start")
    }
    sizes = np.concatenate([np.diff(part.item_start) for part in parts])
    menu = Options(
        start=np.zeros(num_tables + 1, dtype=np.int64),
        item_start=offsets(sizes),
        **joined,
    )
    return menu.select(np.argsort(menu.table, kind="stable"), num_tables)


def _empty(num_tables: int) -> Options:
    nothing = {
        f.name: np.zeros(0, dtype=np.int64)
        for f in fields(Options)
        if f.name not in ("start", "item_start", "item_cost", "item_bytes")
    }
    return Options(
        start=np.zeros(num_tables + 1, dtype=np.int64),
        item_start=np.zeros(1, dtype=np.int64),
        item_cost=np.zeros((0, 1, 1)),
        item_bytes=np.zeros((0, 3)),
        **nothing,  # type: ignore[arg-type]
    )


def offsets(sizes: Ints) -> Ints:
    """Start of each run, and the end: ``[0, s0, s0 + s1, ...]``."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """Concatenate ``arange(start, start + size)`` of all pairs."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(
        ends - sizes - starts, sizes
    )
