"""Logs to replay: MovieLens in the order of time, and generated ones of known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.real_logs import FOLDER
from tests.statistics.logs import KINDS, ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.records.arrays import Ints

REAL = "movielens"
GENERATED = tuple(KINDS)
_SAMPLES = 40_000


@dataclass(frozen=True)
class Column:
    """The ids of one table: those of sample i lie between two offsets.

    Attributes
    ----------
    num_rows : int
        Of the table.
    width : int
        Columns of the table.
    is_pooled : bool
    offsets : int array of shape (N + 1,)
    ids : int array of shape (L,)
    """

    num_rows: int
    width: int
    is_pooled: bool
    offsets: Ints
    ids: Ints

    def batch(self, first: int, last: int) -> Ints:
        """Return the ids of some samples."""
        return self.ids[self.offsets[first] : self.offsets[last]]


@dataclass(frozen=True)
class Log:
    """Samples in the order in which a job reads them.

    Attributes
    ----------
    num_samples : int
    columns : dict of str to Column
        By the name of the table.
    """

    name: str
    num_samples: int
    columns: dict[str, Column]

    def write(self, path: Path) -> None:
        """Write it as a Parquet file, a list of ids per sample and table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        lists = {
            name: pa.LargeListArray.from_arrays(column.offsets, column.ids)
            for name, column in self.columns.items()
        }
        pq.write_table(pa.table(lists), path, row_group_size=10_000)


def load(name: str) -> Log:
    """Return a log by its name."""
    return movielens(FOLDER) if name == REAL else generated(name)


def movielens(folder: Path) -> Log:
    """Return 100,000 ratings by time, with what is known of users and of films."""
    lines = np.loadtxt(folder / "ml-100k.inter", dtype=np.int64, skiprows=1)
    user, item = lines[np.argsort(lines[:, 3], kind="stable"), :2].T
    users, items = rows_of(folder / "ml-100k.user"), rows_of(folder / "ml-100k.item")
    zips = {code: i for i, code in enumerate(sorted({u[4] for u in users.values()}))}
    words = {word for film in items.values() for word in film[3].split()}
    genres = {word: i for i, word in enumerate(sorted(words))}
    of_film = {f: [genres[word] for word in row[3].split()] for f, row in items.items()}
    one = np.ones(len(user), dtype=np.int64)
    kinds = [of_film[film] for film in item.tolist()]
    home = np.array([zips[users[who][4]] for who in user.tolist()])
    lengths = np.array([len(each) for each in kinds])
    return Log(
        REAL,
        len(user),
        {
            "user": column(944, 32_768, one, user, is_pooled=False),
            "item": column(1683, 32_768, one, item, is_pooled=False),
            "zip": column(len(zips), 32_768, one, home),
            "genre": column(len(genres), 4096, lengths, np.concatenate(kinds)),
        },
    )


def rows_of(path: Path) -> dict[int, list[str]]:
    """Return the cells of a table of RecBole by their first, a number."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return {int(line.split("\t")[0]): line.split("\t") for line in lines}


def column(
    num_rows: int, width: int, lengths: Any, ids: Any, *, is_pooled: bool = True
) -> Column:
    """Return a column of samples with so many ids each."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Column(num_rows, width, is_pooled, offsets, np.asarray(ids, dtype=np.int64))


def generated(kind: str, samples: int = _SAMPLES) -> Log:
    """Return a log of one of the kinds: shuffled, in sessions, or drifting."""
    rng, draw = np.random.default_rng(11), KINDS[kind]
    bags = rng.integers(0, 5, samples)
    one = np.ones(samples, dtype=np.int64)
    return Log(
        kind,
        samples,
        {
            "one": column(ROWS, 8192, one, draw(rng, samples), is_pooled=False),
            "bags": column(ROWS, 8192, bags, draw(rng, int(bags.sum()))),
            "pairs": column(
                ROWS, 8192, 2 * one, draw(rng, 2 * samples), is_pooled=False
            ),
        },
    )
