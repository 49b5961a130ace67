"""What makes an assignment meaningless, in the words of `Assignment`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints


def faults(problem: Problem, assignment: Assignment) -> list[str]:
    """Say what is wrong with an assignment, whatever memory it needs.

    Options belong to their bundles, every item has a legal place of its option's
    scope, and bundles in conflict share no rank. Places are looked at only where
    options are right, and conflicts only where places are.
    """
    found = list(_option_faults(problem, assignment.option))
    if found:
        return found
    if len(assignment.places) != problem.num_bundles:
        return [
            f"`places` has {len(assignment.places)} arrays, must have one for each of "
            f"{problem.num_bundles} bundles"
        ]
    found = list(_place_faults(problem, assignment))
    return found or list(_meetings(problem, assignment))


def _option_faults(problem: Problem, option: Ints) -> Iterator[str]:
    shape = (problem.num_bundles,)
    if not is_whole(option) or option.shape != shape:
        yield f"`option` is {_shown(option)}, must be an int array of shape {shape}"
        return
    first, end = problem.options.start[:-1], problem.options.start[1:]
    names = problem.bundle_names()
    for bundle in np.flatnonzero((option < first) | (option >= end)):
        yield (
            f"bundle {bundle} ({names[bundle]}): option {option[bundle]} is not its "
            f"own, which are {first[bundle]} to {end[bundle] - 1}"
        )


def _place_faults(problem: Problem, assignment: Assignment) -> Iterator[str]:
    menu, names = problem.options, problem.bundle_names()
    hosts = problem.cluster.rank_host
    legal_of: dict[tuple[int, ...], Ints] = {}
    for bundle, (option, places) in enumerate(
        zip(assignment.option.tolist(), assignment.places, strict=True)
    ):
        scope = Scope(int(menu.scope[option]))
        count = 0 if scope is Scope.ALL else menu.num_places(option)
        at = f"bundle {bundle} ({names[bundle]}), option {option}"
        if not is_whole(places) or places.shape != (count,):
            wanted = f"must be an int array of shape {(count,)}: scope {scope.name}"
            yield f"{at}: its places are {_shown(places)}, {wanted}"
            continue
        pinned = bundle if bundle in problem.allowed else -1
        key = (pinned, scope, int(menu.row_shards[option]))
        if key not in legal_of:
            legal_of[key] = problem.group_places(bundle, option)
        wrong = places[~np.isin(places, legal_of[key])]
        if not len(legal_of[key]):
            yield f"{at}: its ranks are not all allowed"
        elif len(wrong):
            yield f"{at}: {wrong[0]} is no legal place of scope {scope.name} for it"
        elif problem.apart[option] and len(np.unique(places)) < count:
            yield f"{at}: its places must differ, got {places.tolist()}"
        elif menu.same_host[option] and len(set(hosts[places].tolist())) > 1:
            yield f"{at}: its places must share a host, got {places.tolist()}"


def _meetings(problem: Problem, assignment: Assignment) -> Iterator[str]:
    """Say which bundles in conflict share a rank."""
    names, scopes = problem.bundle_names(), problem.options.scope[assignment.option]
    ranks = {
        bundle: problem.ranks_used(int(scopes[bundle]), assignment.places[bundle])
        for bundle in problem.conflicts
    }
    for bundle, others in sorted(problem.conflicts.items()):
        for other in sorted(o for o in others if o > bundle):
            both = np.flatnonzero(ranks[bundle] & ranks[other])
            if len(both):
                yield (
                    f"bundles {bundle} ({names[bundle]}) and {other} ({names[other]}) "
                    f"must not share a rank, both are on {both[0]}"
                )


def is_whole(values: object) -> bool:
    """Whether something is an array of signed integers."""
    return isinstance(values, np.ndarray) and values.dtype.kind == "i"


def _shown(values: object) -> str:
    if isinstance(values, np.ndarray):
        return f"of shape {values.shape} and dtype {values.dtype}"
    return f"a {type(values).__name__}"
