"""What pools of plans say: how objectives order steps, and what is lost by that."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from statistics import fmean, median
from typing import TYPE_CHECKING

from scipy.stats import kendalltau

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tests.benchmarks.bench_step.measure import Found

    Combine = Callable[[list[float]], float]

NEAR = 1.5
"""Plans up to this many times the shortest step are near: others nobody would take."""
OBJECTIVES = ("time", "step", "max-rank")
_DIGITS = 9
"""Of steps and values that are compared: later ones are rounding."""
_SAME = 1e-6
_BEGIN, _END = "<!-- pairs: written by make bench-step -->\n", "<!-- end of pairs -->"


@dataclass(frozen=True)
class Alignment:
    """How well objectives order the simulated steps of one pair.

    Attributes
    ----------
    near, plans : int
        Plans near the best, and all.
    tau : dict of str to float or None
        Kendall's tau-b of each objective against the simulated step, near plans; None
        if all are alike.
    error, worst : float
        Median and largest |predicted / simulated step - 1|, near plans.
    regret : float or None
        Simulated step of the plan returned over the shortest known, minus 1; None
        without a plan.
    gap : float or None
        Value of the plan returned over its bound, minus 1; None without a bound.
    above : int
        Plans predicted to take longer than they do.
    below : int
        Plans with a value below the bound.
    """

    pair: str
    near: int
    plans: int
    tau: dict[str, float | None]
    error: float
    worst: float
    regret: float | None
    gap: float | None
    above: int
    below: int

    @classmethod
    def of(cls, found: Found) -> Alignment:
        """Describe what was measured."""
        plans, returned = found["plans"], found["returned"]
        best = min(plan["step_s"] for plan in plans)
        near = [plan for plan in plans if plan["step_s"] <= NEAR * best]
        steps = [plan["step_s"] for plan in near]
        errors = [abs(plan["time"] / plan["step_s"] - 1.0) for plan in near]
        bound = found.get("bound_s")
        return cls(
            pair=found["pair"],
            near=len(near),
            plans=len(plans),
            tau={name: tau([p[name] for p in near], steps) for name in OBJECTIVES},
            error=median(errors),
            worst=max(errors),
            regret=returned["step_s"] / best - 1.0 if returned else None,
            gap=returned["value_s"] / bound - 1.0 if returned and bound else None,
            above=sum(p["time"] > p["step_s"] * (1.0 + _SAME) for p in plans),
            below=sum(p["time"] < (bound or 0.0) * (1.0 - _SAME) for p in plans),
        )

    def cells(self) -> list[str]:
        """Write a row."""
        return [
            self.pair,
            f"{self.near} of {self.plans}",
            *(number(self.tau[name]) for name in OBJECTIVES),
            percent(self.error),
            percent(self.worst),
            percent(self.regret),
            percent(self.gap),
            "yes" if not self.above + self.below else _broken(self.above, self.below),
        ]


HEADER = (
    "pair",
    "near plans",
    *(f"tau {name}" for name in OBJECTIVES),
    "median error",
    "worst error",
    "regret",
    "gap",
    "bound ≤ value ≤ step",
)


def tau(values: Sequence[float], steps: Sequence[float]) -> float | None:
    """Kendall's tau-b; None if all values, or all steps, are alike."""
    rounded = [[float(f"{x:.{_DIGITS}g}") for x in some] for some in (values, steps)]
    found = float(kendalltau(*rounded).statistic)
    return None if isnan(found) else found


def table(results: Sequence[Found]) -> str:
    """One row per pair, then means and worst."""
    rows = [Alignment.of(found) for found in results]
    lines = [list(HEADER), ["---"] * len(HEADER), *(row.cells() for row in rows)]
    lines.append(_summary("mean", rows, fmean, fmean))
    lines.append(_summary("worst", rows, min, max))
    rows_text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    limits = ", ".join(sorted({f"{found['limit_s']:g} s" for found in results}))
    return f"{rows_text}\n\nLimit of `auto`: {limits} of the processor.\n"


def _summary(
    name: str, rows: Sequence[Alignment], of_tau: Combine, of_loss: Combine
) -> list[str]:
    losses = (
        [row.error for row in rows],
        [row.worst for row in rows],
        [row.regret for row in rows],
        [row.gap for row in rows],
    )
    return [
        f"**{name}**",
        "",
        *(number(_over(of_tau, [row.tau[n] for row in rows])) for n in OBJECTIVES),
        *(percent(_over(of_loss, some)) for some in losses),
        "",
    ]


def _over(combine: Combine, values: Iterable[float | None]) -> float | None:
    """Combine the values that there are."""
    known = [value for value in values if value is not None]
    return combine(known) if known else None


def targets(results: Sequence[Found]) -> str:
    """Say which targets are met, and where they are not."""
    rows = [Alignment.of(found) for found in results]
    mean_tau = _over(fmean, [row.tau["time"] for row in rows])
    mean_regret = _over(fmean, [row.regret for row in rows])
    lines = [
        _each("tau of `time` at least 0.90", rows, lambda r: r.tau["time"], _low(0.90)),
        _mean("mean tau at least 0.95", mean_tau, _low(0.95)),
        _each("a plan in time", rows, lambda r: r.regret, lambda _: False, known=True),
        _each("regret at most 1 %", rows, lambda r: r.regret, _high(0.01)),
        _mean("mean regret at most 0.2 %", mean_regret, _high(0.002)),
        _each("median error at most 3 %", rows, lambda r: r.error, _high(0.03)),
        _each("bound at most every value", rows, lambda r: r.below, _high(0)),
        _each("values at most the simulated steps", rows, lambda r: r.above, _high(0)),
    ]
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _low(least: float) -> Callable[[float], bool]:
    return lambda value: value < least


def _high(most: float) -> Callable[[float], bool]:
    return lambda value: value > most


def _each(
    wanted: str,
    rows: Sequence[Alignment],
    of: Callable[[Alignment], float | None],
    fails: Callable[[float], bool],
    *,
    known: bool = False,
) -> str:
    """Name the pairs that fail, and, if values must be known, where there is none."""
    values = [(row.pair, of(row)) for row in rows]
    missed = [p for p, v in values if (known if v is None else fails(v))]
    return f"{wanted}, each: " + (f"**no**, {', '.join(missed)}" if missed else "yes")


def _mean(wanted: str, value: float | None, fails: Callable[[float], bool]) -> str:
    if value is None:
        return f"{wanted}: -"
    return f"{wanted}: {'**no**' if fails(value) else 'yes'}, {value:.4f}"


def _broken(above: int, below: int) -> str:
    parts = [(above, "value above step"), (below, "value below bound")]
    return ", ".join(f"{n} x {what}" for n, what in parts if n)


def number(value: float | None) -> str:
    """Write a tau."""
    return "-" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{100.0 * value:.2f} %"


def write(results: Sequence[Found], page: Path) -> None:
    """Put the table between the markers of a page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest[rest.index(_END) :]
    whole = f"{before}{_BEGIN}\n{table(results)}\n{after}"
    page.write_text(whole, encoding="utf-8")
