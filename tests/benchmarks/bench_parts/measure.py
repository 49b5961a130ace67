"""Run `auto` whole and with one part off on the same problem, on the same clock."""

from __future__ import annotations

import csv
import sys
import time
from typing import TYPE_CHECKING, Any

import scipy.optimize  # noqa: F401  its import counts for none of the runs

from shardplan.certify.verify import verify
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent
from shardplan.solvers.params import DEFAULTS, SolverParams
from tests.benchmarks.bench_parts.clock import highs_on_processor_clock, processor_stop
from tests.benchmarks.bench_parts.parts import CONTROL, part_names, watched, without
from tests.benchmarks.bench_parts.problems import FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.problems.problem import Problem

COLUMNS = (
    "family",
    "limit_s",
    "seed",
    "problem",
    "objective",
    "part",
    "value_s",
    "bound_s",
    "cpu_s",
    "at_work",
)
WHOLE = "whole"
Key = tuple[str, float, int, str]
_OTHER = 10**6
"""Between the seeds of the control and of the others."""


def measure(
    path: Path, families: list[str], parts: list[str], seeds: range, limit_s: float
) -> None:
    """Add what is missing to a file of results, one row per run, seed by seed."""
    done = {key(row): row for row in read(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n")
    with highs_on_processor_clock():
        for seed in seeds:
            for family in families:
                about = {"family": family, "limit_s": limit_s, "seed": seed}
                _measure_one(path, done, about, parts)


def read(path: Path) -> list[dict[str, str]]:
    """Read the rows of a file of results; none if it is missing."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def key(row: dict[str, Any]) -> Key:
    """What identifies a run."""
    return (row["family"], float(row["limit_s"]), int(row["seed"]), row["part"])


def _measure_one(
    path: Path, done: dict[Key, dict[str, Any]], about: dict[str, Any], parts: list[str]
) -> None:
    """Run the whole, unless it was, and without each part that was at work in it."""
    whole = done.get(key({**about, "part": WHOLE}))
    if whole:
        at_work = whole["at_work"].split()
        parts = [p for p in parts if p in at_work]
    if all(key({**about, "part": part}) in done for part in parts) and whole:
        return
    drawn = FAMILIES[about["family"]](about["seed"])
    limit_s, seed = about["limit_s"], about["seed"]
    about |= {"problem": drawn.name, "objective": drawn.objective.value}
    _run(drawn.problem, 0.2, seed)  # modules are imported, tables are in memory
    if not whole:
        seen: set[str] = set()
        with watched(seen):
            found = _run(drawn.problem, limit_s, seed)
        at_work = [name for name in part_names() if name in seen]
        _append(path, {**about, "part": WHOLE, **found, "at_work": " ".join(at_work)})
        parts = [p for p in parts if p in at_work]
    for part in parts:
        if key({**about, "part": part}) not in done:
            other = seed + (_OTHER if part == CONTROL else 0)
            found = _run(drawn.problem, limit_s, other, without(part))
            _append(path, {**about, "part": part, **found})


def _run(
    problem: Problem, limit_s: float, seed: int, params: SolverParams = DEFAULTS
) -> dict[str, Any]:
    """Solve; look at the plan, and at the proof of the bound."""
    before = time.process_time()
    found = Auto(params).solve(problem, processor_stop(limit_s), seed, Silent())
    cpu_s = time.process_time() - before
    value: float | str = ""
    if found.assignment is not None:
        loads = problem.loads(found.assignment)
        if not loads.fits(problem.capacity):
            raise AssertionError("the plan does not fit")
        value = float(loads.value(problem.objective))
    bound = found.lower_bound_s
    if found.certificate is not None:
        bound = max(bound, verify(problem, found.certificate))
    return {"value_s": value, "bound_s": float(bound), "cpu_s": round(cpu_s, 3)}


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", newline="") as file:
        csv.DictWriter(file, COLUMNS).writerow(row)
    print(*row.values(), file=sys.stderr, flush=True)  # noqa: T201
