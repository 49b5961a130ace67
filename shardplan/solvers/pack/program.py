"""Choose options of tables and patterns of ranks together, below a threshold.

References
----------
Gilmore and Gomory, A linear programming approach to the cutting-stock problem,
Operations Research 9 (1961): columns are patterns, found at the prices of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.solvers.pack.params import PACK_DEFAULTS, PackParams
from shardplan.solvers.pack.patterns import Filling, dear_patterns
from shardplan.solvers.tolerances import LEAST_PROGRAM_S, NO_RANK, ROUNDOFF

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats
    from shardplan.solvers.base import Stop
    from shardplan.solvers.pack.pieces import Pieces
    from shardplan.solvers.pack.ranks import Ranks


class Room(NamedTuple):
    """What pieces may use.

    Attributes
    ----------
    room : float array (N, E)
        Of each kind of rank, for its pattern.
    uniform : float array (C, E)
        Of each class, for options on all ranks.
    """

    room: Floats
    uniform: Floats


class Packed(NamedTuple):
    """A way to pack everything.

    Attributes
    ----------
    taken : bool array (O,)
        Options.
    patterns : list of (int, Filling, int)
        Kind of rank, what such a rank holds, and how many hold it.
    """

    taken: Bools
    patterns: list[tuple[int, Filling, int]]


class PackingProgram:
    """Linear and integer programs over the options and all patterns seen so far."""

    def __init__(
        self, pieces: Pieces, ranks: Ranks, params: PackParams = PACK_DEFAULTS
    ) -> None:
        from scipy.sparse import coo_array

        self._pieces, self._ranks, self._params = pieces, ranks, params
        self._columns: dict[tuple[int, Filling], Floats] = {}
        self._prices = np.zeros(pieces.num_kinds + len(ranks.number))
        options, bundles = len(pieces.options), len(pieces.bundles)
        count = pieces.copies.astype(np.float64)
        where = (pieces.kind, pieces.item_option)
        self._need = coo_array((count, where), (pieces.num_kinds, options)).tocsr()
        where = (pieces.owner, np.arange(options))
        self._one = coo_array((np.ones(options), where), (bundles, options)).tocsr()
        for rank_kind in range(len(ranks.number)):
            for kind in range(pieces.num_kinds):
                self.add(rank_kind, Filling((kind,), (1,)))

    def add(self, rank_kind: int, pattern: Filling) -> bool:
        """Keep a pattern; whether it is new."""
        key = (rank_kind, pattern)
        if key in self._columns:
            return False
        load = self._pieces.load[:, self._ranks.rank_class[rank_kind]]
        self._columns[key] = np.array(pattern.copies) @ load[list(pattern.kinds)]
        return True

    def is_possible(self, limits: Room, stop: Stop) -> bool:
        """Whether fractions of options and patterns fit; patterns are found for it."""
        if (limits.room < -ROUNDOFF).any():
            return False
        for _ in range(self._params.most_rounds):
            model = self._model(self._usable(limits), limits)
            if model.run() is not End.OPTIMAL:
                return False
            if model.objective < NO_RANK:
                return True
            self._prices = -model.row_duals[: len(self._prices)]
            if not self._price(limits) or stop.now():
                return False
        return False

    def solve(self, limits: Room, seconds: float) -> Packed | None:
        """Pack everything with the patterns known, if that is found soon enough."""
        columns = sorted(self._usable(limits), key=self._loss)
        columns = columns[: self._params.most_columns]
        options, kinds = len(self._pieces.options), len(self._ranks.number)
        most = np.array([self._ranks.number[kind] for kind, _ in columns])
        upper = np.r_[np.ones(options), most, np.full(kinds, np.inf)]
        model = self._model(columns, limits, upper, upper < np.inf)
        end = model.run(time_limit_s=max(seconds, LEAST_PROGRAM_S))
        if end is End.FAILED or not model.has_values or model.objective > 0.5:
            return None
        number = np.round(model.values).astype(np.int64)
        used = number[options : options + len(columns)]
        patterns = [(*columns[i], int(used[i])) for i in np.flatnonzero(used)]
        return Packed(number[:options] > 0, patterns)

    def _usable(self, limits: Room) -> list[tuple[int, Filling]]:
        """Return the patterns that fit into the room."""
        keys = list(self._columns)
        load = np.array(list(self._columns.values()))
        kind = np.array([rank_kind for rank_kind, _ in keys])
        room = limits.room[kind]
        fits = (load <= room * (1.0 + ROUNDOFF) + ROUNDOFF).all(axis=1)
        return [keys[index] for index in np.flatnonzero(fits)]

    def _loss(self, column: tuple[int, Filling]) -> float:
        """Price of a rank less what is in it, when the linear program last failed."""
        rank_kind, pattern = column
        worth = self._prices[list(pattern.kinds)] @ np.array(pattern.copies)
        return float(self._prices[self._pieces.num_kinds + rank_kind] - worth)

    def _model(
        self,
        columns: list[tuple[int, Filling]],
        limits: Room,
        upper: float | Floats = np.inf,
        integer: Bools | None = None,
    ) -> Highs:
        """Minimise the ranks that are missing.

        Variables are options, patterns, and ranks missing of each kind. Rows: every
        piece of the options taken is in a pattern; patterns have ranks; options on
        all ranks keep to their limit.
        """
        from scipy.sparse import block_array, coo_array, eye_array

        pieces, ranks = self._pieces, self._ranks
        num, kinds = len(columns), len(ranks.number)
        sizes = [len(pattern.kinds) for _, pattern in columns]
        column = np.repeat(np.arange(num), sizes)
        row = np.array([k for _, p in columns for k in p.kinds], dtype=np.int64)
        copies = np.array([c for _, p in columns for c in p.copies], dtype=np.float64)
        holds = coo_array((copies, (row, column)), (pieces.num_kinds, num))
        of_kind = np.array([rank_kind for rank_kind, _ in columns], dtype=np.int64)
        uses = coo_array((np.ones(num), (of_kind, np.arange(num))), (kinds, num))
        uniform = pieces.uniform.reshape(len(pieces.options), -1).T
        blocks = [
            [self._need, -holds, None],
            [None, uses, -eye_array(kinds)],
            [coo_array(uniform), None, None],
        ]
        nothing = coo_array((len(pieces.bundles), num + kinds))
        budget = limits.uniform.ravel() * (1.0 + ROUNDOFF) + ROUNDOFF
        missing = np.r_[np.zeros(len(pieces.options) + num), np.ones(kinds)]
        model = Highs("the packing of ranks", missing, 0.0, upper, integer=integer)
        most = np.r_[np.zeros(pieces.num_kinds), ranks.number, budget]
        model.add_rows(-np.inf, most, block_array(blocks).tocsr())
        model.add_rows(1.0, 1.0, block_array([[self._one, nothing]]).tocsr())
        return model

    def _price(self, limits: Room) -> bool:
        """Look for patterns worth more than their rank; whether any is new."""
        pieces, ranks = self._pieces, self._ranks
        price = self._prices[: pieces.num_kinds]
        new = 0
        for kind, room in enumerate(limits.room):
            if (room <= 0.0).any():
                continue
            load = pieces.load[:, ranks.rank_class[kind]]
            rank_price = float(self._prices[pieces.num_kinds + kind])
            found = dear_patterns(
                price, rank_price, load, room, pieces.rivals, self._params
            )
            for pattern in found:
                new += self.add(kind, pattern)
        return new > 0
