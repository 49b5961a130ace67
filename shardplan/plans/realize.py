"""Turn an assignment of options into the placements that a plan stores."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shardplan.costs.scopes import Scope
from shardplan.costs.shards import DTYPES, KERNELS
from shardplan.problems.options.arrays import SHARDING_TYPES, Options
from shardplan.records.placement import ColumnBlock, TablePlacement, TierSplit
from shardplan.records.sharding import ComputeKernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints


def placements(problem: Problem, assignment: Assignment) -> tuple[TablePlacement, ...]:
    """Return one placement per table, in the workload's order."""
    found: dict[int, TablePlacement] = {}
    for bundle, members in enumerate(problem.bundles.members):
        option, places = int(assignment.option[bundle]), assignment.places[bundle]
        for position, table in enumerate(members):
            source = int(problem.bundles.sources[option, position])
            found[table] = placement_of(problem, table, source, places)
    return tuple(found[table] for table in sorted(found))


def placement_of(
    problem: Problem, table: int, option: int, places: Ints
) -> TablePlacement:
    """Return one table's placement by an option of its menu, on some places."""
    menu = problem.bundles.menu
    return TablePlacement.model_construct(
        name=problem.usage.workload.tables[table].name,
        sharding_type=SHARDING_TYPES[menu.sharding_type[option]],
        compute_kernel=KERNELS[menu.kernel[option]],
        dtype=DTYPES[menu.dtype[option]],
        tiers=tier_split(
            KERNELS[menu.kernel[option]],
            float(menu.hbm_share[option]),
            float(menu.ddr_share[option]),
            is_cpu=problem.cluster.is_cpu,
        ),
        blocks=_sized(problem, table, option, _blocks(problem, menu, option, places)),
    )


@lru_cache(maxsize=4096)
def tier_split(
    kernel: ComputeKernel, hbm: float, ddr: float, *, is_cpu: bool
) -> TierSplit:
    """Shares of rows per tier for a kernel with the given shares of its caches."""
    if is_cpu:
        return TierSplit(ddr=1.0)
    if kernel is ComputeKernel.KEY_VALUE:
        return TierSplit(hbm=hbm, ddr=ddr, ssd=1.0)
    return TierSplit(hbm=hbm, ddr=ddr)


def _sized(
    problem: Problem, table: int, option: int, blocks: Iterable[ColumnBlock]
) -> tuple[ColumnBlock, ...]:
    """Give blocks the sizes of row shards that an option cuts by their heat."""
    menu = problem.bundles.menu
    weight = float(menu.heat_weight[option])
    if weight == 0.0:
        return tuple(blocks)
    count = int(menu.row_shards[option])
    sizes = problem.usage.row_heat.cut(table, count, weight)
    return tuple(block.model_copy(update={"row_sizes": sizes}) for block in blocks)


def _blocks(
    problem: Problem, menu: Options, option: int, places: Ints
) -> Iterator[ColumnBlock]:
    scope = int(menu.scope[option])
    items = menu.items_of(option)
    widths = [
        int(width)
        for width, count in zip(
            menu.item_columns[items], menu.item_count[items], strict=True
        )
        for _ in range(count)
    ]
    if scope == Scope.ALL:
        yield _span_block(0, widths[0], 0, problem.world_size)
        return
    if menu.apart[option]:
        size = int(menu.row_shards[option])
        yield from _runs(sorted(places.tolist()), widths[0], size)
        return
    offset = 0
    for width, place in zip(widths, places.tolist(), strict=True):
        span = problem.place_ranks(scope, place)
        yield _span_block(offset, width, span.start, span.stop)
        offset += width


def _runs(ranks: list[int], width: int, size: int) -> Iterator[ColumnBlock]:
    """Give each run of `size` ranks, in ascending order, the next slice of columns."""
    for number, first in enumerate(range(0, len(ranks), size)):
        yield _block(number * width, width, tuple(ranks[first : first + size]))


def _block(offset: int, width: int, ranks: tuple[int, ...]) -> ColumnBlock:
    """Make a block, without looking at every rank of it again: `check` does."""
    return ColumnBlock.model_construct(
        column_offset=offset, num_columns=width, ranks=ranks
    )


@lru_cache(maxsize=4096)
def _span_block(offset: int, width: int, first: int, end: int) -> ColumnBlock:
    """Return a block on consecutive ranks, the same one for the same of them."""
    return _block(offset, width, _span(first, end))


@lru_cache(maxsize=4096)
def _span(first: int, end: int) -> tuple[int, ...]:
    """Return consecutive ranks, the same tuple for the same ranks."""
    return tuple(range(first, end))
