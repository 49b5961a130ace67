"""Either side of the benchmark in a process of its own: what it found and took.

``python -m tests.benchmarks.bench_stats.sides shardplan FOLDER`` prints one as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_stats.log import BATCH, RANKS, shares


def of_shardplan(folder: Path) -> dict[str, Any]:
    """Measure with ``shardplan stats``."""
    from shardplan.statistics.mapping_file import load_mapping
    from shardplan.statistics.measure import measure

    mapping = load_mapping(folder / "mapping.toml")
    table = measure([folder / "log.parquet"], mapping).tables[0]
    batch = next((b for b in table.batches if b.samples == BATCH), None)
    rows, share = np.array([(0.0, 0.0), *table.access]).T
    return {
        "rows": table.rows_seen,
        "unique": batch.unique_ids if batch else None,
        "access": np.interp(RANKS, rows, share).tolist(),
    }


def of_polars(folder: Path) -> dict[str, Any]:
    """Count every row, and the unique rows of every batch."""
    import polars as pl

    log = pl.scan_parquet(folder / "log.parquet")
    counts = log.group_by("id").len().collect()["len"].to_numpy()
    number = pl.int_range(pl.len(), dtype=pl.UInt32) // BATCH
    batches = log.group_by(number.alias("batch")).agg(
        pl.col("id").n_unique(), pl.len().alias("ids")
    )
    whole = batches.collect().filter(pl.col("ids") == BATCH)
    return {
        "rows": len(counts),
        "unique": whole["id"].mean(),
        "access": shares(counts),
    }


SIDES = {"shardplan": of_shardplan, "polars": of_polars}


def main() -> None:
    """Run one side; start-up and imports are its own cost."""
    found = SIDES[sys.argv[1]](Path(sys.argv[2]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = {"cpu_s": time.process_time(), "peak_mib": peak}
    sys.stdout.write(json.dumps({**found, **took}))


if __name__ == "__main__":
    main()
