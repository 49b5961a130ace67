"""Our failures have the names that TorchRec gives such failures."""

from __future__ import annotations

import pytest
from torchrec.distributed.planner.types import PlannerError, PlannerErrorType

from shardplan.errors import (
    InfeasibleError,
    InputError,
    LimitError,
    ShardplanError,
    Shortfall,
)
from shardplan.integrations.torchrec.planner_errors import (
    FailedElsewhereError,
    as_planner_errors,
    error_kind,
)

KINDS: list[tuple[Exception, str]] = [
    (InputError.single("model", "", None, "has no table"), "input_validation"),
    (
        InfeasibleError("no", [Shortfall("hbm", 2.0, 1.0, ("t",))], proven=True),
        "insufficient_storage",
    ),
    (InfeasibleError("no", proven=True), "strict_constraints"),
    (InfeasibleError("none found", proven=False), "partition"),
    (LimitError("no time"), "other"),
    (PlannerError("x", PlannerErrorType.PLAN_LOADING_FAILED), "plan_loading_failed"),
    (FailedElsewhereError("x", PlannerErrorType.PARTITION), "partition"),
]


@pytest.mark.parametrize(("error", "kind"), KINDS)
def test_kinds(error: Exception, kind: str) -> None:
    """Each failure has one."""
    assert error_kind(error).value == kind


def test_errors_become_planner_errors() -> None:
    """The text stays, and ours is the cause."""
    own = InfeasibleError("no room", proven=False)
    with pytest.raises(PlannerError, match="no room") as caught, as_planner_errors():
        raise own
    assert caught.value.error_type is PlannerErrorType.PARTITION
    assert caught.value.__cause__ is own


def test_faults_of_code_stay_what_they_are() -> None:
    """Only what planning says is turned into a result."""
    with pytest.raises(ZeroDivisionError), as_planner_errors():
        raise ZeroDivisionError
    assert not issubclass(PlannerError, ShardplanError)
