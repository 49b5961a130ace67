"""TorchRec's planner and shardplan on the same inputs, by TorchRec's estimator.

``python -m tests.benchmarks.head_to_head -o page.md --csv runs.csv`` runs every case
and writes a table and all runs; of a page with marks only the part between them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.head_to_head.cases import CASES
from tests.benchmarks.head_to_head.runs import Limits, run_case
from tests.benchmarks.head_to_head.table import MARKS, Row, as_csv, between_marks, page

if TYPE_CHECKING:
    from tests.benchmarks.head_to_head.runs import Found

LONG = ("200 tables, 16 A100",)


def write_page(path: Path, generated: str) -> None:
    """Write a page, or the generated part of one that has marks for it."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = between_marks(text, generated) if MARKS[0] in text else generated
    path.write_text(whole, encoding="utf-8")


def main() -> None:
    """Run cases and write what came out, after each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=15.0, help="a variant [s]")
    parser.add_argument("--ours", type=float, default=8.0, help="shardplan [s]")
    parser.add_argument("--long", type=float, default=120.0, help="a long default [s]")
    parser.add_argument("--long-cases", nargs="*", default=list(LONG))
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    long_cases = tuple(case for case in given.long_cases if case in given.cases)
    limits = Limits(given.limit, given.ours, given.long, long_cases)
    results: dict[str, dict[str, Found]] = {}
    for case in given.cases:
        start = time.perf_counter()
        results[case] = run_case(case, limits)
        cells = " | ".join(Row(case, results[case]).cells())
        sys.stderr.write(f"{cells} | {time.perf_counter() - start:.0f} s in all\n")
        sys.stderr.flush()
        if given.output:
            write_page(given.output, page(results, limits))
        if given.csv:
            given.csv.write_text(as_csv(results), encoding="utf-8")
    sys.stdout.write(page(results, limits))


if __name__ == "__main__":
    main()
