"""The operations of several steps in order of issue, and what each waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.steps.operation import Operation, Stream


class StepTask(NamedTuple):
    """An operation for one batch, and the tasks that must have ended before."""

    operation: Operation
    step: int
    batch: int
    waits_for: tuple[int, ...]


class Issued:
    """The tasks of a program's first steps.

    Parameters
    ----------
    program : sequence of Operation
        One step, in order of issue.
    num_steps : int
        Steps to issue; operations that lead run in steps before the first, too.

    Attributes
    ----------
    tasks : list of StepTask
        In order of issue.
    main_tasks : dict of int to list of int
        Positions of the tasks of each step that do not lead.
    """

    def __init__(self, program: Sequence[Operation], num_steps: int) -> None:
        self.tasks: list[StepTask] = []
        self._by_batch: dict[tuple[str, int], int] = {}
        self._by_step: dict[tuple[str, int], int] = {}
        self.main_tasks: dict[int, list[int]] = {}
        self._last: dict[Stream, int] = {}
        for step in range(-max(op.lead for op in program), num_steps):
            for operation in program:
                if step >= 0 or step + operation.lead >= 0:
                    self._issue(operation, step)

    def _issue(self, operation: Operation, step: int) -> None:
        """Add one operation of a step."""
        position, batch = len(self.tasks), step + operation.lead
        waits_for = self._waits_for(operation, step, batch)
        self.tasks.append(StepTask(operation, step, batch, waits_for))
        self._by_batch[operation.name, batch] = position
        self._by_step[operation.name, step] = position
        if not operation.is_idle:
            self._last[operation.stream] = position
        if not operation.lead:
            self.main_tasks.setdefault(step, []).append(position)

    def _waits_for(
        self, operation: Operation, step: int, batch: int
    ) -> tuple[int, ...]:
        found = [self._by_batch[name, batch] for name in operation.after]
        for name in operation.behind:
            if (name, step) in self._by_step:
                found.append(self._by_step[name, step])
        if not operation.after and not operation.behind:
            found += self.main_tasks.get(step - 1, [])
        if operation.stream in self._last and not operation.is_idle:
            found.append(self._last[operation.stream])
        return tuple(dict.fromkeys(found))
