"""How much of a table's lookups its fullest row shard gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from shardplan.costs.memory import access
from shardplan.records.placement import even_rows, rows_each
from shardplan.records.row_heat import RowRouting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.row_heat import RowSkew

HEAT_WEIGHTS = (0.5, 0.8, 1.0)
"""What heat weighs against rows where rows are cut unevenly; even cuts have 0."""
_ROUNDS = 64
"""Rows that are dealt one by one to each shard; later ones are as good as equal."""


class RowShares(NamedTuple):
    """The most that any row shard has of a table's lookups, and of its distinct rows.

    Two shards may be meant: a cold one of many rows may touch more of them.
    """

    ids: float
    unique: float


class _Heat(Protocol):
    """The heat of one table's rows."""

    def fullest(self, num_shards: Floats, heat_weight: Floats) -> Floats:
        """Return the most that a row shard has: ids, distinct rows, rows (3, N).

        Of N cuts into at least two shards; 0 rows where heat decides nothing of them.
        """


@dataclass(frozen=True)
class RowHeat:
    """What row shards of T tables have of the lookups.

    Every row shard of a cut counts as its fullest one. So prices stay those of equal
    shards, and no rank has more than it is priced for; docs/how-it-works/cost-model.md.

    Attributes
    ----------
    num_embeddings : int array (T,)
    known : dict of int to heat
        Of tables whose rows are not taken as equally hot, by index.
    """

    num_embeddings: Ints
    known: dict[int, _Heat]

    @classmethod
    def of(cls, usage: TableUsage) -> RowHeat:
        """Collect what a workload says of its tables."""
        workload = usage.workload
        known: dict[int, _Heat] = {}
        for index, table in enumerate(workload.tables):
            routing = workload.routing(table)
            if table.block_heat:
                known[index] = _measured(usage, index)
            elif table.row_skew is not None:
                known[index] = _Skewed(table.row_skew)
            elif routing is not None:
                known[index] = _ROUTED[routing](usage, index)
        return cls(usage.num_embeddings, known)

    def shares(
        self, table: Ints, row_shards: Ints, heat_weight: Floats
    ) -> tuple[Floats, Floats, Ints]:
        """Return what the fullest row shard of each of N cuts has.

        Parameters
        ----------
        table, row_shards : int arrays (N,)
        heat_weight : float array (N,)
            See `cut`; 0 for even cuts.

        Returns
        -------
        ids, unique : float arrays (N,)
            Share of the table's lookups, and of the distinct rows among them.
        rows : int array (N,)
        """
        ids = 1.0 / row_shards
        unique, rows = ids.copy(), rows_each(self.num_embeddings[table], row_shards)
        some = np.flatnonzero(np.isin(table, list(self.known)) & (row_shards > 1))
        if not len(some):
            return ids, unique, rows
        cuts = np.stack([table[some], row_shards[some], heat_weight[some]])
        cuts, which = np.unique(cuts, axis=1, return_inverse=True)
        parts = np.split(cuts, np.flatnonzero(np.diff(cuts[0])) + 1, axis=1)
        found = [self.known[int(own[0, 0])].fullest(own[1], own[2]) for own in parts]
        most = np.concatenate(found, axis=1)[:, which.ravel()]
        ids[some], unique[some] = most[:2]
        rows[some] = np.maximum(rows[some], most[2])
        return ids, unique, rows

    def of_sizes(self, table: int, sizes: Sequence[int]) -> RowShares:
        """Return what the fullest row shard of such sizes has, of a known table."""
        heat, count = self.known[table], len(sizes)
        if isinstance(heat, _Blocks):
            ends = np.cumsum((0, *sizes), dtype=float)
            return RowShares(*heat.between([ends])[:2, 0].tolist())
        even = heat.fullest(np.array([count]), np.zeros(1))[:2, 0]
        taller = max(sizes) / rows_each(int(self.num_embeddings[table]), count)
        return RowShares(*np.minimum(even * taller, 1.0).tolist())

    def cut(self, table: int, row_shards: int, heat_weight: float) -> tuple[int, ...]:
        """Return the rows of each shard of a table.

        Parameters
        ----------
        heat_weight : float
            With 0 each has ceil(rows / shards). With w above 0, of a table whose hot
            blocks are known, each has the same of w times its share of the lookups plus
            1 - w times its share of the rows: at most 1 / w of the mean lookups and
            1 / (1 - w) of the mean rows, up to one row.
        """
        rows, heat = int(self.num_embeddings[table]), self.known.get(table)
        if heat_weight == 0.0 or row_shards > rows or not isinstance(heat, _Blocks):
            return even_rows(rows, row_shards)
        ends = heat.ends(row_shards, heat_weight)
        return tuple(np.diff(ends).astype(np.int64).tolist())


