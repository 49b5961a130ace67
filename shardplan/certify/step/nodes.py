"""Cases of a growing proof about the step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.records.certificate import StepCase

if TYPE_CHECKING:
    from shardplan.certify.dual import Bound
    from shardplan.certify.step.menu import StepMenu
    from shardplan.certify.step.mixture import Mixture
    from shardplan.certify.step.start import Start
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.certificate import Certificate


class Mixed(NamedTuple):
    """How the shortest step of a case mixes options if tables are cut at will.

    Attributes
    ----------
    options : int array (O,)
        Of the whole menu, sorted; every bundle has one.
    shares : float array (O,)
        Of their bundles.
    """

    options: Ints
    shares: Floats


@dataclass(eq=False)
class StepCaseNode:
    """A case: its menu, what it proves so far, and what follows from it.

    `start` is where programs like its own may begin, `beside` what the case that it is
    a part of has beside each kernel.
    """

    menu: StepMenu | None
    bound_s: float
    case: StepCase = field(default_factory=StepCase)
    mixture: Mixture | None = None
    earlier: tuple[Mixture, ...] = ()
    least_s: float = 0.0
    pressure: Floats = field(default_factory=lambda: np.zeros(0))
    shares: Floats = field(default_factory=lambda: np.zeros(0))
    start: Start | None = None
    beside: Floats | None = None
    bound: Bound | None = None
    effort: int = 0
    is_plain: bool = False
    is_long: bool = False
    is_narrow: bool = False
    children: tuple[StepCaseNode, ...] = ()

    def forget(self) -> None:
        """Keep what is written into the certificate alone."""
        self.menu = self.mixture = self.bound = self.start = None
        self.earlier = ()

    def mixed(self) -> Mixed:
        """Return how its program mixes options, without those that have no share."""
        assert self.menu is not None
        some = self.shares > 0.0
        return Mixed(np.flatnonzero(self.menu.keep)[some], self.shares[some])

    def cases(self) -> list[StepCase]:
        """List this case and all that follow from it, in the order of a certificate."""
        waiting, found = [self], []
        while waiting:
            node = waiting.pop()
            found.append(node.case)
            waiting += node.children[::-1]
        return found


def case_of(mixture: Mixture, proof: Certificate | None) -> StepCase:
    """Write a mixture and the proof of its sum, if any, as a case."""
    return StepCase(
        circuits=tuple(mixture.circuits),
        slopes=tuple(mixture.slopes.items()),
        counts=tuple(count[:3] for count in mixture.counts if not count.beside),
        filling=tuple(tuple(count) for count in mixture.counts if count.beside),
        threshold_s=proof.threshold_s if proof else None,
        cases=proof.cases if proof else (),
    )
