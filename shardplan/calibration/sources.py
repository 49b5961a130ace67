"""What a fitted coefficient says of where it is from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.printable import one_line
from shardplan.records.coefficient import Coefficient, PositiveCoefficient

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from shardplan.calibration.nccl_tests import Benchmark

_MOST = 200
_UNITS = {"latency_s": "s", "hop_s": "s", "exponent": "exponent"}
STEPS = "NVIDIA/nccl, tuning.cc: of reductions between hosts, that inside and steps"
"""Why nothing is left of a latency but that inside hosts, and steps between them."""


def coefficient(
    name: str, value: float, source: str, date: datetime.date | None = None
) -> Coefficient:
    """Return a coefficient of an operation."""
    share = "ratio" if value > 1 else "fraction"
    kind = Coefficient if name.endswith("_s") else PositiveCoefficient
    return kind(
        unit=_UNITS.get(name, share),
        value=value,
        source=source,
        date=date,
    )


def source_of(benchmarks: Sequence[Benchmark], fit: str) -> str:
    """Name the measurements and files, as many as a source has room for."""
    kinds = ", ".join(dict.fromkeys(one.collective for one in benchmarks))
    first = f"nccl-tests, {kinds}, {_cluster(benchmarks)}"
    versions = dict.fromkeys(one.nccl_version for one in benchmarks)
    known = ", ".join(filter(None, versions))
    if known:
        first += f", NCCL {known}"
    files = list(dict.fromkeys(one_line(Path(one.where).name) for one in benchmarks))
    for shown in range(len(files), 0, -1):
        more = f" and {len(files) - shown} more" if shown < len(files) else ""
        text = f"{first}, {fit}: {', '.join(files[:shown])}{more}"
        if len(text) <= _MOST:
            return text
    return f"{first}, {fit}"[:_MOST]


def _cluster(benchmarks: Sequence[Benchmark]) -> str:
    hosts = sorted({one.num_hosts for one in benchmarks})
    if hosts == [1]:
        ranks = sorted({one.num_ranks for one in benchmarks})
        return f"{_span(ranks)} ranks"
    return f"{_span(hosts)} hosts"


def _span(numbers: Sequence[int]) -> str:
    ends = dict.fromkeys((numbers[0], numbers[-1]))
    return " to ".join(map(str, ends))


def newest(benchmarks: Sequence[Benchmark]) -> datetime.date | None:
    """Return the day of the last measurement that says it."""
    return max((one.date for one in benchmarks if one.date), default=None)
