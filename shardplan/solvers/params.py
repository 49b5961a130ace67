"""Numbers and switches of the built-in solvers, with the reason for each.

A file of parameters is TOML with a section per record; what it leaves out keeps its
default, so that an empty file changes nothing.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.certify.params import PlaneParams, ProofParams
from shardplan.records.record import (
    Factor,
    Flag,
    Fraction,
    PositiveFraction,
    PositiveTally,
    Record,
    Seconds,
    Tally,
    Weight,
)
from shardplan.solvers.pack.params import PackParams
from shardplan.solvers.search.params import SearchParams
from shardplan.solvers.shelf.params import ShelfParams


class AutoParams(Record):
    """Which parts `auto` runs, on which problems, and their shares of the time.

    "Size" is tables times ranks; the integer program counts options times ranks.

    Attributes
    ----------
    greedy : bool
        Begin with solver `greedy`; without, it only comes in where the search finds no
        plan.
    ldm : bool
        Begin with solver `ldm`, where that is quick.
    uniform : bool
        Begin with one sharding type for all tables, each in turn, where that is quick.
    exact_first : bool
        Begin small problems with a short try of the integer program.
    shelf : bool
        Choose options of few tables on many ranks as if every rank had one piece; see
        `ShelfParams`.
    pack : bool
        Pack few tables anew, for `max-rank`.
    search : bool
        Anneal; see `SearchParams`.
    max_rank_first : bool
        For `step`, anneal for `max-rank` first: a balanced sum over phases may be
        better than what a short search of the phases finds.
    neighbourhoods : bool
        After the search, solve parts of small problems exactly.
    exact : bool
        After the search, try the integer program of small problems for longer.
    strengthen : bool
        Spend the rest of the time on the lower bound.
    greedy_size : int
        Size above which the search comes before `greedy`, which takes 10 s or more
        there for a plan that the search's first start beats in a third of that.
    ldm_size : int
        Size up to which `ldm` and `uniform` run: both look at all ranks again and
        again, so beyond it they would take time that the search makes more of.
    quick_share : float
        Share of the time left that `ldm` and `uniform` get each, so that the search
        has most of a short limit.
    max_rank_size : int
        Size up to which `max_rank_first` runs. On larger problems its plan was 20 to
        50 % worse than that of `greedy`, and took the time of the search.
    exact_size : int
        Options times ranks up to which exact methods run: the integer program has
        about so many variables, and HiGHS must get somewhere with them in seconds.
    exact_first_s, exact_first_share : float
        Most time of the first try, and most of the time left: the smallest problems
        are proven in it, the others must have the time for the search.
    shelf_share : float
        Most of the time left that shelves take: HiGHS has its best plan long before it
        has proven it.
    search_share : float
        Share of the time for the search where exact methods come after it.
    neighbourhood_share : float
        Share of the rest for parts of the integer program, before its whole is tried;
        after it they get all that is left.
    exact_share : float
        Share of what is then left for the whole integer program.
    exact_endless_s : float
        Time for exact methods, and again for the proof, if there is no limit: enough
        for small problems, and nobody waits for long.
    neighbourhood_s : float
        Most time for one part of the integer program.
    neighbourhood_tables : int
        Tables that may change in one part: few enough for an exact plan within
        `neighbourhood_s`, or nearly one.
    neighbourhood_noise : float
        How much chance decides which tables these are: tables on the slowest and the
        fastest rank count 1, so above 1 others come in as well.
    fruitless_neighbourhoods : int
        Parts in a row that bring nothing before it goes on to the whole program.
    packing_s, packing_share : float
        Most time for packing, before and after a first search, which gets as much
        each, and most of the time left.
    fruitless_packings : int
        Packings in a row that bring nothing before it ends; all but the first vary
        what tables on all ranks may use.
    proof_share : float
        Share of the time left that the search leaves for the bound.
    proof_share_exact : float
        The same for small problems: a better bound may prove the plan optimal.
    least_proof_s, most_proof_s : float
        Limits of that time, but never more than `most_proof_share` of what is left. A
        proof needs some time at all; a long search should not wait for its bound.
    most_proof_share : float
        See `least_proof_s`.
    proof_work, least_proof_work : int
        With a work limit, options that each means of the proof looks at: so many per
        evaluated move, which takes up to a quarter of the search's time, but never
        fewer than the latter, some tenths of a second.
    """

    greedy: Flag = True
    ldm: Flag = True
    uniform: Flag = True
    exact_first: Flag = True
    shelf: Flag = True
    pack: Flag = True
    search: Flag = True
    max_rank_first: Flag = True
    neighbourhoods: Flag = True
    exact: Flag = True
    strengthen: Flag = True
    greedy_size: Tally = 10_000_000
    ldm_size: Tally = 1_000_000
    quick_share: Fraction = 0.05
    max_rank_size: Tally = 10_000
    exact_size: Tally = 12_000
    exact_first_s: Seconds = 2.0
    exact_first_share: Fraction = 0.3
    shelf_share: Fraction = 0.3
    search_share: Fraction = 0.5
    neighbourhood_share: Fraction = 0.5
    exact_share: Fraction = 0.6
    exact_endless_s: Seconds = 4.0
    neighbourhood_s: Seconds = 1.0
    neighbourhood_tables: PositiveTally = 9
    neighbourhood_noise: Weight = 1.5
    fruitless_neighbourhoods: Tally = 20
    packing_s: Seconds = 10.0
    packing_share: Fraction = 0.3
    fruitless_packings: Tally = 4
    proof_share: Fraction = 0.1
    proof_share_exact: Fraction = 0.2
    least_proof_s: Seconds = 0.3
    most_proof_s: Seconds = 30.0
    most_proof_share: Fraction = 0.5
    proof_work: Tally = 2
    least_proof_work: Tally = 1_000_000


class ChoiceParams(Record):
    """Choosing options so that the sums fit, before anything is placed.

    Attributes
    ----------
    linear_program : bool
        Where prices alone end far from the relaxed choice, solve a linear program.
    good_enough : float
        How far above the relaxed choice, relatively, a choice may be without the
        linear program: placing whole shards costs more than that.
    repairs : int
        Passes that switch bundles out of the fullest tier. What relieves one tier may
        fill another, so it takes a few.
    room_passes : int
        Passes that switch bundles to cheaper options where there is room left: the
        second one can use what a switch of the first has freed.
    misses : int
        Switches that do not fit before such a pass ends: with many tables thousands
        more would fail one after the other.
    spare : float
        Share of the room above the least bytes that a choice may always use, so that
        tight problems are not driven to the slowest options everywhere.
    cutting_planes : PlaneParams
        Prices of memory at which choosing the cheapest options nearly fits.
    """

    linear_program: Flag = True
    good_enough: Weight = 0.005
    repairs: Tally = 20
    room_passes: Tally = 2
    misses: Tally = 1000
    spare: Fraction = 0.1
    cutting_planes: PlaneParams = PlaneParams()


class PlacementParams(Record):
    """Placing shards one by one on the least loaded ranks that fit.

    Attributes
    ----------
    many_ranks : int
        Ranks above which only some of the least loaded ones are looked at for a shard
        that may go anywhere.
    near_ranks : int
        How many these are: the time per shard no longer grows with the cluster, at
        the price of a place that may not be the very best.
    renewed_every : int
        Shards after which they are chosen anew: half of `near_ranks`, so that some
        that got none are always left.
    """

    many_ranks: PositiveTally = 512
    near_ranks: PositiveTally = 96
    renewed_every: PositiveTally = 48


class AttemptParams(Record):
    """One way to choose and place.

    Attributes
    ----------
    item_share : float
        Avoid shards longer than this share of a rank's mean load.
    fill : float
        Share of each tier to use at most, for places are never filled evenly.
    item_fill : float
        Avoid shards of more than this share of a rank's or host's memory.
    power : float or None
        Order of the norm by which ranks are compared: their fullest dimension alone,
        or with 4 or 8 the others a little as well.
    by_phases : bool
        For `step`, measure shards in the phase where they stand out most.
    """

    item_share: Factor
    fill: PositiveFraction
    item_fill: PositiveFraction = 1.0
    power: Annotated[Factor, Field(le=16)] | None = None
    by_phases: Flag = True


def _attempt(
    item_share: float,
    fill: float,
    item_fill: float = 1.0,
    power: float | None = None,
    *,
    by_phases: bool = True,
) -> AttemptParams:
    return AttemptParams(
        item_share=item_share,
        fill=fill,
        item_fill=item_fill,
        power=power,
        by_phases=by_phases,
    )


class GreedyParams(Record):
    """Several ways to choose and place, of which the best plan is kept.

    Attributes
    ----------
    attempts : tuple of AttemptParams
        In this order. They differ in all that a problem may need: short shards
        balance better, long ones cost less in total; full tiers save seconds, room
        lets shards be placed; norms keep ranks even where several dimensions are full.
    last_resorts : tuple of AttemptParams
        Tried only as long as there is no plan: longer shards need fewer buffers, and
        lower fills leave room for what does not divide.
    most_scores : int
        Stop after this many scores of a shard on a rank, once there is a plan, so
        that large problems do not wait for all attempts.
    scored_ranks : int
        Ranks that count as scored for each shard, where there are more: see
        `PlacementParams`.
    """

    attempts: Annotated[tuple[AttemptParams, ...], Field(min_length=1)] = (
        _attempt(0.3, 0.97, 0.5),
        _attempt(0.15, 0.95, 0.25, 8.0),
        _attempt(1.0, 1.0),
        _attempt(1.0, 0.99, 0.25, 8.0),
        _attempt(0.15, 0.96, by_phases=False),
        _attempt(0.3, 0.99, 0.125, 8.0),
        _attempt(0.8, 0.96, by_phases=False),
        _attempt(0.5, 0.95, 0.5, 8.0, by_phases=False),
        _attempt(0.5, 1.0, by_phases=False),
        _attempt(0.3, 0.95, power=4.0, by_phases=False),
        _attempt(0.5, 1.0),
        _attempt(1.0, 1.0, power=4.0),
    )
    last_resorts: tuple[AttemptParams, ...] = (
        _attempt(2.0, 0.97, by_phases=False),
        _attempt(1.0, 0.95, 0.125, 8.0, by_phases=False),
        _attempt(10.0, 0.9, 0.25, by_phases=False),
        _attempt(10.0, 0.97, 0.0625, 8.0, by_phases=False),
        _attempt(10.0, 0.9, by_phases=False),
    )
    most_scores: Tally = 2_500_000
    scored_ranks: PositiveTally = 256


class LdmParams(Record):
    """Largest differencing with different limits and weights.

    Attributes
    ----------
    item_shares : tuple of float
        Avoid shards longer than each of these shares of a rank's mean load, in turn:
        shorter ones balance better, but cost more in total.
    memory_weights : tuple of float
        What the memory of a shard, as a share of all, adds to its weight: 0 balances
        time alone, 1 memory as much.
    """

    item_shares: tuple[Factor, ...] = (1.0, 0.5, 0.25)
    memory_weights: tuple[Weight, ...] = (0.0, 1.0)


class IlpParams(Record):
    """The integer program.

    Attributes
    ----------
    max_variables : int
        Larger programs are refused: they take gigabytes, and HiGHS proves nothing in
        hours.
    """

    max_variables: Tally = 200_000


class SolverParams(Record):
    """A whole file of parameters.

    Attributes
    ----------
    auto : AutoParams
        Solver `auto`.
    greedy : GreedyParams
        Solver `greedy`, also inside of `auto`, and where `ilp` begins.
    ldm : LdmParams
        Solver `ldm`, also inside of `auto`.
    choice : ChoiceParams
        The choice of options in `greedy`, `ldm` and the search.
    placement : PlacementParams
        The placing of shards there.
    pack : PackParams
        Packing few tables in `auto`.
    shelf : ShelfParams
        Shelves of few tables on many ranks in `auto`.
    ilp : IlpParams
        Solvers `ilp` and `cbc`, also inside of `auto`.
    search : SearchParams
        The search of `auto`.
    proof : ProofParams
        Lower bounds, whatever the solver.
    """

    auto: AutoParams = AutoParams()
    greedy: GreedyParams = GreedyParams()
    ldm: LdmParams = LdmParams()
    choice: ChoiceParams = ChoiceParams()
    placement: PlacementParams = PlacementParams()
    pack: PackParams = PackParams()
    shelf: ShelfParams = ShelfParams()
    ilp: IlpParams = IlpParams()
    search: SearchParams = SearchParams()
    proof: ProofParams = ProofParams()


DEFAULTS = SolverParams()
