"""What FBGEMM's benchmark of embeddings knows of a job, as a workload.

References
----------
FBGEMM, fbgemm_gpu/src/tbe/eeg/indices_generator.cpp: how ids are drawn from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import ValidationError

from shardplan.errors import InputError
from shardplan.io.json_file import read_json
from shardplan.io.validate import find_problems, validate
from shardplan.records.tables import CdfAccess, EmbeddingTable
from shardplan.records.tbe_data_config import TbeDataConfig, TbeIndices
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    import os

    from shardplan.records.arrays import Floats

_EXACT = 1 << 16
"""Ranks whose terms are summed one by one; an integral stands for those beyond."""
_TINY = 1e-300
_PER_OCTAVE = 4
"""Points of a curve between a number of rows and twice as many."""


class ImportedConfig(NamedTuple):
    """A workload, and what of it the file does not say.

    Attributes
    ----------
    notes : tuple of str
        Sentences.
    """

    workload: Workload
    notes: tuple[str, ...]


def import_tbe_config(path: str | os.PathLike[str]) -> ImportedConfig:
    """Read a configuration and describe its tables.

    Raises
    ------
    InputError
        With everything that is wrong in the file.
    """
    where = str(path)
    config = validate(TbeDataConfig, read_json(Path(path), where), where)
    try:
        workload = Workload(
            schema_version=1,
            name="tbe",
            description="Imported from a TBEDataConfig of FBGEMM.",
            global_batch_size=config.batch_params.B,
            tables=_tables(config),
        )
    except ValidationError as error:
        raise InputError(find_problems(error, Workload, where)) from error
    return ImportedConfig(workload, tuple(_notes(config)))


def _notes(config: TbeDataConfig) -> list[str]:
    notes = []
    if config.T > 1:
        notes.append("one access curve stands for all tables: the file has no others")
        if not (config.embedding_specs or (config.Es and config.Ds)):
            notes.append("rows and columns are the means of all tables: Es, Ds lack")
    return notes


def _tables(config: TbeDataConfig) -> tuple[EmbeddingTable, ...]:
    """Return tables, each with all of its features."""
    count, batch = config.T, config.batch_params.B
    features_of: dict[int, list[int]] = {}
    for feature, table in enumerate(config.feature_table_map or range(count)):
        features_of.setdefault(table, []).append(feature)
    lookups = np.array(config.pooling_params.Ls or (config.pooling_params.L,) * count)
    share = np.array(config.batch_params.Bs or (batch,) * count) / batch
    curves: dict[int, CdfAccess] = {}
    tables = []
    for number, features in sorted(features_of.items()):
        rows, width = _shape(config, number, features[0])
        if rows not in curves:
            curves[rows] = access_curve(config.indices_params, rows)
        factor = float(share[features].mean())
        tables.append(
            EmbeddingTable(
                name=f"table_{number}",
                num_embeddings=rows,
                embedding_dim=width,
                pooling_factor=float((lookups * share)[features].sum() / factor),
                num_outputs=len(features),
                batch_factor=factor,
                is_weighted=config.weighted,
                access=curves[rows],
            )
        )
    return tuple(tables)


def _shape(config: TbeDataConfig, table: int, feature: int) -> tuple[int, int]:
    """Return rows and columns of a table, or of one of its features."""
    if config.embedding_specs is not None:
        return config.embedding_specs[table]
    rows = config.Es[feature] if config.Es else config.E
    return rows, config.Ds[feature] if config.Ds else config.D


def access_curve(params: TbeIndices, num_rows: int) -> CdfAccess:
    """Return which share of the lookups goes to how many of the hottest rows.

    Notes
    -----
    Row of rank i < H has the share of heavy hitter i, the others divide what is left as
    ``(i + q)^-s``.
    """
    hot = np.sort(np.array(params.heavy_hitters[:num_rows]))[::-1]
    octaves = np.arange(_PER_OCTAVE * num_rows.bit_length() + 1) / _PER_OCTAVE
    ends = np.unique(np.minimum(len(hot) + np.floor(2.0**octaves), num_rows))
    tail = _sums(len(hot), ends, params)
    left = max(0.0, 1.0 - float(hot.sum())) if tail[-1] else 0.0
    shares = np.append(np.cumsum(hot), hot.sum() + left * tail / max(tail[-1], _TINY))
    rows = np.append(np.arange(1.0, len(hot) + 1), ends)
    kept = np.append(np.diff(rows) > 0, True)
    fractions = rows[kept] / num_rows
    heights = np.minimum(shares[kept] / max(float(shares[-1]), _TINY), 1.0)
    pairs = zip(fractions.tolist(), heights.tolist(), strict=True)
    return CdfAccess(points=tuple(pairs))


def _sums(first: int, ends: Floats, params: TbeIndices) -> Floats:
    """Return sums of (i + q)^-s over i from `first` up to each end, excluded."""
    q, s = params.zipf_q, params.zipf_s
    near = int(min(ends[-1], first + _EXACT))
    exact = np.append(0.0, np.cumsum((np.arange(first, near) + q) ** -s))
    found = exact[np.minimum(ends, near).astype(int) - first]
    low = near - 0.5 + q
    ratio = np.log((np.maximum(ends, near) - 0.5 + q) / low)
    power = 1.0 - s
    scaled = np.expm1(power * ratio) / power if power else ratio
    sums: Floats = found + low**power * scaled
    return sums
