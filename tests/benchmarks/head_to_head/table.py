"""Write what was measured as a table for people, as CSV, and as kept promises."""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.head_to_head.runs import DEFAULT, TIMED, TOO_LONG, VARIANTS

if TYPE_CHECKING:
    from tests.benchmarks.head_to_head.runs import Found, Limits

MANY_TABLES = 200
"""From here on times are compared."""
SAME = 1e-9
"""Relative difference of two ratings that are equal."""
MARKS = ("<!-- measured -->", "<!-- end -->")
HEADER = (
    "case",
    "tables",
    "shardplan",
    "gap",
    "TorchRec default",
    "best variant",
    "/ default",
    "/ best",
    "path / path of best",
    "for step: path / best path",
    "time, ours",
    "to best",
    "time, default",
    "MiB, ours",
    "MiB, default",
    "step, for time",
    "/ for ruler",
)
RATIOS = ("default", "best", "path", "shortest path")
FIELDS = (
    "rating_ms",
    "path_ms",
    "fits",
    "time_s",
    "peak_mib",
    "own_mib",
    "step_ms",
    "ruler_step_ms",
    "error",
)


@dataclass(frozen=True)
class Row:
    """One case: what everybody found."""

    case: str
    found: dict[str, Found]

    @property
    def theirs(self) -> dict[str, Found]:
        """TorchRec's variants that found a plan that fits."""
        some = {v: self.found.get(v, {}) for v in VARIANTS}
        return {v: f for v, f in some.items() if f.get("fits")}

    def ours(self, variant: str = "shardplan") -> Found:
        """Our plan, as TorchRec rates it; empty without one that fits."""
        rated = self.found.get(f"{variant} rated", {})
        return {**self.found.get(variant, {}), **rated} if rated.get("fits") else {}

    @property
    def best(self) -> str | None:
        """TorchRec's variant with the best rating."""
        theirs = self.theirs
        return min(theirs, key=lambda v: theirs[v]["rating_ms"], default=None)

    def ratio(self, name: str) -> float | None:
        """Our cost as a share of theirs.

        Of ``default`` or ``best``; of the ``path`` of the best; or, of our plan for
        `step`, of their ``shortest path``.
        """
        if name == "shortest path":
            paths = [f["path_ms"] for f in self.theirs.values()]
            return _share(
                self.ours("shardplan step").get("path_ms"), min(paths, default=None)
            )
        variant = DEFAULT if name == "default" else self.best
        other = self.theirs.get(variant or "", {})
        what = "path_ms" if name == "path" else "rating_ms"
        return _share(self.ours().get(what), other.get(what))

    def floor(self, name: str) -> float | None:
        """The ratio that no plan with these options can go below, by our bound."""
        ratio, gap = self.ratio(name), self.ours().get("gap")
        return None if ratio is None or gap is None else ratio / (1.0 + gap)

    def seconds_to_best(self) -> float | None:
        """When our search had a plan at least as good as TorchRec's best [s]."""
        if self.best is None:
            return None
        goal = self.theirs[self.best]["rating_ms"] * (1.0 + SAME)
        for seconds, value in self.ours().get("history", []):
            if value <= goal:
                return float(seconds)
        ends_there = (self.ratio("best") or 2.0) <= 1.0 + SAME
        return float(self.ours()["time_s"]) if ends_there else None

    def cells(self) -> list[str]:
        """Write the row."""
        ours, default, best = self.ours(), self.found.get(DEFAULT, {}), self.best
        gap = ours.get("gap")
        top = f"{_ms(self.theirs[best])} ({best})" if best else "no plan"
        return [
            self.case,
            str(self.found["shardplan"].get("tables", "-")),
            _ms(ours),
            "-" if gap is None else f"{gap:.1%}",
            _ms(default),
            top,
            *(_number(self.ratio(n), ".3f") for n in RATIOS),
            _number(self.found["shardplan"].get("time_s"), ".1f", " s"),
            _number(self.seconds_to_best(), ".2f", " s"),
            ("> " if default.get("error") == TOO_LONG else "")
            + _number(default.get("time_s"), ".1f", " s"),
            _memory(self.found["shardplan"]),
            _memory(default),
            _number(self._timed.get("step_ms"), ".3f", " ms"),
            _number(self.step_ratio, ".3f"),
        ]

    @property
    def _timed(self) -> Found:
        return self.found.get(TIMED, {})

    @property
    def step_ratio(self) -> float | None:
        """Predicted step of our plan for `time` over that of ours for the ruler."""
        return _share(self._timed.get("step_ms"), self._timed.get("ruler_step_ms"))


