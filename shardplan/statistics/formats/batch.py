"""Logs as batches of Meta's dlrm_datasets: indices, offsets and lengths of all tables.

References
----------
github.com/facebookresearch/dlrm_datasets: a tuple of three tensors, table by table;
lengths are of tables x samples, and offsets one more than these.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.statistics.formats.arrays import blocks
from shardplan.statistics.formats.columns import numbered_columns, require_columns
from shardplan.statistics.formats.piece import PART_ROWS, Damage, LogPiece
from shardplan.statistics.formats.tensors import read_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.log_mapping import LogFormat, LogMapping
    from shardplan.statistics.formats.arrays import StoredNumbers


class _Batch(NamedTuple):
    """Lookups of a batch.

    Attributes
    ----------
    indices, offsets : StoredNumbers
        Of `num_indices`, and of one more than tables x samples.
    """

    indices: StoredNumbers
    offsets: StoredNumbers
    num_indices: int
    num_tables: int
    num_samples: int


@contextmanager
def _opened(path: str) -> Iterator[_Batch]:
    with Path(path).open("rb") as file:
        if not path.lower().endswith(".gz"):
            yield _batch(file)
            return
        with tempfile.TemporaryFile() as plain, gzip.open(file) as packed:
            try:
                shutil.copyfileobj(packed, plain, 1 << 20)
            except (EOFError, zlib.error) as error:
                raise OSError(f"is a damaged gzip file: {error}") from error
            yield _batch(plain)


def _batch(file: IO[bytes]) -> _Batch:
    tensors = read_tensors(file)
    shapes = [tensor.shape for tensor in tensors]
    if [len(shape) for shape in shapes] != [1, 1, 2]:
        rule = f"are no indices, offsets, and lengths of tables x samples: {shapes}"
        raise OSError(f"its tensors {rule}")
    indices, offsets, _ = tensors
    num_tables, num_samples = shapes[2]
    if offsets.shape != (num_tables * num_samples + 1,):
        raise OSError(f"has {offsets.shape[0]:,} offsets for lengths of {shapes[2]}")
    return _Batch(
        indices.numbers,
        offsets.numbers,
        indices.shape[0],
        num_tables,
        num_samples,
    )


def pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, float]]:
    """Yield the whole file with its share of a full part."""
    with _opened(path) as batch:
        if not batch.num_samples or not batch.num_tables:
            raise OSError("has no sample")
        num_samples = batch.num_samples
    yield LogPiece(path, form, 0, num_samples), num_samples / PART_ROWS


def read(
    piece: LogPiece, mapping: LogMapping | None, damaged: list[Damage]
) -> Iterator[Any]:
    """Yield the ids of tables as lists; samples of damaged offsets are left out.

    Raises
    ------
    InputError
        If the mapping names another number of tables.
    """
    import pyarrow as pa

    lost = 0
    with _opened(piece.path) as batch:
        count = batch.num_tables
        has = f"the file has {count} tables"
        names = numbered_columns(mapping, count, "table", has, piece.path)
        needed = require_columns(names, mapping, piece.path) if mapping else names
        for start, stop in blocks(piece.first, piece.last):
            found = {}
            for name in needed:
                first = names.index(name) * batch.num_samples + start
                ids = _ids(batch, first, stop - start)
                if ids is None:
                    break
                found[name] = ids
            else:
                yield pa.table(found)
                continue
            lost += stop - start
    if lost:
        reason = f"{lost:,} samples whose offsets are wrong"
        damaged.append(Damage(piece.path, reason))


def _ids(batch: _Batch, first: int, count: int) -> Any:
    """Return the lists of ids of some samples; None if their offsets are wrong."""
    import pyarrow as pa

    offsets = batch.offsets.read(first, count + 1).astype(np.int64)
    start, end = int(offsets[0]), int(offsets[-1])
    if start < 0 or end > batch.num_indices or np.any(np.diff(offsets) < 0):
        return None
    ids = batch.indices.read(start, end - start)
    return pa.LargeListArray.from_arrays(offsets - start, ids)
