"""Bundles: tables that must stay together, as one item for the solvers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problems.options.arrays import Options
    from shardplan.records.arrays import Ints
    from shardplan.records.workload import Workload


@dataclass(frozen=True, eq=False)
class Bundles:
    """From bundles to tables.

    Attributes
    ----------
    members : tuple of tuples of int
        Tables of each bundle.
    menu : Options
        The menu of the tables.
    sources : int array (O, M)
        For each bundle option, the option in `menu` of every member (M is the
        largest bundle; -1 fills short rows).
    """

    members: tuple[tuple[int, ...], ...]
    menu: Options
    sources: Ints

    def __len__(self) -> int:
        """Return the number of bundles."""
        return len(self.members)

    @classmethod
    def of(cls, workload: Workload, menu: Options) -> tuple[Bundles, Options]:
        """Join colocated tables; return the bundles and their menu.

        Notes
        -----
        A bundle's options are those that all members share: the same sharding
        type, places, kernel and tier split. Member shards of the same number go to
        the same place.
        """
        members = _groups(workload)
        if len(members) == len(workload.tables):
            return cls(members, menu, np.arange(len(menu))[:, None]), menu
        rows: list[tuple[int, ...]] = []
        for group in members:
            rows += common_options(menu, group)
        if not rows:
            return cls(members, menu, np.zeros((0, 1), dtype=np.int64)), replace(
                menu.select(np.zeros(0, dtype=np.int64), 0),
                start=np.zeros(len(members) + 1, dtype=np.int64),
            )
        width = max(len(row) for row in rows)
        sources = np.full((len(rows), width), -1, dtype=np.int64)
        for index, row in enumerate(rows):
            sources[index, : len(row)] = row
        return cls(members, menu, sources), _joined(menu, members, rows)


def _groups(workload: Workload) -> tuple[tuple[int, ...], ...]:
    """Join overlapping colocate groups; in order of their first table."""
    if not workload.colocate:
        return tuple((index,) for index in range(len(workload.tables)))
    import networkx as nx

    index = {table.name: i for i, table in enumerate(workload.tables)}
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(len(workload.tables)))
    for group in workload.colocate:
        nx.add_path(graph, [index[name] for name in group])
    return tuple(sorted(tuple(sorted(part)) for part in nx.connected_components(graph)))


def _key(menu: Options, option: int) -> tuple[float, ...]:
    return (
        menu.sharding_type[option],
        menu.scope[option],
        menu.column_shards[option],
        menu.row_shards[option],
        menu.kernel[option],
        menu.hbm_share[option],
        menu.ddr_share[option],
        menu.heat_weight[option],
    )


def common_options(menu: Options, group: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the options of equal key over all tables of a group.

    Options of one key differ in their row types: the first of every table go
    together, then the second ones, where a table with fewer repeats its last.
    """
    if len(group) == 1:
        return [(o,) for o in range(menu.start[group[0]], menu.start[group[0] + 1])]
    per_table: list[dict[tuple[float, ...], list[int]]] = []
    for table in group:
        by_key = defaultdict(list)
        for option in range(menu.start[table], menu.start[table + 1]):
            by_key[_key(menu, option)].append(option)
        per_table.append(dict(by_key))
    shared = [key for key in per_table[0] if all(key in keys for keys in per_table)]
    return [
        tuple(keys[key][min(n, len(keys[key]) - 1)] for keys in per_table)
        for key in shared
        for n in range(max(len(keys[key]) for keys in per_table))
    ]


def _joined(
    menu: Options, members: tuple[tuple[int, ...], ...], rows: list[tuple[int, ...]]
) -> Options:
    """Build the menu of the bundles: items of the same place are added up."""
    bundle_of = {table: b for b, group in enumerate(members) for table in group}
    first = np.array([row[0] for row in rows], dtype=np.int64)
    items = [_add_items(menu, row) for row in rows]
    sizes = np.array([len(count) for count, *_ in items], dtype=np.int64)
    table = np.array([bundle_of[int(menu.table[o])] for o in first], dtype=np.int64)
    columns = {
        f.name: getattr(menu, f.name)[first]
        for f in fields(menu)
        if not f.name.startswith("item_") and f.name not in ("start", "table")
    }
    return replace(
        menu,
        **columns,
        table=table,
        start=np.searchsorted(table, np.arange(len(members) + 1)),
        item_start=np.r_[0, np.cumsum(sizes)].astype(np.int64),
        item_count=np.concatenate([part[0] for part in items]),
        item_columns=np.concatenate([part[1] for part in items]),
        item_cost=np.concatenate([part[2] for part in items]),
        item_bytes=np.concatenate([part[3] for part in items]),
    )


def _add_items(menu: Options, row: tuple[int, ...]) -> tuple[NDArray[Any], ...]:
    """Add member shards place by place, then count equal ones."""
    expanded = [
        np.repeat(
            np.arange(*_bounds(menu, o)), menu.item_count[slice(*_bounds(menu, o))]
        )
        for o in row
    ]
    stacked = np.stack(expanded, axis=1)
    kinds, first, count = np.unique(
        stacked, axis=0, return_index=True, return_counts=True
    )
    order = np.argsort(first)
    kinds, count = kinds[order], count[order]
    return (
        count,
        menu.item_columns[kinds].sum(axis=1),
        menu.item_cost[kinds].sum(axis=1),
        menu.item_bytes[kinds].sum(axis=1),
    )


def _bounds(menu: Options, option: int) -> tuple[int, int]:
    return int(menu.item_start[option]), int(menu.item_start[option + 1])
