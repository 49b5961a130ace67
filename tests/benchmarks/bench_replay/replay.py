"""What every shard of a plan does with a log, batch by batch, counted one by one.

Nothing here is a model: ranks have consecutive parts of a batch, shards the rows that
the plan cuts for them, and caches drop the row whose last use is longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.placement import even_rows
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Ints
    from tests.benchmarks.bench_replay.logs import Column, Log


@dataclass
class Cache:
    """Rows in the order of their last use."""

    size: int
    rows: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def fetched(self, ids: Ints) -> int:
        """Return the different rows of a batch that were not here, and keep the last.

        A batch's rows are fetched before its lookup, each once.
        """
        missing = {row for row in set(ids.tolist()) if row not in self.rows}
        self.look_up(ids)
        return len(missing)

    def look_up(self, ids: Ints) -> int:
        """Look rows up one after the other; return how often one was not here."""
        misses = 0
        for row in ids.tolist():
            misses += row not in self.rows
            self.rows[row] = None
            self.rows.move_to_end(row)
            if len(self.rows) > self.size:
                self.rows.popitem(last=False)
        return misses


@dataclass
class Part:
    """What one rank holds of a table, and what it was asked for in a step.

    Attributes
    ----------
    table, block, rank : int
    first, last : int
        Its rows: from the one up to the other.
    is_copy : bool
        It serves the samples of its own rank only.
    hottest : int array (R,)
        The rows by all their lookups in the log.
    cache : Cache
        In HBM; of no rows for kernels without one.
    requests : int array (n,)
        Rows that samples ask for, in their order.
    sent : int array (m,)
        Rows that ranks send: `requests`, or the different ones of each rank.
    fetched : int
        Rows that the cache took from the host.
    """

    table: int
    block: int
    rank: int
    first: int
    last: int
    is_copy: bool
    hottest: Ints
    cache: Cache
    requests: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    sent: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    fetched: int = 0

    def serve(self, batches: list[Ints], *, once: bool) -> None:
        """Take a step's ids of every rank."""
        batches = batches[self.rank : self.rank + 1] if self.is_copy else batches
        mine = [ids[(ids >= self.first) & (ids < self.last)] for ids in batches]
        self.requests = np.concatenate(mine)
        self.sent = np.concatenate([distinct(ids) for ids in mine] if once else mine)
        self.fetched = self.cache.fetched(self.requests) if self.cache.size else 0

    @property
    def unique(self) -> int:
        """Different rows of the step."""
        return len(np.unique(self.requests))

    def hot_share(self, rows: float) -> float:
        """Share of the requests that go to so many of the hottest rows."""
        hot = self.hottest[: round(rows)]
        return float(np.isin(self.requests, hot).mean()) if len(self.requests) else 0.0

    def rereads(self, rows: float) -> float:
        """Share of what is sent that a cache of rows has of the same step."""
        if not len(self.sent):
            return 0.0
        return 1.0 - Cache(max(int(rows), 1)).look_up(self.sent) / len(self.sent)

    def distinct_in_pieces(self, pieces: int) -> float:
        """Return the mean different rows of equal pieces of what is sent."""
        parts = np.array_split(self.sent, pieces)
        return sum(len(np.unique(ids)) for ids in parts) / pieces


def distinct(ids: Ints) -> Ints:
    """Return the different ids in the order in which they come."""
    return np.array(list(dict.fromkeys(ids.tolist())), dtype=np.int64)


def parts_of(plan: Plan, log: Log) -> list[Part]:
    """Return what the ranks of a plan hold."""
    found = []
    for table, placement in enumerate(plan.tables):
        column = log.columns[placement.name]
        is_copy = placement.sharding_type is ShardingType.DATA_PARALLEL
        counts = np.bincount(column.ids, minlength=column.num_rows)
        for number, block in enumerate(placement.blocks):
            cut = block.row_sizes or even_rows(column.num_rows, len(block.ranks))
            ends = np.cumsum((0, *cut))
            for place, rank in enumerate(block.ranks):
                first, last = (
                    (0, column.num_rows) if is_copy else ends[place : place + 2]
                )
                cache = Cache(int((last - first) * placement.tiers.hbm))
                if "caching" not in placement.compute_kernel.value:
                    cache = Cache(0)
                order = np.argsort(-counts[first:last], kind="stable") + first
                part = Part(table, number, rank, first, last, is_copy, order, cache)
                found.append(part)
    return found


def steps(plan: Plan, log: Log, batch: int, ranks: int) -> Iterator[list[Part]]:
    """Serve batch after batch; parts are the same objects in every step."""
    parts = parts_of(plan, log)
    columns = [log.columns[placement.name] for placement in plan.tables]
    dedup = plan.inputs.workload.dedup
    for start in range(0, log.num_samples - batch + 1, batch):
        ends = np.linspace(start, start + batch, ranks + 1).astype(int).tolist()
        ids = [of_ranks(column, ends) for column in columns]
        for part in parts:
            once = dedup and not columns[part.table].is_pooled
            part.serve(ids[part.table], once=once)
        yield parts


def of_ranks(column: Column, ends: list[int]) -> list[Ints]:
    """Return the ids of every rank's samples."""
    return [column.batch(a, b) for a, b in pairwise(ends)]
