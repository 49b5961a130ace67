"""Print gap against time of solver `auto` on fresh random problems.

Usage: ``python -m tests.benchmarks.bench_search [CASE ...] [--seeds N]``. The gap is
certified: it is taken against the bound that the solver returns.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from shardplan.records.sharding import SUMS
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Stop
from tests.benchmarks.instances import random_problem

_TIMES_S = (1.0, 3.0, 10.0, 20.0, 60.0)
_FIRST_SEED = 1000


class Case(NamedTuple):
    """A size of problem, and how long to search."""

    num_tables: int
    num_ranks: int
    time_limit_s: float
    options: dict[str, Any]


CASES = {
    f"{objective.value}-{name}": Case(n, m, limit, {**how, "objective": objective})
    for objective in SUMS
    for name, n, m, limit, how in (
        ("200x16", 200, 16, 3.0, {}),
        ("856x32", 856, 32, 3.0, {}),
        ("856x128", 856, 128, 10.0, {}),
        ("2000x512", 2000, 512, 20.0, {}),
        ("10000x512", 10000, 512, 60.0, {}),
        ("10000x4096", 10000, 4096, 60.0, {}),
        ("ddr-200x32", 200, 32, 10.0, {"fill": 2.0, "tiers": True}),
        ("ddr-856x128", 856, 128, 10.0, {"fill": 2.0, "tiers": True}),
        ("tight-100x8", 100, 8, 5.0, {"fill": 0.98}),
        ("tight-856x128", 856, 128, 5.0, {"fill": 0.98}),
    )
}


class Record:
    """Remembers when which value was reached."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._seen: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """See `Observer`."""
        self._seen.append((time.monotonic() - self._start, objective_s))

    def best_at(self, elapsed_s: float) -> float:
        """Value reached after some seconds."""
        return min((v for t, v in self._seen if t <= elapsed_s), default=np.inf)


def run(case: Case, seed: int) -> list[float]:
    """Solve one problem; return the gaps [%] at the times up to the limit."""
    problem = random_problem(seed, case.num_tables, case.num_ranks, **case.options)
    record = Record()
    stop = Stop(time_limit_s=case.time_limit_s, gap=1e-4)
    found = Auto().solve(problem, stop, seed, record)
    times = [t for t in _TIMES_S if t < case.time_limit_s] + [np.inf]
    return [100.0 * (record.best_at(t) / found.lower_bound_s - 1.0) for t in times]


def main() -> None:
    """Run the named cases, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.cases or CASES:
        case = CASES[name]
        seeds = range(_FIRST_SEED, _FIRST_SEED + arguments.seeds)
        gaps = np.array([run(case, seed) for seed in seeds])
        times = [t for t in _TIMES_S if t < case.time_limit_s] + [case.time_limit_s]
        columns = [
            f"{t:g} s: {m:.3f}/{w:.3f}"
            for t, m, w in zip(
                times, np.median(gaps, axis=0), gaps.max(axis=0), strict=True
            )
        ]
        sys.stdout.write(f"{name:24s} median/worst gap [%]  {'  '.join(columns)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
