"""Measure how well objective `time` orders simulated steps, and what its plans lose.

Usage: ``python -m tests.benchmarks.bench_step``, or ``make bench-step``. For every pair
a pool of valid plans is simulated; limits are in seconds of the processor. Results are
printed pair by pair, and kept in ``build/bench/step.jsonl``. Pairs are
``WORKLOAD@TOPOLOGY[:HOSTS]``: shipped names, or paths.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.bench_step.measure import measure
from tests.benchmarks.bench_step.pairs import PAIRS, fresh, named
from tests.benchmarks.bench_step.table import HEADER, Alignment, table, targets, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.inputs import Inputs

ROOT = Path(__file__).resolve().parents[3]
RAW = ROOT / "build" / "bench" / "step.jsonl"
PAGE = ROOT / "docs" / "how-it-works" / "step-time.md"
_FIRST_SEED, _SEEDS = 7000, 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pairs", nargs="*", default=PAIRS, metavar="WORKLOAD@TOPOLOGY"
    )
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="fresh pairs")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--limit", type=float, default=10.0, help="processor time [s]")
    parser.add_argument("--raw", type=Path, default=RAW, help="the results, JSON lines")
    parser.add_argument("--docs", action="store_true", help=f"write into {PAGE.name}")
    args = parser.parse_args(arguments)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    args.raw.parent.mkdir(parents=True, exist_ok=True)
    results = []
    print("|", " | ".join(HEADER), "|", flush=True)  # noqa: T201
    with args.raw.open("w", encoding="utf-8") as file:
        for pair, inputs in _chosen(args.pairs, seeds):
            folder = args.raw.parent / "step-best"
            found = measure(pair, inputs, args.limit, folder)
            file.write(json.dumps(found) + "\n")
            file.flush()
            results.append(found)
            print("|", " | ".join(Alignment.of(found).cells()), "|", flush=True)  # noqa: T201
    print(f"\n{table(results)}\n{targets(results)}")  # noqa: T201
    if args.docs:
        write(results, PAGE)


def _chosen(pairs: Sequence[str], seeds: range) -> Iterator[tuple[str, Inputs]]:
    for pair in pairs:
        yield pair, named(pair)
    for seed in seeds:
        yield fresh(seed)


if __name__ == "__main__":
    main()