@dataclass(frozen=True)
class _Blocks:
    """Rows whose order is known: lookups up to each row.

    Attributes
    ----------
    end : float array (B + 1,)
        Rows up to which lookups are counted, from 0 to all.
    ids, unique : float arrays (B + 1,)
        Share of the lookups, and of the distinct rows, up to there; linear in between.
    """

    end: Floats
    ids: Floats
    unique: Floats

    def fullest(self, num_shards: Floats, heat_weight: Floats) -> Floats:
        cuts = zip(num_shards.tolist(), heat_weight.tolist(), strict=True)
        return self.between([self.ends(int(count), weight) for count, weight in cuts])

    def between(self, cuts: Sequence[Floats]) -> Floats:
        """Return the most between two ends of each of some cuts (3, N)."""
        ends = np.concatenate(cuts)
        # From the end of a cut to the start of the next one all of these fall.
        curves = (np.interp(ends, self.end, y) for y in (self.ids, self.unique))
        steps = np.diff(np.stack([*curves, ends]), axis=1, append=0.0)
        sizes = np.array([len(one) for one in cuts])
        return np.asarray(np.maximum.reduceat(steps, np.cumsum(sizes) - sizes, axis=1))

    def ends(self, num_shards: int, heat_weight: float) -> Floats:
        """Return the rows at which shards end, from 0 to all; see `RowHeat.cut`."""
        rows, step = self.end[-1], np.arange(num_shards + 1.0)
        if heat_weight == 0.0 or num_shards > rows:
            return np.asarray(np.minimum(step * np.ceil(rows / num_shards), rows))
        level = heat_weight * self.ids + (1.0 - heat_weight) * self.end / rows
        ends = np.rint(np.interp(step / num_shards, level, self.end))
        # No shard is empty: a row that has more than one shard's lookups has its own.
        ends[0], ends[-1] = 0.0, rows
        ends = np.maximum.accumulate(ends - step) + step
        return np.asarray(np.minimum(ends, rows - step[::-1]))


@dataclass(frozen=True)
class _Dealt:
    """Rows in the order of their popularity, dealt to shards in turn."""

    curve: _Blocks

    def fullest(self, num_shards: Floats, heat_weight: Floats) -> Floats:
        """Count the first shard, which has the hotter row of each round."""
        return _even([self._first(count) for count in num_shards.tolist()], num_shards)

    def _first(self, num_shards: float) -> float:
        rows = self.curve.end[-1]
        row = np.arange(min(_ROUNDS, np.ceil(rows / num_shards))) * num_shards
        up_to = [np.interp(r, self.curve.end, self.curve.ids) for r in (row, row + 1)]
        last = min(len(row) * num_shards, rows)
        rest = 1.0 - float(np.interp(last, self.curve.end, self.curve.ids))
        return float((up_to[1] - up_to[0]).sum()) + rest / num_shards


@dataclass(frozen=True)
class _Shuffled:
    """Rows of which a random part of equal size is in each shard.

    Attributes
    ----------
    num_rows : float
    hottest : float
        Share of the lookups of the hottest row.
    variance : float
        Sum of the squares of all rows' shares, less that of equal ones.
    """

    num_rows: float
    hottest: float
    variance: float

    def fullest(self, num_shards: Floats, heat_weight: Floats) -> Floats:
        """Take the larger of two estimates.

        Notes
        -----
        The owner of the hottest row has, on the mean, an even part of the others. And
        the largest of k normal variables exceeds their mean by up to sqrt(2 ln k)
        standard deviations; that of a sample of E / k rows without replacement is
        sqrt(variance (1 - 1/k) / k).
        """
        even = 1.0 / num_shards
        held = np.ceil(self.num_rows / num_shards)
        others = (held - 1.0) / max(self.num_rows - 1.0, 1.0)
        owner = self.hottest + (1.0 - self.hottest) * others
        spread = self.variance * even * (1.0 - even) * 2.0 * np.log(num_shards)
        hottest = np.maximum(owner, even + np.sqrt(spread))
        return _even(np.minimum(hottest, 1.0), num_shards)


