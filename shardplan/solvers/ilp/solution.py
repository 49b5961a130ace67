"""From assignments to values of the variables, and back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats
    from shardplan.solvers.ilp.variables import Variables


def values_of(
    problem: Problem, variables: Variables, assignment: Assignment, unit_s: float
) -> Floats:
    """Values of the variables that say the same as a legal assignment.

    Under `time` those of the step are left at 0; see `StepPart.fill`.
    """
    menu, cluster = problem.options, problem.cluster
    values = np.zeros(variables.number)
    for bundle, option in enumerate(assignment.option.tolist()):
        values[variables.choose[option].index] = 1
        scope, places = menu.scope[option], assignment.places[bundle]
        copies = menu.copies_of(option)
        if scope == Scope.ALL:
            copies, places = copies[:0], places[:0]
        for item, place in zip(copies.tolist(), places.tolist(), strict=True):
            values[variables.put[item, place].index] += 1
        if menu.same_host[option]:
            host = int(cluster.rank_host[places[0]])
            values[variables.on_host[option, host].index] = 1
        if bundle in problem.conflicts:
            for rank in np.flatnonzero(problem.ranks_used(int(scope), places)):
                values[variables.uses[bundle, int(rank)].index] = 1
    if problem.objective is Objective.TIME:
        return values
    cost = problem.loads(assignment).cost / unit_s
    if problem.objective is Objective.MAX_RANK:
        cost = cost.sum(axis=1, keepdims=True)
    values[[z.index for z in variables.slowest]] = cost.max(axis=0)
    return values


def assignment_of(
    problem: Problem, variables: Variables, values: Floats
) -> Assignment | None:
    """Round the variables' values to an assignment, or None if they are not one."""
    menu = problem.options
    chosen = [o for o, v in enumerate(variables.choose) if values[v.index] > 0.5]
    option = np.array(chosen, dtype=np.int64)
    if menu.table[option].tolist() != list(range(problem.num_bundles)):
        return None
    copies: dict[int, list[int]] = defaultdict(list)
    for (item, place), variable in variables.put.items():
        copies[item] += [place] * round(float(values[variable.index]))
    places = []
    for taken in chosen:
        items = menu.items_of(taken)
        everywhere = menu.scope[taken] == Scope.ALL
        for item in range(items.start, items.stop):
            wanted = 0 if everywhere else menu.item_count[item]
            if len(copies[item]) != wanted:
                return None
        found = [p for item in range(items.start, items.stop) for p in copies[item]]
        places.append(np.array(found, dtype=np.int64))
    return Assignment(option, tuple(places))
