"""What a check found: what is wrong with a plan, and what is proven about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shardplan.records.brief import Brief
from shardplan.units import plural

if TYPE_CHECKING:
    from shardplan.checking.violation import Violation
    from shardplan.plans.plan import Outcome

Proof = Literal["proven", "claimed", "none"]
"""Whether something is proven, claimed by whoever made the plan, or not said at all."""

TOLERANCE = 1e-9
"""Relative difference below which two sums of the same numbers are equal."""


@dataclass(frozen=True, repr=False)
class Verdict(Brief):
    """What is wrong with a plan, and what its certificate proves.

    Attributes
    ----------
    outcome : Outcome
        What the plan says of itself.
    violations : tuple of Violation
        Empty for a valid plan.
    proven_s : float or None
        The bound that the certificate proves on the plan's menu [s]; None if there is
        no certificate, if it proves nothing, or if what comes before it is wrong.
    """

    outcome: Outcome
    violations: tuple[Violation, ...]
    proven_s: float | None

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        found = len(self.violations)
        return {
            "plan": plural(found, "violation") if found else "valid",
            "bound": f"bound {self.bound}",
            "optimality": f"{self.outcome.status}, optimality {self.optimality}",
        }

    @property
    def bound(self) -> Proof:
        """Whether the lower bound, and with it the gap, is proven.

        That takes a certificate that proves as much as the plan says, and a plan
        without violations: the gap of another objective would be another one.
        """
        if self.outcome.lower_bound_s == 0:
            return "claimed" if self.outcome.claimed_bound_s else "none"
        if self.violations or self.proven_s is None:
            return "claimed"
        return "proven" if self.outcome.lower_bound_s <= self.proven_s else "claimed"

    @property
    def optimality(self) -> Proof:
        """Whether the status ``optimal`` is proven; ``none`` for any other status.

        A solver, such as the integer program, may claim more than the certificate
        proves: then `optimal` rests on its word.
        """
        outcome = self.outcome
        if outcome.status != "optimal":
            return "none"
        meets = outcome.objective_s <= outcome.lower_bound_s * (1.0 + TOLERANCE)
        is_trivial = outcome.objective_s == 0 and not self.violations
        is_proven = is_trivial or (meets and self.bound == "proven")
        return "proven" if is_proven else "claimed"

    @property
    def unproven(self) -> str:
        """What the plan says about its quality without proof; empty if nothing."""
        if self.bound == "none" and self.optimality != "proven":
            return "the plan has no lower bound"
        if self.bound == "claimed":
            return "the lower bound is claimed, not proven: no certificate proves it"
        if self.optimality == "claimed":
            return (
                "'optimal' is claimed by the solver, not proven: the certificate "
                "proves less"
            )
        return ""
