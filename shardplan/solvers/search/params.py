"""The numbers of the search: section ``[search]`` of a parameter file."""

from __future__ import annotations

from shardplan.records.record import Flag, Record


class AnnealParams(Record):
    """Annealing of all ranks at once.

    Attributes
    ----------
    random_groups : bool
        Exchange parts among ranks in random groups, every round.
    worst_groups : bool
        Exchange parts between the worst ranks and others, every round.
    pairs : bool
        Divide the shards of pairs of ranks anew, where ranks are few.
    variants : bool
        Change kernels and cache fractions in place.
    recut : bool
        Give tables other cuts and places.
    quench : bool
        End every cycle by relieving the worst ranks until nothing helps.
    """

    random_groups: Flag = True
    worst_groups: Flag = True
    pairs: Flag = True
    variants: Flag = True
    recut: Flag = True
    quench: Flag = True


class SearchParams(Record):
    """Starts, a race between them, and longer cycles from the best.

    Attributes
    ----------
    limits : bool
        Choose limits on single shards; without, a start takes what is cheapest.
    waste : bool
        Count the time that shards with much memory leave idle on their ranks.
    race : bool
        Anneal half of the starts for longer, again and again; without, the most
        promising one after its first cycle goes on.
    cut_finer : bool
        Cut shards of the worst rank more finely between cycles.
    restarts : bool
        Draw further starts at random when the best one improves no more.
    resplit : bool
        Split the HBM of ranks among their caches anew at the end.
    anneal : AnnealParams
        The moves.
    """

    limits: Flag = True
    waste: Flag = True
    race: Flag = True
    cut_finer: Flag = True
    restarts: Flag = True
    resplit: Flag = True
    anneal: AnnealParams = AnnealParams()


SEARCH_DEFAULTS = SearchParams()
