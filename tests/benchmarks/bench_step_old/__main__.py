"""Time until a plan is as good as the one that an old commit returned after 10 s.

Usage: ``python -m tests.benchmarks.bench_step_old``, or ``make bench-step-old``. The
old commit minimises `step`, today's code `time`, on the frozen catalogue; today's code
simulates all plans. A run per limit: what a search has found by then depends on it.
Pairs are ``WORKLOAD@TOPOLOGY:HOSTS``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from math import exp, log
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from shardplan.planning.guard import NOISE
from tests.benchmarks.bench_step_old.race import Pair, solved
from tests.benchmarks.bench_study.__main__ import OLD, ROOT, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.bench_step_old.race import Found

RAW = ROOT / "build" / "bench" / "step-old.jsonl"
LIBRARIES = ROOT / "build" / "bench" / "old-libraries"
"""Releases of highspy and pulp that the old commit runs with, installed by make."""
PAIRS = (
    "dlrm-dcnv2@dgx-h100:1",
    "dlrm-dcnv2@dgx-h100:2",
    "dlrm-dcnv2@dgx-h100:8",
    "dlrm-dcnv2@dgx-a100-80:4",
    "criteo-tb@h100-pcie:2",
    "criteo-tb@dgx-a100-40:2",
    "criteo-kaggle@dgx-a100-80:4",
    "torcheasyrec-dlrm@dgx-h100:1",
    "torcheasyrec-dbmtl@dgx-h100:2",
    "hugectr-200@dgx-h100:2",
    "hugectr-200@gb200-nvl72:18",
    "merlin-tiny@h100-pcie:1",
    "merlin-small@dgx-a100-80:8",
    "merlin-small@dgx-h100:2",
    "merlin-medium@dgx-a100-40:2",
    "merlin-medium@zionex:8",
    "deeprecsys-rm3@dgx-h100:2",
    "deeprecsys-rm2@dgx-a100-40:2",
    "dlrm-v1@dgx-h100:8",
    "neo-i@zionex:16",
)
LIMIT_S = 10.0
LIMITS_S = (0.5, 1.0, 2.0, 3.3, 5.0, LIMIT_S)
TARGET = 1.0 / 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pairs", nargs="+", default=PAIRS, metavar="WORKLOAD@TOPOLOGY"
    )
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="of the old [s]")
    parser.add_argument("--limits", type=float, nargs="+", default=[*LIMITS_S])
    parser.add_argument("--old", default=OLD, help="commit")
    parser.add_argument("--raw", type=Path, default=RAW, help="the results, JSON lines")
    args = parser.parse_args(arguments)
    limits = sorted(args.limits)
    args.raw.parent.mkdir(parents=True, exist_ok=True)
    results: list[Found] = []
    say(["pair", "old", *(f"{limit:g} s" for limit in limits), "change", "time"])
    with tempfile.TemporaryDirectory() as name, args.raw.open("w") as file:
        code = unpacked(args.old, Path(name))
        for pair in args.pairs:
            old = solved(Pair.of(pair), "step", [args.limit], [LIBRARIES, code])[0]
            today = solved(Pair.of(pair), "time", limits, [ROOT])
            results.append({"pair": pair, "old": old, "today": today})
            file.write(json.dumps(results[-1]) + "\n")
            file.flush()
            say(cells(results[-1]))
    print(f"\n{summary(results)}", flush=True)  # noqa: T201


def share(found: Found) -> float | None:
    """Least limit at which today's plan is as good, over the old limit; or None.

    Steps that are ties for `solve` are as good as each other.
    """
    old = found["old"]
    for run in found["today"]:
        if run["step_s"] <= old["step_s"] * (1.0 + NOISE):
            return float(run["limit_s"] / old["limit_s"])
    return None


def cells(found: Found) -> list[str]:
    """Steps of the old and of each limit; change at the last one; share of the time."""
    old, today = found["old"]["step_s"], [run["step_s"] for run in found["today"]]
    part = share(found)
    return [
        found["pair"],
        *(f"{1e6 * step:.1f} us" for step in (old, *today)),
        f"{100.0 * (today[-1] / old - 1.0):+.1f} %",
        "never" if part is None else f"{part:.2f}",
    ]


def summary(results: Sequence[Found]) -> str:
    """Geometric means, and whether the target is met; what never was as good is 1."""
    shares = [share(found) for found in results]
    never = [f["pair"] for f, part in zip(results, shares, strict=True) if part is None]
    time = exp(fmean(log(1.0 if part is None else part) for part in shares))
    change = exp(
        fmean(log(f["today"][-1]["step_s"] / f["old"]["step_s"]) for f in results)
    )
    met = "yes" if time <= TARGET and not never else "**no**"
    return (
        f"Time until as good as the old plan, geometric mean: {time:.3f} of the old "
        f"limit; at most {TARGET:.2f}: {met}.\n"
        f"Never as good: {', '.join(never) or 'nowhere'}.\n"
        f"Step at the last limit: {change:.3f} of the old one, geometric mean."
    )


def say(row: Sequence[str]) -> None:
    """Print a row of the table at once."""
    print("| " + " | ".join(row) + " |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
