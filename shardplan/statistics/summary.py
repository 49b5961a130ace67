"""From sums over a log to what is said of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.records.log_statistics import BatchStatistics, TableStatistics
from shardplan.statistics.batches import PARTITIONS, SIZES
from shardplan.statistics.curve import access_curve
from shardplan.statistics.drift import drift
from shardplan.statistics.heat import MODULUS
from shardplan.statistics.reuse import reuse_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Floats
    from shardplan.records.log_mapping import LogTable
    from shardplan.statistics.batches import Batches
    from shardplan.statistics.days import DayRows
    from shardplan.statistics.tally import Tally

QUANTILES = (0.5, 0.9, 0.99, 1.0)
RANKS = tuple(n for n in range(2, 65) if MODULUS % n == 0)
FOOTPRINT_ERROR = 0.01
"""By how much misses may be off that follow from gaps, in logs like those of tests; of
caches for 64 rows and more by half of it."""
_DIGITS = 7


def summarise(
    table: LogTable, tally: Tally, unreadable: int, days: DayRows | None = None
) -> TableStatistics:
    """Return the statistics of a table.

    Parameters
    ----------
    unreadable : int
        Ids of its features that could not be read.
    days : DayRows, optional
        None if days are not compared.
    """
    lengths, lookups = tally.lengths, tally.num_lookups
    samples, present = max(lengths.num_samples, 1), max(lengths.num_present, 1)
    pooling = lengths.total / present
    seen, seen_error = tally.sample.num_rows()
    # An estimate may be above what there is.
    seen = min(seen, float(table.num_embeddings))
    access = access_curve(tally.sample, lookups)
    return TableStatistics(
        name=table.name,
        num_embeddings=table.num_embeddings,
        rows_seen=seen,
        rows_seen_error=seen_error,
        lookups=lookups,
        out_of_range=tally.out_of_range,
        unreadable=unreadable,
        coverage=lengths.num_present / samples,
        pooling_factor=pooling,
        pooling_variance=max(0.0, lengths.squares / present - pooling**2),
        mean_length=lengths.total / samples,
        mean_square=lengths.squares / samples,
        max_length=lengths.longest,
        length_quantiles=tuple((q, lengths.quantile(q)) for q in QUANTILES),
        access=_pairs(np.minimum(access.rows, table.num_embeddings), access.lookups),
        access_error=access.error,
        cold_ratio=min(1.0, seen / max(lookups, 1)),
        cold_ratio_error=seen_error / max(lookups, 1),
        block_heat=tuple(_short(x) for x in tally.heat.shares()),
        modulo_skew=_pairs(RANKS, [tally.heat.modulo_skew(n) for n in RANKS]),
        batches=tuple(
            _batch(size, each)
            for size, each in zip(SIZES, tally.batches.each, strict=True)
            if each.seen
        ),
        days=drift(days) if days else (),
        **_reuse(tally, table.num_embeddings),
    )


def _batch(size: int, found: Batches) -> BatchStatistics:
    ids, unique = found.mean(size)
    most_ids, most_unique = found.most.tolist()
    return BatchStatistics(
        samples=size,
        batches=found.seen,
        measured=found.taken,
        ids=_short(ids),
        unique_ids=_short(unique),
        unique_error=_short(found.error(size)),
        most_ids=_pairs(PARTITIONS.tolist(), most_ids),
        most_unique_ids=_pairs(PARTITIONS.tolist(), most_unique),
        exceeded=_short(found.exceeded()),
    )


def _reuse(tally: Tally, num_embeddings: int) -> dict[str, Any]:
    """Return the curves that depend on the order of the log, two points per octave.

    Distinct rows are given where they are exact, but for the luck of the sample.
    """
    lookups, luck = tally.num_lookups, tally.sample.luck()
    if not lookups:
        return {"unique_rows": (), "miss_ratio": ()}
    curves = reuse_curves(tally.inner_gaps(), tally.border_gaps(), lookups)
    wanted = np.append(np.maximum(_powers(lookups) - 1.0, 1.0), lookups)
    kept = np.unique(np.searchsorted(curves.lookups, wanted))
    sizes = _powers(min(int(curves.rows[-1]), num_embeddings))
    rows = np.minimum(curves.rows[kept], num_embeddings)
    return {
        "unique_rows": _pairs(curves.lookups[kept], rows),
        "unique_rows_error": luck,
        "miss_ratio": _pairs(sizes, np.interp(sizes, curves.rows, curves.misses)),
        "miss_ratio_error": luck * tally.block_rows / lookups + FOOTPRINT_ERROR,
    }


def _powers(most: int) -> Floats:
    """Return 1, 1.4, 2, 2.8, 4, ... up to a number, as whole ones, each once."""
    steps = np.arange(2 * max(most, 1).bit_length())
    found = np.unique(np.floor(2.0 ** (steps / 2)))
    return found[found <= most]


def _short(value: float) -> float:
    """Round to the digits that mean something."""
    return float(f"{value:.{_DIGITS}g}")


def _pairs(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats
) -> tuple[tuple[float, float], ...]:
    """Return the points of a curve."""
    return tuple((_short(a), _short(b)) for a, b in zip(x, y, strict=True))
