"""Count the pieces of shelves through: an assignment of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.problem import Assignment

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Ints
    from shardplan.solvers.shelf.takes import Takes
    from shardplan.solvers.shelf.zones import Zones


def number_through(
    problem: Problem, zones: Zones, takes: Takes, way: Ints, layer: Ints
) -> Assignment | None:
    """Give every piece a place that no other piece of its layer has.

    Wide places come first, then options that need a host, which each take the fullest
    one that has room. The longest pieces of one layer meet the shortest of the next.

    Parameters
    ----------
    way : int array (B,)
        How each bundle's option is taken.
    layer : int array (B,)
        Where.

    Returns
    -------
    Assignment or None
        None if hosts do not come out even.
    """
    menu = problem.options
    option = takes.option[way]
    seconds = takes.load[way, :, : takes.num_times].max(axis=1).sum(axis=1)
    places = [np.zeros(0, dtype=np.int64)] * problem.num_bundles
    own = np.flatnonzero(takes.pieces[way].any(axis=1))
    for one in np.unique(layer[own]).tolist():
        free = np.ones(problem.world_size, dtype=bool)
        some = own[layer[own] == one]
        long_first = seconds[some] if one % 2 else -seconds[some]
        copies = menu.num_copies[option[some]]
        on_host = np.where(menu.same_host[option[some]], -copies, 0)
        for bundle in some[np.lexsort((long_first, on_host, -takes.width[way[some]]))]:
            found = _places(problem, zones, takes, int(way[bundle]), free)
            if found is None:
                return None
            places[bundle] = found
            scope = int(menu.scope[option[bundle]])
            free[problem.ranks_of(scope, found)[1]] = False
    return Assignment(option, tuple(places))


def _places(
    problem: Problem, zones: Zones, takes: Takes, way: int, free: Bools
) -> Ints | None:
    """Take the first free places in each zone; None if there are too few."""
    menu, option = problem.options, takes.option.item(way)
    scope = menu.scope.item(option)
    places = problem.group_places(menu.table.item(option), option)
    zone = zones.groups_inside(problem, scope, places)
    groups = problem.cluster.groups(scope)
    # A place is free if all of its ranks are; they follow each other.
    used = np.r_[0, np.cumsum(~free)]
    first, size = groups.first_rank[places], groups.num_ranks[places]
    is_free = used[first + size] == used[first]
    found = []
    for index in np.flatnonzero(takes.pieces[way]).tolist():
        some = places[is_free & (zone == index)]
        wanted = takes.pieces.item(way, index)
        if menu.same_host[option]:
            some = _on_one_host(problem, some, wanted)
        if len(some) < wanted:
            return None
        found.append(some[:wanted])
    return np.concatenate(found)


def _on_one_host(problem: Problem, ranks: Ints, wanted: int) -> Ints:
    """Ranks of the host that has just enough of them; none if no host has."""
    hosts, number = np.unique(problem.cluster.rank_host[ranks], return_counts=True)
    enough = number >= wanted
    if not enough.any():
        return ranks[:0]
    host = hosts[enough][np.argmin(number[enough])]
    return np.asarray(ranks[problem.cluster.rank_host[ranks] == host])
