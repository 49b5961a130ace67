"""The numbers of the search for bounds: section ``[proof]`` of a parameter file.

Whatever they are, a bound is proven: what the search finds is verified by code that
reads none of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.records.record import (
    Factor,
    Flag,
    Fraction,
    PositiveTally,
    Record,
    Tally,
    Weight,
)

Growth = Annotated[Factor, Field(gt=1)]
"""A multiplier above 1."""


class PlaneParams(Record):
    """Cutting planes in a box (Kelley's method) for the prices of a bound.

    Attributes
    ----------
    most_steps : int
        Evaluations: for a handful of prices it converges in fewer.
    radius : float
        Size of the first box, in shares of the value: far from the best prices known
        planes are few, and promise too much.
    grow, shrink : float
        What the box is multiplied by after a good step, and after one without gain.
    good : float
        Share of the promised gain that makes a step good.
    """

    most_steps: PositiveTally = 100
    radius: Factor = 0.5
    grow: Growth = 4.0
    shrink: Fraction = 0.7
    good: Fraction = 0.5


class RefuteParams(Record):
    """Refuting a threshold by rounds of prices, each of which excludes options.

    Attributes
    ----------
    most_rounds, quick_rounds : int
        Rounds for a threshold, when a bound is strengthened, and for a first bound.
    stalled : float
        End when a round leaves more than this share of the options.
    worth : float
        A quick search does without rounds that leave more than this share: each one
        is stored, and takes time when it is verified.
    quick_subsets : int
        Subsets of phases, those of most options, that a quick search leaves over.
    quick_shares, shares : tuple of float
        What is left over of all phases, for the slowest rank to bear: most first, for
        that excludes the options with the longest shards.
    subset_shares : tuple of float
        The same of some phases; a quick search leaves over all of them.
    thorough_options : int
        Options up to which a quick search tries as much per threshold as a long one:
        it takes no time then.
    keep_options : int
        Options up to which a long search leaves out none by comparing them: it costs
        more than it saves, and can weaken the bound.
    foresight : float
        What matters up to a threshold so many times higher is kept when one is tried,
        for others follow it.
    """

    most_rounds: PositiveTally = 6
    quick_rounds: PositiveTally = 2
    stalled: Fraction = 0.99
    worth: Fraction = 0.998
    quick_subsets: Tally = 3
    quick_shares: tuple[Fraction, ...] = (0.5, 0.1)
    shares: tuple[Fraction, ...] = (1.0, 0.8, 0.5, 0.25, 0.1, 0.03)
    subset_shares: tuple[Fraction, ...] = (1.0, 0.3)
    thorough_options: Tally = 5_000
    keep_options: Tally = 100_000
    foresight: Growth = 1.15


class TreeParams(Record):
    """Refuting a threshold by cases.

    Attributes
    ----------
    most_trees : int
        Thresholds that are tried.
    first_tree : float
        Where the first one is, between the bound and the plan: lower thresholds
        exclude more options, so some gain is sure.
    most_cases : int
        Cases of a tree; a case takes some 250 bytes of the certificate.
    most_rounds : int
        Rounds of prices per case.
    stalled : float
        End a case when a round leaves more than this share of the options: splitting
        gains more then.
    radius : float
        Size of the first box of prices: they are near those of the parent.
    most_price : float
        Most price of a second of one phase, in shares of the phase: higher ones would
        have to pay for the phase's whole range.
    overhead : int
        What an evaluation counts besides its options, against the work limit.
    crowd : float
        Weight of all options that are too long, beside the longest one, in the choice
        of the phase to split by.
    least_split : float
        An excess below this share of the threshold is not worth a split.
    cut : float
        Where a phase is split, between its load and its longest option.
    """

    most_trees: Tally = 6
    first_tree: Fraction = 0.2
    most_cases: PositiveTally = 400
    most_rounds: PositiveTally = 3
    stalled: Fraction = 0.8
    radius: Factor = 0.1
    most_price: Factor = 3.0
    overhead: Tally = 20_000
    crowd: Weight = 0.1
    least_split: Fraction = 1e-5
    cut: Fraction = 0.5


class PatternParams(Record):
    """Refuting a threshold by what single ranks can hold.

    Attributes
    ----------
    tables_per_rank : float
        Tables per rank above which it is not tried: whole shards hardly matter then.
    most_choices : int
        Choices of what a rank may hold of a table, in all, above which it is not
        tried: the dynamic program of one step looks at all of them.
    choice_work : int
        Options that a choice counts as, against the work limit: a row of the dynamic
        program takes as long as looking at so many.
    most_pricings : int
        Thresholds that are tried.
    first_pricing : float
        How far above the bound the first one is.
    step_growth : float
        What that distance is multiplied by after a success.
    least_step, most_step : float
        After a failure the next threshold is where ranks would just not suffice, but
        so much above the bound and below the failure, as shares of their distance.
    most_steps : int
        Patterns that are looked for at one threshold.
    radius, least_radius, most_radius : float
        Size of the box around the best prices, as a share of them: at first, and its
        limits.
    shrink, grow, widen : float
        What the box is multiplied by after a step without gain, after a good one, and
        where no better prices are inside.
    good : float
        Share of the promised gain that makes a step good.
    done : float
        Promised gain, in shares of the ranks, below which the box is left.
    least_price : float
        Price of an item that counts as at least in the size of its box, so that free
        items can get one.
    """

    tables_per_rank: Weight = 5
    most_choices: Tally = 8_000
    choice_work: Tally = 80
    most_pricings: Tally = 8
    first_pricing: Factor = 0.01
    step_growth: Growth = 4.0
    least_step: Fraction = 0.3
    most_step: Fraction = 0.1
    most_steps: PositiveTally = 250
    radius: Factor = 0.02
    least_radius: Factor = 1e-3
    most_radius: Factor = 0.5
    shrink: Fraction = 0.8
    grow: Growth = 2.0
    widen: Growth = 4.0
    good: Fraction = 0.3
    done: Weight = 1e-5
    least_price: Factor = 1e-3


class ProofParams(Record):
    """Thresholds that are tried for a lower bound, and by what means.

    Attributes
    ----------
    cases : bool
        Split the slowest rank's time in a phase into cases, for `step`.
    patterns : bool
        Bound what single ranks can hold, where there are few tables per rank.
    first_step : float
        How far above the bound the first threshold is, relatively.
    most_step : float
        Most of such a step: a threshold that cannot be refuted takes longest.
    step_growth : float
        What a step is multiplied by after a success, and divided by after a failure.
    sharpness : float
        End when the best threshold is known to within this, relatively, and take no
        smaller steps.
    close : float
        The same for cases and patterns, whose thresholds take longer.
    hope : float
        Without a plan, nothing above so many times the bound is tried.
    quick_tests, most_tests : int
        Thresholds of a first bound, and of a strengthened one.
    quick_work, most_work : int
        Options looked at, over all rounds, for a first bound (some tenths of a second)
        and for each means of a strengthened one (minutes, if there is no limit).
    cutting_planes : PlaneParams
        Prices of bounds.
    refuting : RefuteParams
        Thresholds by prices alone.
    tree : TreeParams
        Thresholds by cases.
    pattern_prices : PatternParams
        Thresholds by patterns.
    """

    cases: Flag = True
    patterns: Flag = True
    first_step: Factor = 1e-3
    most_step: Factor = 0.04
    step_growth: Growth = 4.0
    sharpness: Factor = 2e-5
    close: Weight = 5e-4
    hope: Growth = 1.2
    quick_tests: Tally = 30
    most_tests: Tally = 60
    quick_work: Tally = 1_500_000
    most_work: Tally = 200_000_000
    cutting_planes: PlaneParams = PlaneParams()
    refuting: RefuteParams = RefuteParams()
    tree: TreeParams = TreeParams()
    pattern_prices: PatternParams = PatternParams()


PROOF_DEFAULTS = ProofParams()
