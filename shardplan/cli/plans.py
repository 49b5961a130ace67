"""Read the plans that commands are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shardplan.cli import console
from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan

_UNUSABLE = ("coverage", "tiers")
"""Rules without which there is nothing to evaluate."""
_STDIN = "/dev/stdin"


def draw(path: str, plot: Callable[[str, str], bytes], evaluation: Evaluation) -> None:
    """Write the picture that --plot asks for: `plot` takes a title and the kind."""
    from shardplan.io.atomic import write_bytes_atomically

    inputs = evaluation.plan.inputs
    title = f"{inputs.workload.name} on {inputs.topology.name}"
    write_bytes_atomically(path, plot(title, path.rpartition(".")[2].lower()))


class Checked(NamedTuple):
    """A plan with its prices, and what is proven about it."""

    evaluation: Evaluation
    verdict: Verdict


def load_plan(path: str) -> Plan:
    """Read a plan file; ``-`` is standard input."""
    from shardplan.plans.plan import Plan

    return Plan.load(_STDIN if path == console.STDOUT else path)


def load_checked(path: str) -> Checked:
    """Read, check and evaluate a plan; warn of violations that can be lived with.

    Raises
    ------
    InputError
        If the file is broken, or tables are not placed once and as a whole.
    """
    from shardplan.checking import examine
    from shardplan.plans.evaluation import evaluate

    plan = load_plan(path)
    verdict = examine(plan)
    unusable = [v for v in verdict.violations if v.rule in _UNUSABLE]
    if unusable:
        raise InputError(
            Fault(path, v.table, "", f"{v.rule}: {v.message}") for v in unusable
        )
    for violation in verdict.violations:
        console.warn(f"{path}: {violation}")
    return Checked(evaluate(plan), verdict)
