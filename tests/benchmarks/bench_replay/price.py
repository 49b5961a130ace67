"""The cost formulas, given what was counted instead of what a workload expects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.pricer import ModelPricer
from shardplan.costs.usage import TableUsage
from shardplan.plans.evaluation import Evaluation, add_up, evaluate, shard_arrays
from shardplan.plans.sparse_work import sparse_work
from shardplan.simulation.engine import run_overlapped
from shardplan.steps.program import build_program
from shardplan.steps.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Bools, Floats, Ints
    from tests.benchmarks.bench_replay.replay import Part


@dataclass(frozen=True, eq=False, kw_only=True)
class Counted(TableUsage):
    """Every part of a plan as a shard of a table that is used as it was counted.

    Attributes
    ----------
    parts : tuple of Part
    id_share, unique_share, sent : float arrays (P,)
        Share of its block's requests and of what is sent; what is sent to the block.
    """

    parts: tuple[Part, ...]
    id_share: Floats
    unique_share: Floats
    sent: Floats

    def _of(self, count: Callable[[Part], float]) -> Floats:
        return np.array([count(part) for part in self.parts], dtype=float)

    @property
    def unique_rows(self) -> Floats:  # type: ignore[override]
        """Rows of which a part's share is what it touched."""
        return _over(self._of(lambda part: part.unique), self.unique_share)

    @property
    def num_sent(self) -> Floats:  # type: ignore[override]
        """Rows that ranks send to all parts of a block."""
        return self.sent

    def unique_rows_among(self, table: Ints, num_lookups: Floats) -> Floats:
        """Rows of which a part's share is what pieces of the step touched."""
        found = []
        for index, lookups in zip(table.tolist(), num_lookups.tolist(), strict=True):
            part, every = self.parts[index], self.num_lookups[index]
            pieces = 1.0 if part.is_copy or not lookups else every / lookups
            found.append(part.distinct_in_pieces(max(round(pieces), 1)))
        return _over(np.array(found), self.unique_share[table])

    def hit_rate(self, table: Ints, cached: Floats) -> Floats:
        """Share of the requests that needs nothing from the host."""
        parts = [self.parts[index] for index in table.tolist()]
        hits = [1.0 - p.fetched / max(len(p.requests), 1) for p in parts]
        return np.array(hits)

    def hottest_mass(self, table: Ints, share: Floats) -> Floats:
        """Share of the requests that go to the hottest rows of the whole log."""
        return self._of_parts(table, share, lambda p, rows: p.hot_share(rows))

    def kept_mass(self, table: Ints, share: Floats) -> Floats:
        """Share of the lookups that find their row in the device's cache."""
        return self._of_parts(table, share, lambda p, rows: p.rereads(rows))

    @property
    def knows_misses(self) -> Bools:  # type: ignore[override]
        """Reads are counted as they are sent: no other ones stand for them."""
        return np.zeros(len(self.parts), dtype=bool)

    def _of_parts(
        self, table: Ints, share: Floats, count: Callable[[Part, float], float]
    ) -> Floats:
        pairs = zip(table.tolist(), share.tolist(), strict=True)
        held = [(self.parts[i], share) for i, share in pairs]
        return np.array([count(p, x * (p.last - p.first)) for p, x in held])


def _over(counts: Floats, shares: Floats) -> Floats:
    """Return what has these shares; nothing where there is no share."""
    return np.where(shares > 0, counts / np.where(shares > 0, shares, 1.0), 0.0)


def _of_block(parts: list[Part], counts: Floats, ranks: int) -> Floats:
    """Return the sum of counts over all parts of each part's block (P,).

    Copies are as many as there are ranks, and are taken to be alike.
    """
    block = [(part.table, part.block) for part in parts]
    sums = Counter[tuple[int, int]]()
    for key, count in zip(block, counts.tolist(), strict=True):
        sums[key] += count
    alike = counts * ranks
    copies = np.array([part.is_copy for part in parts])
    return np.where(copies, alike, [sums[key] for key in block])


def counted_usage(usage: TableUsage, parts: list[Part]) -> Counted:
    """Return a usage of as many tables as there are parts."""
    at = np.array([part.table for part in parts])
    tables = usage.workload.tables
    named = tuple(
        tables[part.table].replace(name=f"{i} {tables[part.table].name}")
        for i, part in enumerate(parts)
    )
    ranks, pooled = usage.num_ranks, usage.is_pooled[at]
    copies = np.array([part.is_copy for part in parts])
    own = np.array([len(part.requests) for part in parts], dtype=float)
    own_sent = np.array([len(part.sent) for part in parts], dtype=float)
    asked, sent = (_of_block(parts, each, ranks) for each in (own, own_sent))
    is_one = copies | ~usage.sends_once[at]
    return Counted(
        workload=usage.workload.replace(tables=named),
        batch_size=usage.batch_size,
        num_embeddings=usage.num_embeddings[at],
        embedding_dim=usage.embedding_dim[at],
        num_samples=usage.num_samples[at],
        num_lookups=asked,
        num_outputs=np.where(pooled, usage.num_outputs[at], asked),
        num_lengths=usage.num_lengths[at],
        is_pooled=pooled,
        id_bytes=usage.id_bytes[at],
        num_ranks=ranks,
        target=usage.target,
        parts=tuple(parts),
        id_share=np.where(copies, 1.0, own / np.maximum(asked, 1.0)),
        unique_share=np.where(is_one, 1.0, own_sent / np.maximum(sent, 1.0)),
        sent=sent,
    )


def step_seconds(plan: Plan, parts: list[Part]) -> float:
    """Return the simulated step [s] of what was counted in one."""
    modelled = evaluate(plan)
    usage = counted_usage(modelled.usage, parts)
    pricer = ModelPricer(modelled.cluster, usage, modelled.rates)
    blocks = {(s.table, s.block): s for s in modelled.shards}
    shards = tuple(
        blocks[part.table, part.block]._replace(
            table=i,
            rows=part.last - part.first,
            id_share=float(usage.id_share[i]),
            unique_share=float(usage.unique_share[i]),
            ranks=(part.rank,),
        )
        for i, part in enumerate(parts)
    )
    placements = {i: plan.tables[part.table] for i, part in enumerate(parts)}
    arrays = shard_arrays(shards, placements)
    prices = pricer.price(arrays)
    pools = modelled.capacity.rank_pool
    counted = Evaluation(
        plan=plan,
        usage=usage,
        pricer=pricer,
        shards=shards,
        arrays=arrays,
        prices=prices,
        loads=add_up(shards, prices, modelled.cluster, pools),
        capacity=modelled.capacity,
    )
    settings = SimulationSettings()
    program = build_program(pricer, sparse_work(counted), settings)
    timeline = run_overlapped(program, settings.num_batches + 1)
    begin, end = timeline.window
    return float(end - begin)
