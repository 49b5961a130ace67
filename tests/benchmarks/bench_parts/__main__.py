"""Measure what each part of `auto` brings, on fresh problems of all families.

Usage: ``python -m tests.benchmarks.bench_parts``, or ``make bench-parts``. Every
problem is solved by `auto` whole and without one part, with the same seed, for as many
seconds of the processor. Results are kept: a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.benchmarks.bench_parts.measure import measure, read
from tests.benchmarks.bench_parts.parts import part_names
from tests.benchmarks.bench_parts.problems import FAMILIES
from tests.benchmarks.bench_parts.table import full, write

ROOT = Path(__file__).resolve().parents[3]
RAW = ROOT / "build" / "bench" / "parts.csv"
PAGE = ROOT / "docs" / "how-it-works" / "search.md"
_FIRST_SEED, _SEEDS = 5000, 12


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = part_names()
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="problems a family")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--limit", type=float, default=2.0, help="processor time [s]")
    parser.add_argument("--raw", type=Path, default=RAW, help="the results, a CSV file")
    parser.add_argument("--docs", action="store_true", help=f"write into {PAGE.name}")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    measure(args.raw, args.families, args.parts, seeds, args.limit)
    rows = read(args.raw)
    print(full(rows))  # noqa: T201
    if args.docs:
        write(rows, PAGE)


if __name__ == "__main__":
    main()
