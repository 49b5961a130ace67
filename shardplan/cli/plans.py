"""Read the plans that commands are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.cli import console
from shardplan.errors import InputError, Problem

if TYPE_CHECKING:
    from shardplan.evaluation import Evaluation
    from shardplan.plan import Plan

_UNUSABLE = ("coverage", "tiers")
"""Rules without which there is nothing to evaluate."""
_STDIN = "/dev/stdin"


def load_plan(path: str) -> Plan:
    """Read a plan file; ``-`` is standard input."""
    from shardplan.io.plan_file import read_plan

    return read_plan(_STDIN if path == console.STDOUT else path)


def load_evaluation(path: str) -> Evaluation:
    """Read and evaluate a plan; warn of violations that can be lived with.

    Raises
    ------
    InputError
        If the file is broken, or tables are not placed once and as a whole.
    """
    from shardplan.checking import check
    from shardplan.evaluation import evaluate

    plan = load_plan(path)
    violations = check(plan)
    unusable = [v for v in violations if v.rule in _UNUSABLE]
    if unusable:
        raise InputError(
            Problem(path, v.table, "", f"{v.rule}: {v.message}") for v in unusable
        )
    for violation in violations:
        console.warn(f"{path}: {violation}")
    return evaluate(plan)
