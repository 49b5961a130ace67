"""The longest path through a step that repeats, as a function of its operations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.steps.queue import Issued

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Floats
    from shardplan.steps.operation import Operation


_STEPS = 12
"""Steps after which those that follow take as long: each is two or three in fact."""


class Wait(NamedTuple):
    """What an operation waits for: another one, so many steps before."""

    operation: int
    steps: int


class Visit(NamedTuple):
    """An operation of a step on a path."""

    operation: int
    step: int


@dataclass(frozen=True, eq=False)
class StepGraph:
    """What waits for what in a step of K operations, in this step or earlier ones.

    Attributes
    ----------
    waits : tuple of K tuples of Wait
        In order of issue.
    ends : tuple of int
        The operations of which the last one ends a step.

    Notes
    -----
    The steady step is the largest mean weight of a circuit in this graph, where one
    that returns to its operation m steps later counts for 1/m. Every circuit is a
    lower bound of the step, whatever the times are.

    References
    ----------
    Baccelli, Cohen, Olsder, Quadrat 1992, Synchronization and Linearity, section 3.2.
    """

    waits: tuple[tuple[Wait, ...], ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, program: Sequence[Operation]) -> Self:
        """Take the graph of a program.

        Parameters
        ----------
        program : sequence of Operation
            As `build_program` makes it. What takes no time in it must not take any
            later: it does not occupy its stream.
        """
        position = {operation.name: i for i, operation in enumerate(program)}
        steady = max(operation.lead for operation in program) + 1
        tasks = Issued(program, steady + 1).tasks
        waits = [
            tuple(
                Wait(position[tasks[i].operation.name], steady - tasks[i].step)
                for i in task.waits_for
            )
            for task in tasks
            if task.step == steady
        ]
        ends = [i for i, operation in enumerate(program) if not operation.lead]
        return cls(tuple(waits), tuple(ends))

    def step(self, seconds: Floats) -> Floats:
        """Return the steady step.

        Parameters
        ----------
        seconds : float array (K, ...)
            What every operation takes, for any number of plans at once [s].

        Returns
        -------
        float array (...)
            From the end of one step to the end of the next [s].
        """
        done = self._done(seconds)
        last = done[-2:, list(self.ends)].max(axis=1)
        return np.asarray(last[1] - last[0])

    def circuit(self, seconds: Floats) -> Floats:
        """Return how often the longest path passes each operation in a step (K,).

        Parameters
        ----------
        seconds : float array (K,)
            [s].

        Notes
        -----
        The step is the product with `seconds`, and this its derivative. Of several
        longest paths the one is taken that is found first.
        """
        visits = self._visits(self._done(seconds))
        weight = np.cumsum([0.0, *(seconds[visit.operation] for visit in visits)])
        best, counts = -np.inf, np.zeros(len(seconds))
        for late, early in combinations(range(len(visits)), 2):
            steps = visits[late].step - visits[early].step
            if visits[late].operation != visits[early].operation or not steps:
                continue
            mean = float(weight[early] - weight[late]) / steps
            if mean > best * (1.0 + 1e-12):
                best = mean
                passed = [visit.operation for visit in visits[late:early]]
                counts = np.bincount(passed, minlength=len(seconds)) / steps
        return counts

    def _done(self, seconds: Floats) -> Floats:
        """When every operation of every step ends (N, K, ...) [s]."""
        done = np.zeros((_STEPS, *seconds.shape))
        for step in range(_STEPS):
            for operation, waits in enumerate(self.waits):
                ready = [
                    done[step - wait.steps, wait.operation]
                    for wait in waits
                    if wait.steps <= step
                ]
                start = np.max(ready, axis=0) if ready else 0.0
                done[step, operation] = start + seconds[operation]
        return done

    def _visits(self, done: Floats) -> list[Visit]:
        """Go back from the end of the last step over what each operation waited for."""
        step = _STEPS - 1
        at = Visit(max(self.ends, key=lambda i: done[step, i]), step)
        visits = [at]
        while True:
            before = [
                Visit(wait.operation, at.step - wait.steps)
                for wait in self.waits[at.operation]
                if wait.steps <= at.step
            ]
            if not before:
                return visits
            at = max(before, key=lambda visit: done[visit.step, visit.operation])
            visits.append(at)
