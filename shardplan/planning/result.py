"""What a solve returns: a checked plan, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.records.brief import Brief
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from shardplan.checking import Verdict
    from shardplan.checking.verdict import Proof
    from shardplan.plans.plan import Plan


@dataclass(frozen=True, eq=False, repr=False)
class PlanResult(Brief):
    """A checked plan and how it was found.

    Attributes
    ----------
    plan : Plan
        With its inputs and the claims of the solver.
    runtime_s : float
        Seconds that loading, solving and checking took; not part of the plan.
    verdict : Verdict
        What is proven about the plan.
    remarks : tuple of str
        How the solver's plan was changed, and what rounds gained, in sentences.
    """

    plan: Plan
    runtime_s: float
    verdict: Verdict
    remarks: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """``optimal``, ``feasible`` or ``time_limit``."""
        return self.plan.outcome.status

    @property
    def objective_s(self) -> float:
        """Value of the plan [s]."""
        return self.plan.outcome.objective_s

    @property
    def lower_bound_s(self) -> float:
        """A value that no plan of the menu goes below [s]."""
        return self.plan.outcome.lower_bound_s

    @property
    def gap(self) -> float | None:
        """objective_s / lower_bound_s - 1, or None without a bound."""
        return self.plan.outcome.gap

    @property
    def bound(self) -> Proof:
        """``proven`` (by the certificate), ``claimed`` or ``none``."""
        return self.verdict.bound

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        bound = f"bound {format_seconds(self.lower_bound_s)} {self.bound}"
        if self.gap is not None:
            bound += f", gap {100.0 * self.gap:.1f} %"
        return {
            **self.plan.facts(),
            "lower bound": bound,
            "runtime": f"found in {format_seconds(self.runtime_s)}",
        }
