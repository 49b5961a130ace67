"""The variables of the integer program, and which of them load a rank or host."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Ints
    from shardplan.solvers.ilp.program import Program, Variable


class Term(NamedTuple):
    """A variable that puts `times` copies of items on something per unit.

    Attributes
    ----------
    variable : Variable
    items : slice
        One item, or for scope ALL every item of the option.
    times : float
        Copies per unit of the variable and unit of the items' `copies`.
    """

    variable: Variable
    items: slice
    times: float


@dataclass
class Variables:
    """All variables; B bundles, O options, I items.

    Attributes
    ----------
    choose : list of O binaries
        The option is taken.
    put : dict of (item, place) to integer
        How many of the item's copies are on the place.
    on_host : dict of (option, host) to binary
        The host of an option whose places share one.
    uses : dict of (bundle, rank) to binary
        The bundle may have shards on the rank; only for bundles with conflicts.
    slowest : list of continuous
        Load of the slowest rank, per phase or (`max-rank`) one for all phases; none
        under `time`.
    copies : int array (I,)
        How often a term counts an item: its count for scope ALL, else once.
    number : int
        Of all variables.
    by_rank, by_pool : dict of int to list of Term
    """

    choose: list[Variable] = field(default_factory=list)
    put: dict[tuple[int, int], Variable] = field(default_factory=dict)
    on_host: dict[tuple[int, int], Variable] = field(default_factory=dict)
    uses: dict[tuple[int, int], Variable] = field(default_factory=dict)
    slowest: list[Variable] = field(default_factory=list)
    number: int = 0
    by_rank: dict[int, list[Term]] = field(default_factory=lambda: defaultdict(list))
    by_pool: dict[int, list[Term]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(
        cls,
        program: Program,
        problem: Problem,
        most: int,
        go_on: Callable[[], None] = lambda: None,
    ) -> Variables:
        """Create the variables of a problem.

        Parameters
        ----------
        most : int
            Variables that there may be.
        go_on : callable
            Is called now and then, and raises to give up.

        Raises
        ------
        InputError
            If there would be more.
        """
        places = legal_places(problem)
        require_size(count_variables(problem, places), most)
        variables = cls()
        for option, legal in enumerate(places):
            go_on()
            name = f"b{problem.options.table[option]}_o{option}"
            chosen = program.add(f"choose_{name}", 1)
            variables.choose.append(chosen)
            variables._place(program, problem, option, legal, name)
        for bundle in sorted(problem.conflicts):
            for rank in range(problem.world_size):
                name = f"uses_b{bundle}_rank{rank}"
                used = program.add(name, 1)
                variables.uses[bundle, rank] = used
        for name in _slowest_names(problem):
            variables.slowest.append(program.add(name, math.inf, is_integer=False))
        variables.number = len(program.variables)
        return variables

    def _place(
        self,
        program: Program,
        problem: Problem,
        option: int,
        legal: Ints,
        name: str,
    ) -> None:
        """Create the variables that say where an option's items are."""
        menu, scope = problem.options, Scope(int(problem.options.scope[option]))
        if scope == Scope.ALL:
            self._load_all(problem, option)
            return
        if menu.same_host[option]:
            for host in np.unique(problem.cluster.rank_host[legal]).tolist():
                key = f"on_{name}_host{host}"
                self.on_host[option, host] = program.add(key, 1)
        items = menu.items_of(option)
        for item in range(items.start, items.stop):
            most = 1 if problem.apart[option] else menu.item_count[item]
            for place in legal.tolist():
                put = program.add(
                    f"put_{name}_i{item - items.start}_{scope.name}{place}",
                    float(most),
                )
                self.put[item, place] = put
                self._load(problem, put, item, problem.place_ranks(scope, place))

    def _load(self, problem: Problem, put: Variable, item: int, ranks: slice) -> None:
        """Note the ranks and pools that a placed item loads."""
        items = slice(item, item + 1)
        for rank in range(ranks.start, ranks.stop):
            self.by_rank[rank].append(Term(put, items, 1.0))
        own = Counter(problem.capacity.rank_pool[ranks].tolist())
        for pool, count in sorted(own.items()):
            self.by_pool[pool].append(Term(put, items, float(count)))

    def _load_all(self, problem: Problem, option: int) -> None:
        """Note that an option over all ranks loads every rank and pool."""
        chosen, items = self.choose[option], problem.options.items_of(option)
        for rank in range(problem.world_size):
            self.by_rank[rank].append(Term(chosen, items, 1.0))
        for pool, ranks in enumerate(np.bincount(problem.capacity.rank_pool).tolist()):
            self.by_pool[pool].append(Term(chosen, items, float(ranks)))


def legal_places(problem: Problem) -> list[Ints]:
    """Places that each option's items may take; for scope ALL [0] or nothing."""
    return [
        problem.group_places(int(bundle), option)
        for option, bundle in enumerate(problem.options.table)
    ]


def _slowest_names(problem: Problem) -> list[str]:
    if problem.objective is Objective.STEP:
        return [f"slowest_{p.replace(' ', '_')}" for p in problem.pricer.phases]
    return ["slowest"] if problem.objective is Objective.MAX_RANK else []


def count_variables(problem: Problem, places: list[Ints]) -> int:
    """How many variables a program has of options, items and conflicts."""
    items = np.diff(problem.options.item_start)
    count = len(places) + len(problem.conflicts) * problem.world_size
    return count + sum(
        len(legal) * int(number) for legal, number in zip(places, items, strict=True)
    )


def require_size(count: int, most: int) -> None:
    """Refuse a program of too many variables.

    Raises
    ------
    InputError
        Says what to do.
    """
    if count > most:
        raise InputError.single(
            "solver",
            "ilp",
            f"{count} variables",
            f"at most {most} are supported: use solver auto, or allow fewer "
            "sharding types or kernels",
        )
