"""Plan for logs with measured curves and with distributions, and replay the logs.

``make bench-replay`` runs it, and writes the table of docs/benchmarks/replay.md.
MovieLens is left out where ``make test-data`` has not fetched it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.bench_replay.compare import Step, predicted, replayed
from tests.benchmarks.bench_replay.logs import GENERATED, REAL, load
from tests.benchmarks.bench_replay.problem import WAYS, solve, workloads
from tests.real_logs import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.bench_replay.logs import Log

PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "replay.md"
HEADER = (
    "| log | planned with | step | replayed | off by | distinct rows | replayed "
    "| ids sent | replayed | rows fetched | replayed |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)
_BEGIN, _END = "<!-- replays: written by make bench-replay -->\n", "<!-- end -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", nargs="*", default=[REAL, *GENERATED])
    parser.add_argument("--timed", type=int, default=60, help="steps to time")
    parser.add_argument("--docs", action="store_true", help=f"write into {PAGE.name}")
    args = parser.parse_args(arguments)
    lines = []
    for name in args.logs:
        if name == REAL and not (FOLDER / "ml-100k.inter").exists():
            print("make test-data fetches movielens: left out", flush=True)  # noqa: T201
            continue
        for line in compared(load(name), args.timed):
            print(line, flush=True)  # noqa: T201
            lines.append(line)
    if args.docs:
        before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
        table = HEADER + "".join(f"{line}\n" for line in lines)
        text = f"{before}{_BEGIN}{table}{_END}{rest.split(_END)[1]}"
        PAGE.write_text(text, encoding="utf-8")


def compared(log: Log, timed: int) -> Iterator[str]:
    """Yield a line for each way to plan."""
    found = workloads(log)
    for way in WAYS:
        plan = solve(found[way], log)
        yield line(log.name, way, predicted(plan), replayed(plan, log, timed))


def line(log: str, way: str, said: Step, was: Step) -> str:
    """Return a line of the table; times in microseconds."""
    cells = [log, way, f"{said.seconds * 1e6:.0f} us", f"{was.seconds * 1e6:.0f} us"]
    cells.append(f"{said.seconds / was.seconds - 1:+.1%}".replace("%", " %"))
    for model, count in zip(said[1:], was[1:], strict=True):
        cells += [f"{model:,.0f}", f"{count:,.0f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
