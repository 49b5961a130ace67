"""Failures of planning by the names that TorchRec has for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchrec.distributed.planner.types import PlannerError, PlannerErrorType

from shardplan.errors import InfeasibleError, InputError, ShardplanError

if TYPE_CHECKING:
    from collections.abc import Iterator


class FailedElsewhereError(ShardplanError):
    """Planning failed on rank 0, which told all others.

    Attributes
    ----------
    kind : PlannerErrorType
        What TorchRec calls the failure there.
    """

    def __init__(self, message: str, kind: PlannerErrorType) -> None:
        self.kind = kind
        super().__init__(message)


def error_kind(error: BaseException) -> PlannerErrorType:
    """Return what TorchRec calls a failure of planning."""
    if isinstance(error, PlannerError):
        return error.error_type
    if isinstance(error, FailedElsewhereError):
        return error.kind
    if isinstance(error, InputError):
        return PlannerErrorType.INPUT_VALIDATION
    if not isinstance(error, InfeasibleError):
        return PlannerErrorType.OTHER
    if error.shortfalls:
        return PlannerErrorType.INSUFFICIENT_STORAGE
    # Memory suffices in total: constraints, or shards too large for any rank.
    proven = error.proven
    return PlannerErrorType.STRICT_CONSTRAINTS if proven else PlannerErrorType.PARTITION


@contextmanager
def as_planner_errors() -> Iterator[None]:
    """Turn failures of ours into TorchRec's `PlannerError`, which its executor reads.

    Raises
    ------
    PlannerError
        With the same text; ours is its cause.
    """
    try:
        yield
    except ShardplanError as error:
        raise PlannerError(str(error), error_kind(error)) from error
