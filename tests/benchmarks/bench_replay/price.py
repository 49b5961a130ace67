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


@dataclass(frozen=True, eq=False)
class Counted(TableUsage):
    """Every part of a plan as a table of its own, used as it was counted.

    Attributes
    ----------
    parts : tuple of Part
    """

    parts: tuple[Part, ...] = ()

    def _of(self, count: Callable[[Part], float]) -> Floats:
        return np.array([count(part) for part in self.parts], dtype=float)

    @property
    def unique_rows(self) -> Floats:  # type: ignore[override]
        """Different rows of the step."""
        return self._of(lambda part: part.unique)

    @property
    def num_sent(self) -> Floats:  # type: ignore[override]
        """Rows that ranks send; those of all ranks' copies, were they like this one."""
        ranks = self.num_ranks
        return self._of(lambda p: len(p.sent) * (ranks if p.is_copy else 1))

    def unique_rows_among(self, table: Ints, num_lookups: Floats) -> Floats:
        """Different rows of pieces of the step."""
        found = []
        for index, lookups in zip(table.tolist(), num_lookups.tolist(), strict=True):
            part = self.parts[index]
            pieces = len(part.requests) / lookups if lookups > 0 else 1.0
            found.append(part.distinct_in_pieces(max(round(pieces), 1)))
        return np.array(found)

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


def counted_usage(usage: TableUsage, parts: list[Part]) -> Counted:
    """Return a usage of as many tables as there are parts."""
    at = np.array([part.table for part in parts])
    tables = usage.workload.tables
    named = tuple(
        tables[part.table].replace(name=f"{i} {tables[part.table].name}")
        for i, part in enumerate(parts)
    )
    asked = np.array(
        [len(p.requests) * (usage.num_ranks if p.is_copy else 1.0) for p in parts]
    )
    pooled = usage.is_pooled[at]
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
        num_ranks=usage.num_ranks,
        target=usage.target,
        parts=tuple(parts),
    )


def _received(part: Part, asked: Counter[tuple[int, int]], even: float) -> float:
    """Return a rank's even part of what a table answers, over what this part does.

    Who holds hot rows answers more of them; all ranks receive equally many.
    """
    return even * asked[part.table, part.block] / max(len(part.requests), 1)


def step_seconds(plan: Plan, parts: list[Part]) -> float:
    """Return the simulated step [s] of what was counted in one."""
    modelled = evaluate(plan)
    usage = counted_usage(modelled.usage, parts)
    pricer = ModelPricer(modelled.cluster, usage, modelled.rates)
    blocks = {(s.table, s.block): s for s in modelled.shards}
    asked = Counter[tuple[int, int]]()
    for part in parts:
        asked[part.table, part.block] += len(part.requests)
    shards = tuple(
        blocks[part.table, part.block]._replace(
            table=i,
            rows=part.last - part.first,
            row_share=_received(part, asked, blocks[part.table, part.block].row_share),
            id_share=1.0,
            unique_share=1.0,
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
