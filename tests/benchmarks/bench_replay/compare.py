"""Predictions of plans beside the replay of their log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.pricing import fetched_bytes
from shardplan.costs.shards import volumes_of
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import CACHING_KERNELS
from shardplan.simulation.step import simulate
from tests.benchmarks.bench_replay.price import step_seconds
from tests.benchmarks.bench_replay.problem import BATCH, RANKS
from tests.benchmarks.bench_replay.replay import steps

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from tests.benchmarks.bench_replay.logs import Log

WARM = 0.25
"""Part of the log that fills caches and is not counted."""


class Step(NamedTuple):
    """A mean step, summed over all ranks.

    Attributes
    ----------
    seconds : float
    unique : float
        Different rows that shards touch.
    sent : float
        Ids that shards look up.
    fetched : float
        Rows that caches take from the host.
    """

    seconds: float
    unique: float
    sent: float
    fetched: float


def predicted(plan: Plan) -> Step:
    """Return what the cost model and the simulator say."""
    found = evaluate(plan)
    shards, usage = found.arrays, found.usage
    volumes = volumes_of(shards, usage, found.cluster.world_size)
    holders = np.array([len(shard.ranks) for shard in found.shards])
    cached = shards.is_kernel(*CACHING_KERNELS)
    fetched = np.where(cached, fetched_bytes(shards, volumes, usage), 0.0)
    return Step(
        simulate(plan).step_time_s,
        float(volumes.unique @ holders),
        float(volumes.ids @ holders),
        float(fetched / volumes.row @ holders),
    )


def replayed(plan: Plan, log: Log, timed: int) -> Step:
    """Serve the log, and return the mean step once caches are full.

    Parameters
    ----------
    timed : int
        Steps to time, evenly over those that count; rows are counted in all.
    """
    total = log.num_samples // BATCH
    first = int(total * WARM)
    to_time = set(np.linspace(first, total - 1, timed).astype(int).tolist())
    seconds, counts = [], []
    for number, parts in enumerate(steps(plan, log, BATCH, RANKS)):
        if number < first:
            continue
        each = [(p.unique, len(p.sent), p.fetched) for p in parts]
        counts.append(np.sum(each, axis=0))
        if number in to_time:
            seconds.append(step_seconds(plan, parts))
    unique, sent, fetched = np.mean(counts, axis=0).tolist()
    return Step(float(np.mean(seconds)), unique, sent, fetched)
