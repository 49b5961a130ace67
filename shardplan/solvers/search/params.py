"""The numbers of the search: section ``[search]`` of a parameter file.

Times are shares of the lower bound and bytes are shares of a rank's memory, so 1 is
full in every dimension.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.records.record import (
    Factor,
    Flag,
    Fraction,
    PositiveFraction,
    PositiveTally,
    Record,
    Tally,
    Weight,
)


class AnnealParams(Record):
    """Annealing of all ranks at once, in rounds of moves.

    Attributes
    ----------
    random_groups : bool
        Exchange parts among ranks in random groups, every round.
    worst_groups : bool
        Exchange parts between the worst ranks and others, every round.
    relief : bool
        Above `SearchParams.scale_ranks`, exchange parts of overloaded ranks instead.
    levelling : bool
        Above `SearchParams.scale_ranks`, end a cycle by relieving all ranks above a
        level, then above lower ones.
    pairs : bool
        Divide the shards of pairs of ranks anew, where ranks are few.
    variants : bool
        Change kernels and cache fractions in place.
    recut : bool
        Give tables other cuts and places.
    descent : bool
        End every cycle with a descent: relieve the worst ranks until nothing helps.
    group : int
        Ranks that exchange parts with each other. An exchange is the best of group!
        ones and costs about group^2 penalties, so twice as many ranks cost twice as
        much per rank.
    group_at_scale : int
        The same above `SearchParams.scale_ranks`, where few ranks hold up all others.
    exchange_shares : tuple of float
        Share of a rank's units that may leave in an exchange; one is drawn each time.
        Small parts fit elsewhere, large ones change ranks with few large shards.
    worst_part : int
        One rank in so many is among the worst.
    worst_per_group : int
        One rank in so many of such a group is among them; others take what is too much.
    relief_quantile, relief_tail : float
        Levels of these exchanges rise from the mean by this share to this quantile.
    pair_ranks : int
        Ranks up to which pairs are divided: with more, exchanges do the same for less.
    pair_units : int
        Units of a pair that may change sides: all 2^n divisions are looked at.
    level_rounds : int
        Rounds with the same levels of the penalty; new ones follow the loads.
    level_margin : float
        How far below a balanced plan at the bound the first levels are: all time is
        penalised then, and so the total.
    level_tail : float
        Where the last levels are, between the mean and the slowest rank.
    tail_slope, tail_delay : float
        Levels rise with the progress of a cycle from the first to the last:
        slope x progress - delay, from 0 to 1. So the first two fifths of a cycle
        press on the total, and the last fifth on the slowest ranks.
    memory_penalty : float
        Penalty of one whole capacity too much, against the bound's time squared: high
        enough that hardly any plan stays too full, low enough to pass through.
    fewest_changes : int
        Tables whose variants are looked at in a round, or as many as there are ranks.
    fill_passes, most_fill_passes : int
        How often all variants are looked at after the last round, without noise: a
        few times each, and at most so many calls.
    fewest_recuts, recut_share : int, float
        Tables that are re-cut in a round: so many, and this share of the ranks. A
        re-cut costs more than an exchange, and spoils the balance for a while.
    descent_steps : int
        Most steps of a descent.
    descent_tail : float
        Level of the penalty of a descent, between mean and slowest rank.
    descent_ranks : int
        Worst ranks that are relieved together.
    descent_groups : int
        Groups of other ranks with which they exchange parts per step.
    descent_partners : int
        Ranks with which each of them is divided: half least loaded, half random.
    descent_recut_ranks, descent_recut_tries : int
        Worst ranks whose tables are then re-cut, and how many of these tables.
    promise_quantile : float
        Quantile of the loads by which racing states are compared: the highest few
        ranks may still be relieved.
    as_slow : float
        Ranks of large clusters count as equally slow within this share of the slowest
        one's excess over the mean: where shards of one length meet, many ranks are.
    """

    random_groups: Flag = True
    worst_groups: Flag = True
    relief: Flag = True
    levelling: Flag = True
    pairs: Flag = True
    variants: Flag = True
    recut: Flag = True
    descent: Flag = True
    group: Annotated[PositiveTally, Field(le=1024)] = 32
    group_at_scale: Annotated[PositiveTally, Field(le=1024)] = 64
    exchange_shares: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (
        0.15,
        0.3,
        0.5,
        0.5,
        0.8,
        1.0,
    )
    worst_part: PositiveTally = 8
    worst_per_group: PositiveTally = 4
    relief_quantile: Fraction = 0.999
    relief_tail: Fraction = 0.9
    pair_ranks: Tally = 32
    pair_units: Annotated[PositiveTally, Field(le=16)] = 8
    level_rounds: PositiveTally = 4
    level_margin: Fraction = 0.1
    level_tail: Fraction = 0.5
    tail_slope: Weight = 2.5
    tail_delay: Weight = 1.0
    memory_penalty: Factor = 50.0
    fewest_changes: Annotated[Tally, Field(le=4096)] = 32
    fill_passes: Tally = 4
    most_fill_passes: Tally = 64
    fewest_recuts: Tally = 4
    recut_share: Fraction = 1 / 64
    descent_steps: Tally = 100
    descent_tail: Fraction = 0.8
    descent_ranks: PositiveTally = 4
    descent_groups: PositiveTally = 8
    descent_partners: PositiveTally = 32
    descent_recut_ranks: PositiveTally = 3
    descent_recut_tries: Tally = 8
    promise_quantile: Fraction = 0.95
    as_slow: Fraction = 0.1


class RecutParams(Record):
    """Other cuts and places of a table: which are tried.

    Attributes
    ----------
    short_list : int
        Options of least regret that a table is ever given.
    tried : int
        Options that are drawn from these for one re-cut.
    tried_bias : float
        Exponent of the draw: above 1, options of small regret are drawn more often.
    ranks : int
        Ranks that are looked at: half with little time, a quarter with free memory,
        a quarter random; all where there are no more.
    few_ranks : int
        Where constraints leave fewer of them, others that are allowed are drawn.
    hosts : int
        Emptiest hosts that are looked at for shards that share a host.
    wide_tried : int
        Options of wider scopes that are tried at once: each looks at all ranks.
    regret_price : float
        Penalty of a second of regret, in units of the bound's time. Regret matters for
        the sum of all ranks only, so a tenth lets balance decide.
    batch : int
        Tables that are looked at together before any of them is moved: the more, the
        faster, and the more of them meet ranks that have changed since.
    own_ranks : int
        Ranks of a table's own shards that are looked at beside the others.
    singly : int
        Tables per round that are looked at one by one, for they have constraints or
        wider scopes.
    """

    short_list: PositiveTally = 64
    tried: Annotated[PositiveTally, Field(le=256)] = 10
    tried_bias: Factor = 3
    ranks: PositiveTally = 48
    few_ranks: Tally = 8
    hosts: PositiveTally = 4
    wide_tried: PositiveTally = 1
    regret_price: Weight = 0.1
    batch: Annotated[PositiveTally, Field(le=1024)] = 64
    own_ranks: PositiveTally = 4
    singly: Tally = 4


class StartParams(Record):
    """How options are chosen at first.

    Attributes
    ----------
    scale : float
        Of the limits on single shards.
    density : float
        HBM that a unit of time is taken to need, as a share of the mean density of
        the menu: the higher, the more time a shard with much memory seems to leave
        idle.
    fill : float
        Share of the memory that options may need together.
    filling : float
        Load that others add to the rank of a long shard, as a share of the mean load:
        the higher, the shorter shards must be.
    """

    scale: Factor
    density: Weight
    fill: PositiveFraction
    filling: Weight


def _start(scale: float, density: float, fill: float, filling: float) -> StartParams:
    return StartParams(scale=scale, density=density, fill=fill, filling=filling)


class SearchParams(Record):
    """Starts, a race between them, and longer cycles from the best.

    Attributes
    ----------
    limits : bool
        Choose limits on single shards; without, a start takes what is cheapest.
    idle_time : bool
        Count the time that shards with much memory leave idle on their ranks.
    reduced_costs : bool
        Leave out options that cost more, at the prices of memory, than a plan that is
        better than the best one so far can afford.
    race : bool
        Anneal half of the starts for longer, again and again; without, the most
        promising one after its first cycle goes on.
    settled_race : bool
        Under `max-rank`, keep the options that a start chose until the race is over,
        where tables may go to SSD: re-cuts change places only. The winner tries others.
    cut_finer : bool
        Cut shards of the worst rank more finely between cycles.
    restarts : bool
        Draw further starts at random when the best one improves no more.
    anneal : AnnealParams
        The moves.
    recutting : RecutParams
        Other cuts of a table.
    scale_ranks : int
        Ranks above which there is time for few rounds only: fewer starts, colder, and
        larger groups.
    starts, starts_at_scale : tuple of StartParams
        The starts of the first race. They differ in what depends on the plan: without
        filling where memory is tight, with it where ranks hold many shards.
    restart_scale : tuple of float
        Least scale of a random start, and what it may be above it.
    restart_density : float
        Most density of a random start.
    restart_unfilled : float
        Most of the memory that a random start leaves.
    restart_fillings : tuple of float
        Fillings that random starts draw from.
    fruitless_restarts : int
        Starts without success, one after the other, before the search ends; one if
        there is no time limit.
    race_hot, long_hot, cycle_hot : float
        Where annealing begins, in the first cycle of a start, in later cycles of the
        race and every few cycles after it, and in cycles after a perturbation: the
        temperature is the square of this excess of a rank's time, which it makes
        likely. A first cycle may undo its start; a perturbed plan should survive.
    cold : float
        Where all cycles end: excesses far below the gap of any plan.
    scale_cooling : float
        Share of the hot excesses at scale: the few rounds there cannot cool down more.
    race_rounds, fewest_race_rounds : int
        Rounds of the first cycle of each start.
    race_work : int
        Rounds times ranks of that cycle, at most: fewer rounds for more ranks.
    cycle_rounds : int
        Rounds of a cycle after a perturbation.
    cycle_growth : float
        What they are multiplied by after a cycle without success.
    settle_part : int
        One part in so many of these rounds has no re-cuts, so that what was changed is
        balanced first.
    long_every, long_rounds : int
        Every so many cycles without success, one that is so many times as long and
        perturbs nothing.
    patience : int
        Cycles without success before another start is drawn.
    worth : float
        What counts as success, relatively: less is not worth eight more cycles.
    relaxed_most, relaxed_least : float
        Share of the tables that may be cheaper and are given their cheaper option in a
        perturbation: at first, and at least.
    relaxed_shrink : float
        What that share is multiplied by after a cycle without success.
    relaxed_ranks : int
        Ranks at which it is half as large: with many, a few tables change enough.
    memory_levels : int
        Densities, from none to that of the start, of which a perturbation draws one:
        the lower, the cheaper the options are that it goes to.
    finer_probability : float
        Chance that a shard of the slowest rank is cut finer in a perturbation; none at
        scale.
    finer_share : float
        Longest shard of a finer cut, as a share of the present one: columns that are
        cut a bit more seldom help.
    alone_share : float
        A shard that alone is as long as this share of the room of its rank is always
        cut finer: no exchange can relieve that rank.
    room_share : float
        Share of the room above the least bytes that a start may use at least, so that
        tight problems do not begin with the slowest options everywhere.
    room_share_tiers : float
        The same at scale where slower tiers are a way out: ranks with two or three
        shards each cannot fill the last of their memory.
    limit_coarse, limit_fine : tuple of float
        Factors that are tried on the limit of one dimension after the other, first
        twice the coarse ones, then the fine ones.
    limit_options : int
        Options of the menu that limits are tried on, spread over all tables: choosing
        them takes a tenth of a second then.
    limit_prices : tuple of float
        Multiples of the prices of memory that limits are tried at, rising: the lower
        the limits, the dearer the memory.
    limit_fewest, limit_most : int
        Options per table of these; those of least regret.
    """

    limits: Flag = True
    idle_time: Flag = True
    reduced_costs: Flag = True
    race: Flag = True
    settled_race: Flag = True
    cut_finer: Flag = True
    restarts: Flag = True
    anneal: AnnealParams = AnnealParams()
    recutting: RecutParams = RecutParams()
    scale_ranks: PositiveTally = 1024
    starts: Annotated[tuple[StartParams, ...], Field(min_length=1)] = (
        _start(1.0, 0.6, 0.97, 0.0),
        _start(1.0, 0.3, 0.95, 0.3),
        _start(1.0, 0.15, 0.92, 0.3),
        _start(0.9, 0.8, 0.95, 0.0),
    )
    starts_at_scale: Annotated[tuple[StartParams, ...], Field(min_length=1)] = (
        _start(1.0, 0.75, 0.97, 0.0),
        _start(1.0, 0.55, 0.97, 0.3),
    )
    restart_scale: tuple[Factor, Weight] = (0.8, 0.3)
    restart_density: Weight = 0.9
    restart_unfilled: Fraction = 0.06
    restart_fillings: Annotated[tuple[Weight, ...], Field(min_length=1)] = (
        0.0,
        0.15,
        0.3,
    )
    fruitless_restarts: PositiveTally = 6
    race_hot: Factor = 0.03
    long_hot: Factor = 0.01
    cycle_hot: Factor = 0.005
    cold: Factor = 3e-4
    scale_cooling: Factor = 0.3
    race_rounds: PositiveTally = 100
    fewest_race_rounds: PositiveTally = 75
    race_work: PositiveTally = 65_536
    cycle_rounds: PositiveTally = 60
    cycle_growth: Factor = 1.1
    settle_part: PositiveTally = 3
    long_every: PositiveTally = 4
    long_rounds: PositiveTally = 5
    patience: Tally = 8
    worth: Weight = 1e-5
    relaxed_most: Fraction = 0.3
    relaxed_least: Fraction = 0.01
    relaxed_shrink: Fraction = 0.7
    relaxed_ranks: Factor = 256
    memory_levels: PositiveTally = 4
    finer_probability: Fraction = 0.5
    finer_share: Fraction = 0.8
    alone_share: Fraction = 0.995
    room_share: Fraction = 0.6
    room_share_tiers: Fraction = 0.2
    limit_coarse: tuple[Factor, ...] = (0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2.0)
    limit_fine: tuple[Factor, ...] = (0.97, 0.985, 0.995, 1.005, 1.015, 1.03)
    limit_prices: Annotated[tuple[Factor, ...], Field(min_length=1)] = (
        *(1.0, 1.25, 1.6, 2.5, 5.0, 16.0, 50.0),
    )
    limit_options: PositiveTally = 80_000
    limit_fewest: PositiveTally = 10
    limit_most: PositiveTally = 64


SEARCH_DEFAULTS = SearchParams()
