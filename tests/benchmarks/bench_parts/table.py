"""What each part brings: pairs of runs, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.bench_parts.measure import WHOLE, key

if TYPE_CHECKING:
    from pathlib import Path

Row = Mapping[str, str]
Cell = tuple[str, str]

_MOST = math.log(2.0)
"""What counts if only one of two runs found a plan, and the most that counts."""
_TIE = 1e-3
"""Results this close are equally good [%]."""
_RESAMPLES = 4000
_SURE = 0.05
"""A sign test below this is more than chance."""
_NOTHING = 0.1
"""A part brings nothing if the whole confidence interval is this close to 0 [%]."""
_BEGIN, _END = "<!-- parts: written by make bench-parts -->\n", "<!-- end of parts -->"


@dataclass(frozen=True)
class Effect:
    """What a part brings to a family: how much worse results are without it.

    Attributes
    ----------
    pairs, better, worse : int
        Problems; those whose result the part makes better, and worse.
    median, mean, low, high : float
        Of the logarithm of the ratio without / with the part, and the 95 % confidence
        interval of the mean [%].
    """

    pairs: int
    better: int
    worse: int
    median: float
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, log_ratios: Sequence[float]) -> Effect:
        """Describe some pairs, at least one."""
        values = 100.0 * np.clip(log_ratios, -_MOST, _MOST)
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(values), size=(_RESAMPLES, len(values)))
        low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
        return cls(
            pairs=len(values),
            better=int((values > _TIE).sum()),
            worse=int((values < -_TIE).sum()),
            median=float(np.median(values)),
            mean=float(values.mean()),
            low=float(low),
            high=float(high),
        )

    @property
    def chance(self) -> float:
        """Two-sided sign test: how likely such uneven signs are by chance."""
        num, few = self.better + self.worse, min(self.better, self.worse)
        tail = sum(math.comb(num, k) for k in range(few + 1)) / 2.0**num
        return min(1.0, 2.0 * tail)

    @property
    def verdict(self) -> str:
        """`brings`, `costs`, `nothing`, or `unclear` for want of pairs."""
        if self.chance < _SURE:
            return "brings" if self.better > self.worse else "costs"
        is_nothing = max(abs(self.low), abs(self.high)) <= _NOTHING
        return "nothing" if is_nothing else "unclear"


def effects(
    rows: Iterable[Row], measure: str = "plan", limit_s: float | None = None
) -> dict[Cell, Effect]:
    """Pair runs without a part with those of the whole, by part and family.

    Parameters
    ----------
    measure : {"plan", "gap"}
        Compare plans, or plans over their certified bounds.
    limit_s : float, optional
        Only runs of this limit; else all.
    """
    by_key = {key(row): row for row in rows}
    found: dict[Cell, list[float]] = {}
    for (family, limit, seed, part), row in by_key.items():
        whole = by_key.get((family, limit, seed, WHOLE))
        if part == WHOLE or whole is None or limit_s not in (None, limit):
            continue
        ratio = _score(row, measure) / _score(whole, measure)
        # Neither found a plan: as good as each other.
        log = 0.0 if math.isnan(ratio) else math.log(max(ratio, 1e-9))
        found.setdefault((part, family), []).append(log)
    return {cell: Effect.of(logs) for cell, logs in found.items()}


def _score(row: Row, measure: str) -> float:
    value = float(row["value_s"] or "inf")
    return value if measure == "plan" else value / float(row["bound_s"])


def short(rows: Sequence[Row]) -> str:
    """Mean effect by part and family, all limits together; sure ones in bold."""
    found = effects(rows)
    families = list(dict.fromkeys(family for _, family in found))
    lines = [_line(["part", *families]), _line(["---"] * (len(families) + 1))]
    for part in dict.fromkeys(part for part, _ in found):
        cells = [_cell(found.get((part, family))) for family in families]
        lines.append(_line([f"`{part}`", *cells]))
    return "\n".join(lines) + "\n"


def _cell(effect: Effect | None) -> str:
    """Mean [%] and number of pairs; nothing where the part was never at work."""
    if effect is None:
        return ""
    mean = f"{effect.mean:+.1f}"
    mean = "0" if mean in ("+0.0", "-0.0") else mean
    sure = "**" if effect.chance < _SURE else ""
    return f"{sure}{mean}{sure} ({effect.pairs})"


def full(rows: Sequence[Row]) -> str:
    """Every part, family and limit: plans and certified gaps."""
    head = "part family limit_s pairs better worse median_% mean_% low_% high_%"
    columns = [*head.split(), "chance", "plan", "gap_mean_%", "gap"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    for limit_s in sorted({float(row["limit_s"]) for row in rows}):
        gaps = effects(rows, "gap", limit_s)
        for cell, plan in effects(rows, "plan", limit_s).items():
            numbers = (plan.median, plan.mean, plan.low, plan.high)
            lines.append(
                _line(
                    [
                        *cell,
                        f"{limit_s:g}",
                        *map(str, (plan.pairs, plan.better, plan.worse)),
                        *(f"{number:+.2f}" for number in numbers),
                        f"{plan.chance:.3f}",
                        plan.verdict,
                        f"{gaps[cell].mean:+.2f}",
                        gaps[cell].verdict,
                    ]
                )
            )
    return "\n".join([*lines[:2], *sorted(lines[2:])]) + "\n"


def write(rows: Sequence[Row], page: Path) -> None:
    """Put the short table between the markers of a page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest[rest.index(_END) :]
    page.write_text(f"{before}{_BEGIN}\n{short(rows)}\n{after}", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
