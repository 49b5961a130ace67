"""Generate the tables of the Neo workloads and their access distribution.

The papers give totals and averages only; README.md states the rule that this script
follows to draw single tables. Run it to write `neo-*.csv` again; a test compares the
committed files with what it returns. It needs nothing but the standard library, and
draws with `random.Random(seed).random()`, whose sequence Python guarantees.
"""

from __future__ import annotations

import csv
import io
import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

HERE = Path(__file__).resolve().parent
HEADER = ("name", "num_embeddings", "embedding_dim", "dtype", "pooling_factor")


@dataclass(frozen=True)
class Rule:
    """Totals to meet, and the spread of the log-normal draws (0: all tables equal)."""

    seed: int
    num_tables: int
    total_params: int
    mean_dim: int
    dim_range: tuple[int, int]
    mean_pooling: float
    dim_sigma: float = 0.0
    rows_sigma: float = 0.0
    pooling_sigma: float = 0.0
    rows_range: tuple[int, int] = (100, 2_000_000_000)
    pooling_range: tuple[float, float] = (1.0, 200.0)


RULES = {
    "neo-a": Rule(
        seed=1,
        num_tables=4096,
        total_params=793_000_000_000,
        mean_dim=93,
        dim_range=(4, 384),
        mean_pooling=15.0,
        dim_sigma=0.85,
        rows_sigma=1.8,
        pooling_sigma=1.0,
    ),
    "neo-f": Rule(
        seed=2,
        num_tables=64,
        total_params=12_000_000_000_000,
        mean_dim=256,
        dim_range=(256, 256),
        mean_pooling=20.0,
    ),
    "neo-i": Rule(
        seed=3,
        num_tables=512,
        total_params=332_000_000_000,
        mean_dim=92,
        dim_range=(92, 92),
        mean_pooling=70.0,
        rows_sigma=1.5,
        pooling_sigma=0.8,
        pooling_range=(1.0, 500.0),
    ),
}

REUSE_2021 = (
    0.069, 0.044, 0.068, 0.101, 0.121, 0.104, 0.073, 0.058, 0.052,
    0.050, 0.049, 0.048, 0.048, 0.043, 0.031, 0.023, 0.019,
)  # fmt: skip
"""Share of the lookups of a batch that go to rows looked up 1, 2, 3-4, 5-8, ...,
above 32768 times: facebookresearch/dlrm_datasets, embedding_bag/2021,
locality_stats.txt, fbgemm_t856_bs65536."""
MEAN_REUSE_2021 = 887_017_990 / 128_435_723
"""Lookups per row touched, in the same file."""


def tables(rule: Rule) -> list[tuple[int, int, float]]:
    """Return rows, columns and pooling factor of every table."""
    generator = random.Random(rule.seed)
    draws = _draws(generator, rule.num_tables, rule.dim_sigma)
    dims = _scaled(draws, rule.mean_dim, rule.dim_range)
    quarters = rule.num_tables * rule.mean_dim // 4
    columns = [4 * c for c in _round_to_sum([dim / 4 for dim in dims], quarters)]
    pooling = _scaled(
        _draws(generator, rule.num_tables, rule.pooling_sigma),
        rule.mean_pooling,
        rule.pooling_range,
    )
    total = round(10 * rule.num_tables * rule.mean_pooling)
    tenths = _round_to_sum([10 * value for value in pooling], total)
    rows = _rows(generator, rule, columns)
    return list(zip(rows, columns, [tenth / 10 for tenth in tenths], strict=True))


def _draws(generator: random.Random, count: int, sigma: float) -> list[float]:
    """Draw log-normal factors with median 1."""
    normal = NormalDist()
    return [
        math.exp(sigma * normal.inv_cdf(5e-7 + 0.999999 * generator.random()))
        for _ in range(count)
    ]


def _scaled(
    factors: list[float],
    mean: float,
    limits: tuple[float, float],
    weights: list[int] | None = None,
) -> list[float]:
    """Scale and clip factors to `limits` so that their weighted mean is `mean`."""
    weights = weights or [1] * len(factors)
    low, high = 1e-6, 1e6

    def clipped(scale: float) -> list[float]:
        return [min(max(mean * scale * f, limits[0]), limits[1]) for f in factors]

    for _ in range(200):
        middle = math.sqrt(low * high)
        total = math.fsum(w * x for w, x in zip(weights, clipped(middle), strict=True))
        if total < mean * sum(weights):
            low = middle
        else:
            high = middle
    return clipped(high)


def _round_to_sum(values: list[float], total: int) -> list[int]:
    """Round down, then up where most was lost, so that the sum is `total`."""
    result = [math.floor(round(value, 6)) for value in values]
    order = sorted(range(len(values)), key=lambda i: (result[i] - values[i], i))
    for index in order[: total - sum(result)]:
        result[index] += 1
    return result


def _rows(generator: random.Random, rule: Rule, columns: list[int]) -> list[int]:
    """Draw row counts of four digits; the last table takes the rest of the total."""
    factors = _draws(generator, rule.num_tables, rule.rows_sigma)
    mean = rule.total_params / sum(columns)
    exact = _scaled(factors, mean, rule.rows_range, columns)
    if not rule.rows_sigma:
        return [round(value) for value in exact]
    rows = [int(float(f"{value:.4g}")) for value in exact]
    rest = rule.total_params - sum(
        row * column for row, column in zip(rows[:-1], columns[:-1], strict=True)
    )
    rows[-1] = max(rule.rows_range[0], rest // columns[-1])
    return rows


def table_file(name: str) -> str:
    """Return the text of `<name>.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for index, (rows, columns, pooling) in enumerate(tables(RULES[name])):
        writer.writerow((f"t{index:04d}", rows, columns, "fp16", pooling))
    return text.getvalue()


def access_points(name: str, batch: int = 65_536) -> list[tuple[float, float]]:
    """Return the CDF of a batch's lookups over the rows of the average table."""
    rule = RULES[name]
    rows = rule.total_params / (rule.num_tables * rule.mean_dim)
    touched = batch * rule.mean_pooling / MEAN_REUSE_2021 / rows
    points, covered, lookups = [], 0.0, 0.0
    for bin_index in range(len(REUSE_2021) - 1, 0, -1):
        reuse = 1.5 * 2 ** (bin_index - 1)
        lookups += REUSE_2021[bin_index]
        covered += REUSE_2021[bin_index] * MEAN_REUSE_2021 / reuse
        points.append((float(f"{covered * touched:.3g}"), round(lookups, 3)))
    return points


def main() -> None:
    """Write the CSV files and print the access points."""
    for name in RULES:
        (HERE / f"{name}.csv").write_text(table_file(name))
        sys.stdout.write(f"{name}: {access_points(name)}\n")


if __name__ == "__main__":
    main()
