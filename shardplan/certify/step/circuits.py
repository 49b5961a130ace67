"""Circuits of the step's graph: what their shares weigh, and where ranks meet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.certify.menus import InvalidCertificateError
from shardplan.steps.path import StepGraph
from shardplan.steps.program import build_program
from shardplan.steps.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Circuit
    from shardplan.steps.operation import Operation
    from shardplan.steps.pricing import StepPricer

_LOAD_S = 1e-3
"""What operations that run are given to do; any load makes the same graph [s]."""


@dataclass(frozen=True, eq=False)
class RunGraph:
    """What waits for what where some operations certainly run, and others may idle.

    Attributes
    ----------
    program : tuple of Operation
        Operations that may idle do; they hold no stream then, so that there are fewer
        waits, and every circuit is one of any plan.
    graph : StepGraph
    """

    program: tuple[Operation, ...]
    graph: StepGraph

    @classmethod
    def of(cls, pricer: StepPricer, columns: Iterable[int]) -> Self:
        """Return the graph where some columns of prices have loads in every plan."""
        loads = np.zeros((pricer.model.cluster.world_size, len(pricer.phases)))
        loads[:, list(columns)] = _LOAD_S
        work = pricer.work(loads)
        program = build_program(pricer.model, work, SimulationSettings.path())
        return cls(program, StepGraph.of(program))

    @cached_property
    def position(self) -> dict[str, int]:
        """Index of each operation by its name."""
        return {operation.name: i for i, operation in enumerate(self.program)}

    @cached_property
    def meets(self) -> tuple[bool, ...]:
        """Operations that all ranks begin and end together."""
        return tuple(
            op.meets is not None and len(np.unique(op.meets)) == 1
            for op in self.program
        )

    @cached_property
    def own_s(self) -> Floats:
        """What each takes on its fastest rank, whatever tables ask (K,) [s]."""
        return np.array([float(op.seconds.min()) for op in self.program])

    @property
    def waits(self) -> Iterator[tuple[int, int, int]]:
        """Operations that wait, for which and how many steps: from, to, steps."""
        for after, waits in enumerate(self.graph.waits):
            for before, steps in waits:
                yield before, after, steps

    @cached_property
    def _steps(self) -> dict[tuple[int, int], int]:
        """Fewest steps that one operation waits for another: from, to."""
        found: dict[tuple[int, int], int] = {}
        for before, after, steps in self.waits:
            key = before, after
            found[key] = min(found.get(key, steps), steps)
        return found

    def visits(self, circuit: Circuit) -> tuple[list[int], int]:
        """Return the operations of a circuit, and the steps that it goes back.

        Raises
        ------
        InvalidCertificateError
            If the graph has no such circuit.
        """
        names, known = circuit.operations, self._steps
        if unknown := [name for name in names if name not in self.position]:
            raise InvalidCertificateError(f"the step has no operation {unknown[0]!r}")
        visits = [self.position[name] for name in names]
        steps = 0
        for before, after in zip(visits, [*visits[1:], *visits[:1]], strict=True):
            if (before, after) not in known:
                first, then = self.program[before].name, self.program[after].name
                raise InvalidCertificateError(f"{then!r} does not wait for {first!r}")
            steps += known[before, after]
        if steps < 1:
            raise InvalidCertificateError("a path does not come back a step later")
        return visits, steps

    def counts(self, circuits: Sequence[Circuit]) -> Floats:
        """Return how often shares of circuits pass each operation in a step (K,)."""
        terms: dict[int, list[float]] = {}
        for circuit in circuits:
            visits, steps = self.visits(circuit)
            for visit, times in Counter(visits).items():
                terms.setdefault(visit, []).append(times * circuit.share / steps)
        # Correctly rounded, however many there are.
        return np.array([fsum(terms.get(i, ())) for i in range(len(self.program))])

    def segments(self, circuit: Circuit) -> list[list[int]]:
        """Return the parts of a circuit in which a rank waits for no other.

        A circuit on which ranks do not meet is one part: that of any single rank.
        """
        visits, _ = self.visits(circuit)
        cuts = [i for i, visit in enumerate(visits) if self.meets[visit]]
        if not cuts:
            return [visits]
        turned = visits[cuts[0] :] + visits[: cuts[0]]
        parts: list[list[int]] = []
        for visit in turned:
            if self.meets[visit]:
                parts.append([])
            else:
                parts[-1].append(visit)
        return [part for part in parts if part]
