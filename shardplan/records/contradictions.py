"""Constraints that no plan can meet, whatever the cluster: each with what contradicts.

They are looked at with the workload's defaults in place, when a workload is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.records.sharding import ComputeKernel, ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.records.tables import EmbeddingTable, TableConstraints

_COPIED = frozenset({ShardingType.DATA_PARALLEL})
_BY_COLUMNS = frozenset(
    {
        ShardingType.COLUMN_WISE,
        ShardingType.TABLE_COLUMN_WISE,
        ShardingType.GRID_SHARD,
    }
)


def of_table(table: EmbeddingTable, limits: TableConstraints) -> Iterator[str]:
    """Yield what contradicts in the constraints of one table.

    Parameters
    ----------
    limits : TableConstraints
        Those of the table, with the workload's for what it does not set.
    """
    types = frozenset(limits.usable_types)
    if types:
        yield from _kernels(types, limits)
        yield from _columns(types, table, limits)
    else:
        asked = limits.sharding_types or tuple(ShardingType)
        yield f"forbidden_sharding_types leaves none of the types {_listed(asked)}"
    if limits.ranks and set(limits.ranks) <= set(limits.forbidden_ranks):
        yield f"ranks {list(limits.ranks[:8])} are all among forbidden_ranks"


def _kernels(types: frozenset[ShardingType], limits: TableConstraints) -> Iterator[str]:
    """Yield types and kernels without a pair: copies use `dense`, nothing else does."""
    kernels = frozenset(limits.compute_kernels or ComputeKernel)
    dense = frozenset({ComputeKernel.DENSE})
    if not (types & _COPIED and kernels & dense) and not (
        types - _COPIED and kernels - dense
    ):
        yield (
            f"types {_listed(limits.usable_types)} and compute_kernels "
            f"{_listed(limits.compute_kernels)} have no pair: kernel dense goes with "
            "data_parallel, and only with it"
        )


def _columns(
    types: frozenset[ShardingType], table: EmbeddingTable, limits: TableConstraints
) -> Iterator[str]:
    """Yield a width of which two shards have no place, where there must be two.

    Where a table may also stay whole, a large width only keeps it from being cut.
    """
    width, dim = limits.min_column_width, table.embedding_dim
    if width is not None and 2 * width > dim and types <= _BY_COLUMNS:
        yield (
            f"type {_listed(limits.usable_types)} needs two shards of "
            f"min_column_width {width} at least, and the table has {dim} columns"
        )


def of_groups(
    colocate: Iterable[tuple[str, ...]],
    separate: Iterable[tuple[str, ...]],
    limited: dict[str, TableConstraints],
) -> Iterator[str]:
    """Yield what contradicts between tables.

    Parameters
    ----------
    limited : dict of str to TableConstraints
        Of every table, with defaults.
    """
    bundles = _Bundles()
    for group in colocate:
        bundles.join(group)
    yield from _in_common(bundles, limited)
    for number, group in enumerate(separate):
        seen: dict[str, str] = {}
        for name in group:
            bundle = bundles.of(name)
            if bundle in seen:
                yield f"separate[{number}] keeps {_pair(seen[bundle], name)}"
            seen[bundle] = name
            if frozenset(limited[name].usable_types) == _COPIED:
                yield (
                    f"separate[{number}] keeps {name!r} from the ranks of others, and "
                    "data_parallel, its only sharding type, has it on every rank"
                )


def _pair(one: str, other: str) -> str:
    if one == other:
        return f"{one!r} apart from itself"
    return f"{one!r} apart from {other!r}, and colocate keeps them together"


def _in_common(
    bundles: _Bundles, limited: dict[str, TableConstraints]
) -> Iterator[str]:
    """Colocated tables have the same sharding type and kernel."""
    for names in bundles.members():
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        types = [frozenset(limited[name].usable_types) for name in names]
        if all(types) and not frozenset.intersection(*types):
            yield f"colocate: {shown} have no sharding type in common"
        kernels = [
            frozenset(limited[name].compute_kernels or ComputeKernel) for name in names
        ]
        if not frozenset.intersection(*kernels):
            yield f"colocate: {shown} have no compute kernel in common"


class _Bundles:
    """Names that stay together; a union-find."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the name that stands for a bundle."""
        parent = self._parent
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(self, names: Iterable[str]) -> None:
        """Keep names together."""
        first, *others = names
        for other in others:
            self._parent[self.of(other)] = self.of(first)

    def members(self) -> Iterable[list[str]]:
        """Return the names of every bundle."""
        found: dict[str, list[str]] = {}
        for name in self._parent:
            found.setdefault(self.of(name), []).append(name)
        return found.values()


def _listed(members: Iterable[ShardingType | ComputeKernel]) -> str:
    return ", ".join(member.value for member in members)