@dataclass(frozen=True)
class _Skewed:
    """A measured ratio of the hottest row shard to the mean one."""

    skew: RowSkew

    def fullest(self, num_shards: Floats, heat_weight: Floats) -> Floats:
        """Carry the ratio to other numbers: halves of halves are as unequal.

        Notes
        -----
        A few rows are taken to make the shard hot, so that distinct rows are even: "a
        few hot IDs", says MLPerf's reference of its own (mlcommons/training at
        954b133, recommendation_v4, dlrm_v4/train/gin/yambda_5b.gin).
        """
        power = np.log(num_shards) / np.log(self.skew.shards)
        return _even(np.minimum(self.skew.ratio**power / num_shards, 1.0), num_shards)


def _even(ids: ArrayLike, num_shards: Floats) -> Floats:
    """Add distinct rows that are even, and rows that are not changed (3, N)."""
    return np.stack([np.asarray(ids), 1.0 / num_shards, np.zeros(len(num_shards))])


def _by_popularity(usage: TableUsage, table: int) -> _Blocks:
    """Rows in the order of the access distribution."""
    bins = access.RowBins(usage.bins.probability[[table]], usage.bins.num_rows[[table]])
    (end,), (ids,) = access.mass_curve(bins)
    end[-1] = usage.num_embeddings[table]  # sums of bins end a rounding away
    (distinct,) = access.distinct_curve(bins, _lookups(usage, table))
    unique = distinct / distinct[-1] if distinct[-1] > 0 else end / end[-1]
    return _Blocks(end, ids, unique)


def _dealt(usage: TableUsage, table: int) -> _Dealt:
    return _Dealt(_by_popularity(usage, table))


def _shuffled(usage: TableUsage, table: int) -> _Shuffled:
    share, number = usage.bins.probability[table], usage.bins.num_rows[table]
    rows = float(usage.num_embeddings[table])
    squares = float((share**2 * number).sum())
    hottest = float(share[number > 0].max())
    return _Shuffled(rows, hottest, max(squares - 1.0 / rows, 0.0))


def _measured(usage: TableUsage, table: int) -> _Blocks:
    """Equal blocks of rows; each touches as many as its share of ids, or all."""
    heat = np.array(usage.workload.tables[table].block_heat)
    heat /= heat.sum()
    even = 1.0 / len(heat)
    unique = np.minimum(heat, _unique_per_row(usage, table) * even)
    end = np.linspace(0.0, float(usage.num_embeddings[table]), len(heat) + 1)
    return _Blocks(end, _cumulated(heat), _cumulated(unique))


def _cumulated(shares: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(shares)])


def _lookups(usage: TableUsage, table: int) -> Floats:
    """Lookups among which distinct rows count (1,): a rank's, where it sends each once.

    The fewer there are, the more of the distinct rows are hot ones.
    """
    among = usage.num_lookups[[table]]
    return np.asarray(among / usage.num_ranks if usage.sends_once[table] else among)


def _unique_per_row(usage: TableUsage, table: int) -> float:
    """Rows of a table over distinct rows in a step; infinite without lookups."""
    among = _lookups(usage, table)
    distinct = float(usage.unique_rows_among(np.array([table]), among)[0])
    return float(usage.num_embeddings[table]) / distinct if distinct > 0 else np.inf


_ROUTED: dict[RowRouting, Callable[[TableUsage, int], _Heat]] = {
    RowRouting.BLOCKS: _by_popularity,
    RowRouting.MODULO: _dealt,
    RowRouting.HASH: _shuffled,
}
