"""An operation of the step in the integer program: its variables, and its curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.solvers.ilp.program import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.arrays import Floats
    from shardplan.solvers.ilp.curves import CurvePiece
    from shardplan.solvers.ilp.program import Terms, Variable
    from shardplan.steps.operation_loads import OperationLoad

    Rows = Iterator[Row]


@dataclass(frozen=True, eq=False)
class TimedLoad:
    """Variables of an operation that depends on tables, on ranks that meet in it.

    Attributes
    ----------
    name : str
        That of the operation, and of its first rank where not all meet.
    ranks : slice
        Each rank by itself does a kernel; a group does a collective.
    amount : continuous
        Seconds of its fullest link or slowest rank.
    seconds : continuous
        What it takes.
    in_use : binary or None
        Some table needs it; None where every plan has such a table.
    pieces : list of CurvePiece
        Its curve; times in the unit of the program.
    chosen : list of binary
        The piece that the amount is on; empty for a convex curve, which needs none.
    parts : list of continuous
        The amount, if it is on each piece.
    """

    name: str
    ranks: slice
    load: OperationLoad
    amount: Variable
    seconds: Variable
    in_use: Variable | None
    pieces: list[CurvePiece]
    chosen: list[Variable]
    parts: list[Variable]

    def rows(self) -> Rows:
        """Let an operation take what its curve says."""
        name = self.name
        taken = (self.seconds, -1.0)
        if not self.chosen:
            for number, piece in enumerate(self.pieces):
                terms = [(self.amount, piece.slope), taken]
                row = f"curve{number}_{name}"
                yield self._if_used(row, terms, piece.base)
            return
        trio = list(zip(self.pieces, self.chosen, self.parts, strict=True))
        sizes = [(chosen, p.base) for p, chosen, _ in trio]
        slopes = [(part, p.slope) for p, _, part in trio]
        yield Row(f"curve_{name}", [*sizes, *slopes, taken], -math.inf, 0.0)
        total = [(part, -1.0) for part in self.parts]
        row = f"amount_{name}"
        yield Row(row, [(self.amount, 1.0), *total], -math.inf, 0.0)
        one = [(chosen, -1.0) for chosen in self.chosen]
        yield self._if_used(f"one_piece_{name}", one, 1.0)
        for number, (piece, chosen, part) in enumerate(trio):
            above = [(part, 1.0), (chosen, -piece.high)]
            yield Row(f"high{number}_{name}", above, -math.inf, 0.0)
            if piece.low > 0:
                below = [(part, 1.0), (chosen, -piece.low)]
                yield Row(f"low{number}_{name}", below, 0.0, math.inf)

    def _if_used(self, name: str, terms: Terms, base: float) -> Row:
        """Make the row: terms + base, if in use, <= 0."""
        if self.in_use is None:
            return Row(name, terms, -math.inf, -base)
        return Row(name, [*terms, (self.in_use, base)], -math.inf, 0.0)

    def fill(self, values: Floats, amount: float, *, is_used: bool) -> float:
        """Set its variables for an amount, and return what it takes."""
        values[self.amount.index] = amount
        is_used = is_used or self.in_use is None
        if self.in_use is not None:
            values[self.in_use.index] = float(is_used)
        if not is_used:
            return 0.0
        on = [n for n, p in enumerate(self.pieces) if p.low <= amount]
        if self.chosen:
            piece = self.pieces[on[-1]]
            values[self.chosen[on[-1]].index] = 1.0
            values[self.parts[on[-1]].index] = amount
            seconds = piece.base + piece.slope * amount
        else:
            seconds = max(p.base + p.slope * amount for p in self.pieces)
        values[self.seconds.index] = seconds
        return seconds
