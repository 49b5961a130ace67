"""The step as a part of the integer program: operations, their curves, and the path.

Under `time` this is in place of the slowest ranks of phases.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.weighted import step_pricer
from shardplan.solvers.ilp.constraints import copies_per_term
from shardplan.solvers.ilp.curves import CurvePiece, is_convex, pieces_of
from shardplan.solvers.ilp.program import Row
from shardplan.solvers.ilp.timed_load import TimedLoad
from shardplan.steps.operation_loads import operation_loads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats
    from shardplan.solvers.ilp.program import Program, Terms, Variable
    from shardplan.solvers.ilp.variables import Variables
    from shardplan.steps.meeting import Meeting
    from shardplan.steps.operation_loads import OperationLoad

    Rows = Iterator[Row]

ACCURACY = 1e-3
"""What pieces of a curve may be off, as a share of the step."""


class StepPart:
    """Variables and rows of the predicted step.

    Parameters
    ----------
    program : Program
        Gets the variables.
    problem : Problem
        Under `time`.
    variables : Variables
        Of options and places.
    near : float array (W, R)
        Loads of a plan; curves are exact there.
    most_s : float
        No step is longer [s].
    unit_s : float
        Unit of times [s].

    Notes
    -----
    A steady step of length T is one in which operation b of every step can end t_b
    after its begin: t_b >= t_a - m T + d_b, where it waits for a of m steps before,
    on every rank; ranks that meet have one end. The least T is the largest mean weight
    of a circuit (Baccelli et al. 1992, Synchronization and Linearity, section 3.2).
    Operations take no longer than a step: each has its stream for itself. The graph is
    that of a step in which all operations that can be in use are; those that are not
    take no time, but ranks meet in them, and a kernel in use has its least time on all
    ranks: the step of the program may be a little longer than that of its plan.
    """

    def __init__(
        self,
        program: Program,
        problem: Problem,
        variables: Variables,
        near: Floats,
        most_s: float,
        unit_s: float,
    ) -> None:
        self._problem, self._variables, self._unit_s = problem, variables, unit_s
        pricer, menu = step_pricer(problem), problem.options
        used = np.asarray(menu.item_cost.any(axis=(0, 1)))
        self._uses = _uses(problem)
        self._columns = np.flatnonzero(used).tolist()
        self._names = pricer.phases
        world = problem.world_size
        self._load = {
            (rank, column): program.add(
                f"load_{pricer.phases[column]}_rank{rank}", math.inf, is_integer=False
            )
            for column in self._columns
            for rank in range(world)
        }
        busy = pricer.predict(np.where(used, 1.0, 0.0) * np.ones((world, 1)))
        idle = pricer.predict(np.zeros((world, len(used))))
        self._graph, self._meetings = busy.graph, busy.meetings
        self._dense = idle.rank_seconds / unit_s
        self._position = {name: i for i, name in enumerate(busy.names)}
        self._operations = [
            operation
            for load in operation_loads(pricer, used)
            for operation in self._timed(program, load, near, most_s)
        ]
        self._end = [
            self._ends_of(program, name, meeting)
            for name, meeting in zip(busy.names, busy.meetings, strict=True)
        ]
        self.step = program.add("step", math.inf, is_integer=False)

    def rows(self) -> Rows:
        """Yield all rows."""
        yield from self._loads_of_ranks()
        for operation in self._operations:
            yield from self._fullest_link(operation)
            yield from operation.rows()
        for operation in {o.load.name: o for o in self._operations}.values():
            yield from self._in_use(operation)
        yield from self._path()

    def fill(self, values: Floats, cost: Floats) -> None:
        """Set the values of all variables here for loads (W, R) [s]."""
        for (rank, column), load in self._load.items():
            values[load.index] = cost[rank, column] / self._unit_s
        seconds = self._dense.copy()
        for operation in self._operations:
            amount = operation.load.amount(cost) / self._unit_s
            is_used = bool(cost[:, operation.load.columns].any())
            taken = operation.fill(values, amount, is_used=is_used)
            at = self._position[operation.load.name]
            seconds[at, operation.ranks] = taken
        pace = self._graph.step(seconds, self._meetings).max()
        # A little longer, so that roundings of the path leave the rows fulfilled.
        values[self.step.index] = step = float(pace) * (1 + 1e-9)
        for ends, times in zip(self._end, self._ending(seconds, step), strict=True):
            values[[end.index for end in ends]] = times

    def _ends_of(
        self, program: Program, name: str, meeting: Meeting | None
    ) -> list[Variable]:
        """Return when an operation ends on every rank; ranks that meet share it."""
        ranks = range(self._problem.world_size)
        first = ranks if meeting is None else meeting.first[meeting.of_rank].tolist()
        made = {
            rank: program.add(f"end_{name}_rank{rank}", math.inf, is_integer=False)
            for rank in dict.fromkeys(first)
        }
        return [made[rank] for rank in first]

    def _timed(
        self, program: Program, load: OperationLoad, near: Floats, most_s: float
    ) -> Iterator[TimedLoad]:
        """Split an operation where ranks do not meet in it."""
        meeting = self._meetings[self._position[load.name]]
        is_optional = not load.idle_s and not self._is_everywhere(load)
        in_use = program.add(f"in_use_{load.name}", 1) if is_optional else None
        rank = 0
        while rank < self._problem.world_size:
            alone = slice(rank, rank + 1)
            ranks = alone if meeting is None else meeting.ranks(rank)
            touched = load.share[:, ranks].any(axis=(1, 2))
            if touched.any():
                part = replace(load, share=load.share[touched])
                yield self._operation(program, part, ranks, in_use, near, most_s)
            rank = ranks.stop

    def _operation(
        self,
        program: Program,
        load: OperationLoad,
        ranks: slice,
        in_use: Variable | None,
        near: Floats,
        most_s: float,
    ) -> TimedLoad:
        """Make the variables of an operation on ranks that meet."""
        unit_s = self._unit_s
        name = f"{load.name}_rank{ranks.start}"
        most = min(_most_amount(load, most_s), load.amount(most_loads(self._problem)))
        cut = pieces_of(load, load.amount(near), most, ACCURACY * most_s)
        pieces = [
            CurvePiece(p.low / unit_s, p.high / unit_s, p.base / unit_s, p.slope)
            for p in cut
        ]
        numbers = [] if is_convex(pieces) else range(len(pieces))
        return TimedLoad(
            name,
            ranks,
            load,
            program.add(f"amount_{name}", math.inf, is_integer=False),
            program.add(f"seconds_{name}", math.inf, is_integer=False),
            in_use,
            pieces,
            [program.add(f"piece_{name}_{i}", 1) for i in numbers],
            [
                program.add(f"part_{name}_{i}", math.inf, is_integer=False)
                for i in numbers
            ],
        )

    def _is_everywhere(self, load: OperationLoad) -> bool:
        """Whether some bundle loads the operation with any of its options."""
        uses = self._uses[:, load.columns].any(axis=1)
        return bool(
            np.logical_and.reduceat(uses, self._problem.options.start[:-1]).any()
        )

    def _loads_of_ranks(self) -> Rows:
        """Add up what options and places put on every rank."""
        copies = copies_per_term(self._problem)[:, None, None]
        cost = self._problem.options.item_cost / self._unit_s * copies
        for rank, own_class in enumerate(self._problem.cluster.rank_class.tolist()):
            loads = [
                (term.variable, cost[term.items, own_class].sum(axis=0))
                for term in self._variables.by_rank[rank]
            ]
            for column in self._columns:
                terms = [(v, float(load[column])) for v, load in loads if load[column]]
                terms.append((self._load[rank, column], -1.0))
                name = f"load_{self._names[column]}_rank{rank}"
                yield Row(name, terms, -math.inf, 0.0)

    def _fullest_link(self, operation: TimedLoad) -> Rows:
        """Keep an amount at or above what every link carries."""
        load = operation.load
        for link, share in enumerate(load.share):
            terms = [
                (self._load[rank, int(load.columns[j])], float(share[rank, j]))
                for rank, j in np.argwhere(share).tolist()
            ]
            terms.append((operation.amount, -1.0))
            yield Row(f"link{link}_{operation.name}", terms, -math.inf, 0.0)

    def _in_use(self, operation: TimedLoad) -> Rows:
        """Mark an operation that the option of some bundle needs."""
        if operation.in_use is None:
            return
        start = self._problem.options.start
        uses = np.asarray(self._uses[:, operation.load.columns].any(axis=1))
        for bundle in range(self._problem.num_bundles):
            options = range(start[bundle], start[bundle + 1])
            terms: Terms = [
                (self._variables.choose[o], 1.0) for o in options if uses[o]
            ]
            if terms:
                terms.append((operation.in_use, -1.0))
                name = f"needs_{operation.load.name}_b{bundle}"
                yield Row(name, terms, -math.inf, 0.0)

    def _path(self) -> Rows:
        """Let every operation end after what it waits for, and what it takes."""
        taken = {
            (self._position[operation.load.name], rank): operation.seconds
            for operation in self._operations
            for rank in range(operation.ranks.start, operation.ranks.stop)
        }
        for at, waits in enumerate(self._graph.waits):
            for wait in waits:
                rows: dict[tuple[object, ...], Row] = {}
                for rank, end in enumerate(self._end[at]):
                    before = self._end[wait.operation][rank]
                    takes = taken.get((at, rank))
                    least = float(self._dense[at, rank]) if takes is None else 0.0
                    terms: Terms = []
                    if end is not before:
                        terms += [(end, 1.0), (before, -1.0)]
                    if wait.steps:
                        terms.append((self.step, float(wait.steps)))
                    if takes is not None:
                        terms.append((takes, -1.0))
                    name = f"path_{at}_rank{rank}_after_{wait.operation}"
                    row = Row(f"{name}_of_{wait.steps}_before", terms, least, math.inf)
                    # Ranks that meet in both operations have the same row.
                    key = *(variable.index for variable, _ in terms), least
                    rows.setdefault(key, row)
                yield from rows.values()

    def _ending(self, seconds: Floats, step: float) -> Floats:
        """Return when operations end at the earliest, from 0 on (K, W)."""
        ends = np.zeros_like(seconds)
        for _ in range(seconds.size):
            before = ends.copy()
            for at, waits in enumerate(self._graph.waits):
                meeting = self._meetings[at]
                for wait in waits:
                    late = ends[wait.operation] - wait.steps * step
                    takes = seconds[at]
                    if meeting is not None:
                        late, takes = meeting.latest(late), meeting.latest(takes)
                    np.maximum(ends[at], late + takes, out=ends[at])
            if (ends == before).all():
                break
        return ends


def _uses(problem: Problem) -> Bools:
    """Which columns options load (O, R)."""
    menu = problem.options
    loaded = menu.item_cost.any(axis=1)
    return np.logical_or.reduceat(loaded, menu.item_start[:-1], axis=0)


def most_loads(problem: Problem) -> Floats:
    """Return loads that no rank is above in any column (W, R) [s]."""
    menu = problem.options
    items = menu.item_cost * menu.item_count[:, None, None]
    options = np.add.reduceat(items, menu.item_start[:-1])
    most = np.maximum.reduceat(options, menu.start[:-1]).sum(axis=0)
    return np.asarray(most[problem.cluster.rank_class])


def _most_amount(load: OperationLoad, most_s: float) -> float:
    """Return an amount that takes at least so long [s]."""
    amount = most_s
    while float(load.curve(np.array([amount]))[0]) < most_s:
        amount *= 2.0
    return amount
