"""The replay counts what it says, and measured curves come closer to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from shardplan.records.tables import TableConstraints
from tests.benchmarks.bench_replay import problem
from tests.benchmarks.bench_replay.compare import Step, predicted, replayed
from tests.benchmarks.bench_replay.logs import REAL, Log, column, generated, load
from tests.benchmarks.bench_replay.problem import (
    BATCH,
    RANKS,
    solve,
    workloads,
)
from tests.benchmarks.bench_replay.replay import Cache, steps
from tests.real_logs import FOLDER
from tests.statistics.logs import exact_misses, sessions

pytest.importorskip("pyarrow")


def test_a_cache_drops_the_row_of_the_longest_ago() -> None:
    """Against stack distances of a Fenwick tree."""
    ids = sessions(np.random.default_rng(2), 4000, 500)
    for size in (8, 64, 256):
        misses = Cache(size).look_up(ids)
        assert misses / len(ids) == pytest.approx(exact_misses(ids, np.array([size])))


def test_a_batch_fetches_a_row_once() -> None:
    """Even if it is pushed out and asked for again."""
    cache = Cache(2)
    assert cache.fetched(np.array([1, 2, 3, 1, 1])) == 3
    assert list(cache.rows) == [3, 1]
    assert cache.fetched(np.array([1, 4])) == 1


def test_parts_get_all_lookups_and_what_is_sent_once() -> None:
    """Of every table in every step, whatever the plan cuts."""
    log = generated("sessions", 3 * BATCH)
    plan = solve(workloads(log)["distribution"], log, work=200)
    names = [placement.name for placement in plan.tables]
    for step, parts in enumerate(steps(plan, log, BATCH, RANKS)):
        for table, name in enumerate(names):
            ids = log.columns[name].batch(step * BATCH, (step + 1) * BATCH)
            mine = [p for p in parts if p.table == table and p.block == 0]
            asked = np.concatenate([p.requests for p in mine])
            assert np.sort(asked).tolist() == np.sort(ids).tolist()
            assert sum(p.unique for p in mine if not p.is_copy) in (
                0,
                len(np.unique(ids)),
            )
            if not log.columns[name].is_pooled:
                quarters = np.split(ids, RANKS)
                sent = sum(len(np.unique(quarter)) for quarter in quarters)
                assert sum(len(p.sent) for p in mine) == sent


@pytest.mark.parametrize(("kind", "error"), [("column_wise", 1e-6), ("row_wise", 0.1)])
def test_where_the_model_is_exact_the_replay_says_the_same(
    kind: str, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row once, whole tables in HBM: formulas get the same numbers.

    Row shards are even on the mean only, and a step waits for the fullest.
    """
    monkeypatch.setattr(problem, "HELD", 2.0)
    rows, one = 64 * BATCH, np.ones(64 * BATCH, dtype=np.int64)
    ids = np.random.default_rng(4).permutation(rows)
    log = Log("once", rows, {"only": column(rows, 4096, one, ids)})
    fixed = TableConstraints(sharding_types=(kind,), compute_kernels=("fused",))
    workload = workloads(log)["measured"].replace(constraints=fixed)
    plan = solve(workload, log, work=100)
    said, was = predicted(plan), replayed(plan, log, timed=3)
    assert was == pytest.approx(said, rel=error)


class Replays(NamedTuple):
    """What was predicted, and what the replay says."""

    said: Step
    was: Step

    @property
    def error(self) -> float:
        """Of the step, either way."""
        return abs(self.said.seconds / self.was.seconds - 1.0)


def replays(log: Log, work: float, timed: int) -> dict[str, Replays]:
    found = {}
    for way, workload in workloads(log).items():
        plan = solve(workload, log, work)
        found[way] = Replays(predicted(plan), replayed(plan, log, timed))
    return found


def test_measured_curves_come_closer_in_sessions() -> None:
    """On a log of known truth: rows that come again soon."""
    found = replays(generated("sessions", 40 * BATCH), work=200, timed=4)
    measured, guessed = found["measured"], found["distribution"]
    assert measured.said.unique == pytest.approx(measured.was.unique, rel=0.05)
    assert measured.said.sent == pytest.approx(measured.was.sent, rel=0.05)
    assert guessed.said.unique > 3 * guessed.was.unique
    assert measured.error < guessed.error


@pytest.mark.slow
@pytest.mark.skipif(
    not (FOLDER / "ml-100k.inter").exists(), reason="make test-data fetches it"
)
def test_measured_curves_come_closer_on_movielens() -> None:
    """In the order of time, within 5 %; a distribution is off by more than 10 %."""
    found = replays(load(REAL), work=1000, timed=8)
    assert found["measured"].error < 0.05
    assert found["distribution"].error > 0.1
    assert found["measured"].was.seconds < found["distribution"].was.seconds
