"""What a search of single tables asks of the time that it makes shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shardplan.problems.step_columns import RankGroups
    from shardplan.records.arrays import Floats, Ints


class LoadColumns(Protocol):
    """K columns of loads; see `StepColumns`."""

    @property
    def item_load(self) -> Floats:
        """What items add to the groups of ranks of each class (I, C, K)."""

    @property
    def groups(self) -> tuple[RankGroups, ...]:
        """Who has each column; single ranks first."""

    def loads(self, cost: Floats) -> list[Floats]:
        """Return what groups have for loads of ranks (W, R)."""


class Curves(Protocol):
    """A time that depends on the fullest groups alone; see `StepCurves`."""

    @property
    def columns(self) -> LoadColumns:
        """What it depends on."""

    @property
    def exact_s(self) -> float:
        """The time of the plan that was last looked at [s]."""

    def step_s(self, fullest: Floats) -> Floats:
        """Return the times of N plans (N,) from their fullest groups (N, K) [s]."""

    def slopes(self, fullest: Floats) -> Floats:
        """Return by how much it grows with the fullest groups (K,)."""

    def sent(self) -> Ints:
        """Columns of collectives, each of which takes a fixed time if in use."""

    def renew(self, cost: Floats) -> None:
        """Make it exact near a plan with loads (W, R), and look at that."""

    def look_at(self, cost: Floats) -> None:
        """Work out the time of a plan with loads (W, R)."""
