"""Statistics of a log beside exact counts by Polars: rate, memory and accuracy.

``make bench-stats`` runs it. Both read the same Parquet file, each in a process of its
own; rates are by processor time, so that they are those of one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_stats.log import BATCH, EXPONENT, write
from tests.benchmarks.bench_stats.sides import SIDES

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "benchmarks" / "stats.md"


def main() -> None:
    """Write a log, measure it with both sides, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=100_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the table")
    parser.add_argument("--docs", action="store_true", help="write the page")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), chosen.ids, chosen.rows)
        found = {side: run(side, Path(folder)) for side in SIDES}
    page = report(found, chosen.ids, chosen.rows)
    sys.stdout.write(page)
    if chosen.docs:
        PAGE.write_text(page)


def run(side: str, folder: Path) -> dict[str, Any]:
    """Return what a side found, and what it took."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_stats.sides", side]
    done = subprocess.run(
        [*command, str(folder)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def report(found: dict[str, dict[str, Any]], ids: int, rows: int) -> str:
    """Return the page: what both sides took, and how far off the product is."""
    ours, exact = found["shardplan"], found["polars"]
    points = np.abs(np.subtract(ours["access"], exact["access"])).max() * 100
    lines = [
        "# Statistics of a log",
        "",
        f"`make bench-stats IDS={ids} ROWS={rows}`: `shardplan stats` on one process "
        "beside a Polars pipeline that counts",
        f"every row and the unique rows of every batch of {BATCH:,} ids. "
        f"{ids:,} ids by a power law of exponent {EXPONENT} over",
        f"{rows:,} rows, one column of a Parquet file. Rates are by processor time, "
        "start-up included.",
        "",
        "| | million ids/s per core | processor time | peak memory |",
        "|---|---|---|---|",
    ]
    for side, each in found.items():
        rate = ids / each["cpu_s"] / 1e6
        lines.append(
            f"| {side} | {rate:.2f} | {each['cpu_s']:.1f} s | "
            f"{each['peak_mib']:,.0f} MiB |"
        )
    lines += [
        "",
        f"Rate over that of Polars: {exact['cpu_s'] / ours['cpu_s']:.2f}. Memory over "
        f"that of Polars: {ours['peak_mib'] / exact['peak_mib']:.2f}.",
        "",
        "| against exact counts | off by |",
        "|---|---|",
        f"| rows seen | {_off(ours['rows'], exact['rows'])} |",
        f"| unique rows of a batch | {_off(ours['unique'], exact['unique'])} |",
        f"| access curve, worst point | {points:.3f} points |",
        "",
    ]
    return "\n".join(lines)


def _off(value: float | None, exact: float | None) -> str:
    if value is None or exact is None:
        return "no whole batch"
    return f"{abs(value / exact - 1):.3%}"


if __name__ == "__main__":
    main()
