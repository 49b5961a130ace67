"""What wider rows would bring where a framework only copies tables for their width."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shardplan.planning.quick_plan import is_small, quick_plan
from shardplan.problems.options.rules import columns, padded
from shardplan.records.sharding import ShardingType
from shardplan.records.targets import RUNTIMES, VECTOR_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.records.tables import EmbeddingTable

_TRIED = 3
"""Tables that are padded one at a time, the largest first."""
_PAYS = 0.99
"""A padded plan has to be shorter by this factor to be worth a word."""


class Padded(NamedTuple):
    """Tables made wider, and the objective of a plan for them [s]."""

    change: str
    objective_s: float


def padding_that_pays(evaluation: Evaluation) -> tuple[Padded, ...]:
    """Find tables that would be faster with a few more columns, the best one first.

    Each is planned anew by `greedy`, so what is said is so; small problems only, at
    most four plans. Nothing is tried but tables that a plan copies to all ranks because
    the target shards no rows of their width.
    """
    plan = evaluation.plan
    if RUNTIMES[plan.target].cuts_narrow_rows or not is_small(plan.inputs):
        return ()
    narrow = _narrow(plan)
    now = evaluation.value(plan.objective)
    found = [p for p in _tries(plan, narrow) if p.objective_s < now * _PAYS]
    return tuple(sorted(found, key=lambda p: (p.objective_s, p.change)))


def _narrow(plan: Plan) -> list[EmbeddingTable]:
    """List the tables that may be sharded but for their width, the largest first."""
    workload = plan.inputs.workload
    copied = {
        placement.name
        for placement in plan.tables
        if placement.sharding_type is ShardingType.DATA_PARALLEL
    }
    found = [
        table
        for table in workload.tables
        if table.name in copied
        and table.embedding_dim % VECTOR_COLUMNS
        and {*workload.table_constraints(table).usable_types}
        - {ShardingType.DATA_PARALLEL}
    ]
    return sorted(found, key=lambda t: (-t.num_embeddings * t.embedding_dim, t.name))


def _tries(plan: Plan, narrow: list[EmbeddingTable]) -> Iterator[Padded]:
    """Plan with each of the largest tables padded, and with all of them."""
    for table in narrow[:_TRIED]:
        text = f"{table.name} padded to {columns(padded(table.embedding_dim))}"
        yield from _planned(plan, [table], text)
    if len(narrow) > 1:
        text = f"all {len(narrow)} tables of such widths padded"
        yield from _planned(plan, narrow, text)


def _planned(
    plan: Plan, wider: Sequence[EmbeddingTable], text: str
) -> Iterator[Padded]:
    names = {table.name for table in wider}
    tables = tuple(
        table.replace(embedding_dim=padded(table.embedding_dim))
        if table.name in names
        else table
        for table in plan.inputs.workload.tables
    )
    workload = plan.inputs.workload.replace(tables=tables)
    other = quick_plan(plan, plan.inputs.replace(workload=workload))
    if other is not None:
        yield Padded(text, other.outcome.objective_s)
