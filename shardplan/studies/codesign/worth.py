"""What a row is worth to the search: objectives, and how far it breaks the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.studies.constraints import parse_constraint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.records.study import StudyFile
    from shardplan.studies.constraints import Constraint

_BITS = 64
"""Of a shortfall in bytes, at most."""


@dataclass(frozen=True)
class Worth:
    """What rows of a study are judged by.

    Attributes
    ----------
    signs : dict of str to float
        By objective 1, or -1 where more is better; minimised ones first.
    constraints : tuple of Constraint
        Of the whole study.
    """

    signs: Mapping[str, float]
    constraints: tuple[Constraint, ...]

    @classmethod
    def of(cls, file: StudyFile) -> Worth:
        """Return what the co-design of a study asks for."""
        assert file.codesign is not None
        signs = dict.fromkeys(file.codesign.minimise, 1.0)
        signs |= dict.fromkeys(file.codesign.maximise, -1.0)
        return cls(signs, tuple(map(parse_constraint, file.subject_to)))

    def costs(self, values: Mapping[str, Any]) -> tuple[float, ...] | None:
        """Return the objectives, all to be minimised, of a row that breaks no rule."""
        if self.violation(values) > 0.0:
            return None
        return self.signed([values[name] for name in self.signs])

    def signed(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """Turn values of the objectives into costs, and costs into values."""
        pairs = zip(self.signs.values(), numbers, strict=True)
        return tuple(sign * number for sign, number in pairs)

    def violation(self, values: Mapping[str, Any]) -> float:
        """Return by how much a row breaks the rules; 0 if by nothing.

        Every constraint that is missed adds its distance over its value, brought below
        1: twice the limit is 1/2. A constraint or objective whose column is empty adds
        1; no plan is worse than all of these, by more the more memory is missing.
        """
        if values.get("status") != "feasible":
            missing = values.get("shortfall_bytes")
            share = 1.0 if missing is None else math.log2(1.0 + missing) / _BITS
            return len(self.constraints) + len(self.signs) + min(share, 1.0)
        parts = [_miss(constraint, values) for constraint in self.constraints]
        parts += [float(values.get(name) is None) for name in self.signs]
        return sum(parts)


def _miss(constraint: Constraint, values: Mapping[str, Any]) -> float:
    if constraint.holds(values):
        return 0.0
    slack = constraint.slack(values)
    if slack is None:
        return 1.0
    miss = max(-slack, math.ulp(1.0))  # at the limit of a strict inequality
    return miss / (1.0 + miss)