def _share(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value / other


def _ms(found: Found) -> str:
    if found.get("error") == TOO_LONG:
        return "did not end"
    return f"{found['rating_ms']:.3f} ms" if found.get("fits") else "no plan"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _memory(found: Found) -> str:
    if "peak_mib" not in found:
        return "-"
    return f"{found['peak_mib']:.0f} ({found['own_mib']:.0f})"


def page(results: dict[str, dict[str, Found]], limits: Limits) -> str:
    """Write table, means, promises and machine."""
    rows = [Row(case, found) for case, found in results.items()]
    lines = [HEADER, ("---",) * len(HEADER), *(row.cells() for row in rows)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    means = {name: _mean([row.ratio(name) for row in rows]) for name in RATIOS}
    floors = [_mean([row.floor(name) for row in rows]) for name in ("default", "best")]
    return (
        f"{table}\n\n"
        f"Geometric means: {means['default']:.3f} of TorchRec's default, "
        f"{means['best']:.3f} of its best variant, {means['path']:.3f} of the critical "
        f"path of that; our plans for `step`, {means['shortest path']:.3f} of its "
        f"shortest path. Plans at the proven bounds would have {floors[0]:.3f} and "
        f"{floors[1]:.3f}: no planner gets below with these options. "
        f"{_times(rows)}\n\n{_broken(rows)}\n\n"
        "The last columns are no ruler of TorchRec's: the step that our own cost model "
        "predicts of our plan for objective `time`, and its ratio to that of our plan "
        "for TorchRec's ruler; geometric mean "
        f"{_mean([row.step_ratio for row in rows]):.3f}.\n\n"
        f"Limits: {limits.theirs_s:g} s for each variant of TorchRec "
        f"({limits.long_s:g} s for its default on "
        f"{', '.join(limits.long_cases) or 'no case'}), "
        f"{limits.ours_s:g} s for shardplan. Machine: {machine()}.\n"
    )


def between_marks(text: str, generated: str) -> str:
    """Put a generated part into a page that has marks for it."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{generated}\n{MARKS[1]}{after}"


def _mean(ratios: list[float | None]) -> float:
    """Geometric mean of those that there are."""
    logs = [math.log(ratio) for ratio in ratios if ratio is not None]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _times(rows: list[Row]) -> str:
    """Compare times where there are many tables."""
    shares = []
    for row in rows:
        seconds = row.seconds_to_best()
        default = row.found.get(DEFAULT, {}).get("time_s")
        many = row.found["shardplan"].get("tables", 0) >= MANY_TABLES
        if many and seconds is not None and default:
            shares.append((seconds / default, row.case))
    if not shares:
        return ""
    worst, case = max(shares)
    return (
        f"With {MANY_TABLES} tables or more, a plan at least as good as TorchRec's "
        f"best took at most {worst:.3f} of the default's time ({case})."
    )


def _broken(rows: list[Row]) -> str:
    """List where shardplan was worse, or found nothing that TorchRec found."""
    broken = []
    for row in rows:
        if not row.ours() and row.theirs:
            broken.append(f"{row.case}: no plan")
        for name in RATIOS[1:]:
            ratio = row.ratio(name)
            if ratio is not None and ratio > 1.0 + SAME:
                broken.append(f"{row.case}: {ratio:.4f} of {name}")
    alone = [row.case for row in rows if row.ours() and not row.theirs]
    said = "Worse than TorchRec: " + ("; ".join(broken) or "nowhere") + "."
    return said + (
        f" Only shardplan had a plan within its limit: {', '.join(alone) or 'nowhere'}."
    )


def machine() -> str:
    """Describe the machine and what ran on it."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} cores ({kind}), {memory:.0f} GiB, Python "
        f"{platform.python_version()}, TorchRec {version('torchrec')}, "
        f"torch {version('torch')}"
    )


def as_csv(results: dict[str, dict[str, Found]]) -> str:
    """Write every run as one line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "planner", *FIELDS, "gap", "seconds_to_best"])
    for case, found in results.items():
        row = Row(case, found)
        for name, run in found.items():
            if name.endswith(" rated"):
                continue
            both: dict[str, Any] = {**run, **found.get(f"{name} rated", {})}
            seconds = row.seconds_to_best() if name == "shardplan" else None
            values = [*(both.get(field) for field in FIELDS), both.get("gap"), seconds]
            writer.writerow([case, name, *("" if v is None else v for v in values)])
    return text.getvalue()
