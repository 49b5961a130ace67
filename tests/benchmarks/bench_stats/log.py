"""A log of ids by Zipf's law, and what is compared of its access curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 1 << 20
"""Ids of a row group."""
BATCH = 8192
"""Ids of the batches whose unique rows are counted."""
EXPONENT = 1.05
_SPREAD = 2_654_435_761
"""A prime: times this, modulo the rows, hot rows are all over the table."""

RANKS = 2 ** np.arange(28)
"""Numbers of hottest rows at which access curves are compared."""


def zipf(rng: np.random.Generator, size: int, rows: int) -> np.ndarray:
    """Draw ids, int array of shape (size,), by a power law cut at `rows`."""
    power = 1.0 - EXPONENT
    rank = (1.0 + rng.random(size) * (float(rows) ** power - 1.0)) ** (1.0 / power)
    return np.minimum(rank.astype(np.int64) - 1, rows - 1) * _SPREAD % rows


def write(folder: Path, size: int, rows: int, seed: int = 0) -> None:
    """Write ``log.parquet`` of so many ids, and the mapping to its table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    schema = pa.schema([("id", pa.int64())])
    with pq.ParquetWriter(folder / "log.parquet", schema) as file:
        for start in range(0, size, GROUP):
            ids = zipf(rng, min(GROUP, size - start), rows)
            file.write_table(pa.table({"id": ids}, schema=schema))
    (folder / "mapping.toml").write_text(
        'schema_version = 1\nname = "zipf"\n'
        '[[features]]\ncolumn = "id"\ntable = "items"\n'
        f'[[tables]]\nname = "items"\nnum_embeddings = {rows}\n'
    )


def shares(counts: np.ndarray) -> list[float]:
    """Return the share of the lookups of the hottest rows, at `RANKS`."""
    total = np.cumsum(np.sort(counts)[::-1])
    places = np.minimum(RANKS, len(total)) - 1
    found: list[float] = (total[places] / total[-1]).tolist()
    return found
