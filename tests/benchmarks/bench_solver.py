"""Benchmark of the solvers: ``python -m tests.benchmarks.bench_solver --help``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import summary
from tests.benchmarks.cases import GRID, Case
from tests.benchmarks.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
RAW = ROOT / "build" / "bench" / "solver.jsonl"
DOCS = ROOT / "docs" / "benchmarks"
_FIRST_SEED = 1000
"""Seeds below were used while the solvers were written."""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a subset, < 3 min")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--seeds", type=int, help="problems per case")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--jobs", type=int, default=1, help="problems at a time")
    parser.add_argument(
        "--resume", action="store_true", help="keep results of an earlier run"
    )
    parser.add_argument("--no-docs", action="store_true", help="print only")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, seed = args.one
        print(json.dumps(measure(_case(name), int(seed))))  # noqa: T201
        return
    cases = [c for c in GRID if args.only in c.name and (c.is_quick or not args.quick)]
    jobs = [
        (case, args.first_seed + i)
        for case in cases
        for i in range(min(case.seeds, args.seeds or case.seeds))
    ]
    results = list(_run_all(jobs, RAW, args.jobs, resume=args.resume))
    print(summary.text(results))  # noqa: T201
    if not (args.quick or args.no_docs or args.only):
        summary.write(results, DOCS)


def _case(name: str) -> Case:
    return next(case for case in GRID if case.name == name)


def _run_all(
    jobs: list[tuple[Case, int]], raw: Path, at_a_time: int, *, resume: bool
) -> Iterable[tuple[Case, dict[str, Any]]]:
    """Run each problem in a process of its own; keeps every result in a file."""
    raw.parent.mkdir(parents=True, exist_ok=True)
    known = {}
    if resume and raw.exists():
        lines = [json.loads(line) for line in raw.read_text().splitlines()]
        known = {(line["case"], line["seed"]): line for line in lines}
    else:
        raw.unlink(missing_ok=True)

    def run(job: tuple[Case, int]) -> dict[str, Any]:
        case, seed = job
        if (case.name, seed) in known:
            return known[case.name, seed]
        result = _run_one(case, seed)
        with raw.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(summary.line(case, result), flush=True)  # noqa: T201
        return result

    with ThreadPoolExecutor(at_a_time) as pool:
        results = list(pool.map(run, jobs))
    return zip((case for case, _ in jobs), results, strict=True)


def _run_one(case: Case, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, "--one", case.name, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case.name}, seed {seed}:\n{done.stderr}")
    return {"case": case.name, **json.loads(done.stdout.splitlines()[-1])}


if __name__ == "__main__":
    main()
