"""What `solve` is handed over, checked before any work is done."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, TypeVar

from shardplan.errors import Fault, InputError
from shardplan.records.sharding import Objective, ReplicaLayout, Target
from shardplan.records.torchrec_cost_model import TorchRecCostModel

if TYPE_CHECKING:
    from shardplan.records.torchrec_cost_model import AnyCostModel

E = TypeVar("E", Target, Objective, ReplicaLayout)

MOST_SEED = 2**32 - 1
MOST_ROUNDS = 100
MOST_WORKERS = 64


def member(kind: type[E], name: str, value: E | str) -> E:
    """Return the member of an enumeration that an argument names."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        problem = Fault("solve", name, repr(value), f"must be one of: {known}")
        raise InputError([problem]) from None


def objective_for(
    objective: Objective | str | None, cost_model: AnyCostModel
) -> Objective:
    """Return what plans are compared by, if nobody says: the predicted step.

    TorchRec's estimates cannot time a step: with them it is TorchRec's own rating.
    """
    if objective is not None:
        return member(Objective, "objective", objective)
    if isinstance(cost_model, TorchRecCostModel):
        return Objective.MAX_RANK
    return Objective.TIME


def whole(
    name: str, value: object, most: int, least: int = 0, where: str = "solve"
) -> int:
    """Return a whole number from `least` to `most`, as an int."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if is_whole and least <= value <= most:  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload,no-any-return]
    rule = f"must be a whole number from {least} to {most}"
    raise InputError([Fault(where, name, repr(value), rule)])
