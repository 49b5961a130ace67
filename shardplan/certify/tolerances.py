"""How far apart numbers may be and still count as equal, in the search for bounds.

The search may be careless: what it finds is verified. The margins of `verify` itself
are part of the proof, and are explained and kept there; the grid and the limits of
`patterns` say what certificates mean, and are kept there as well.
"""

from __future__ import annotations

PRICES_TOLERANCE = 1e-6
"""Share of the value to within which cutting planes find the best prices: with more
digits the bound would move by less than the thresholds that follow."""
HIGHS_TOLERANCE = 1e-9
"""Primal and dual tolerance of the linear programs of prices. HiGHS's own default is
1e-7, a tenth of `PRICES_TOLERANCE` already."""
ON_EDGE = 1e-9
"""Prices this near the edge of their box, as a share of its width, are on it."""
NO_WIDTH = 1e-30
"""A box is at least so wide when that is looked at."""
WIDEST = 1e6
"""Boxes stop growing here: prices are shares of the value, so nothing is beyond."""
LARGEST_PRICE = 1e12
"""Most of any price: boxes also grow where nothing is gained, and numbers of 10^20
are infinite for HiGHS."""
RELATIVE_ROUNDOFF = 1e-12
"""A basis of HiGHS is optimal if it is off by no more, relatively. HiGHS's tolerances
are absolute: numbers of 10^10 miss them by rounding."""
LEAST_UNIT_S = 1e-12
"""Seconds in which values are counted at least, where nothing costs time."""
NO_SECONDS = 1e-30
"""Below this a bound counts as nothing [s]."""
LONGEST_PHASE = 1e6
"""Most that a phase is taken to last, in units of the value: HiGHS's numbers stay of
one scale, and no plan is so slow."""
LEAST_STEP_S = 1e-12
"""A threshold is at least so far above the bound [s], for bounds of 0."""
WORTH_WRITING = 1e-9
"""What a proof must add to the bound, relatively, to take the place of another."""
NEAR_ONE = 1e-6
"""Prices of a phase that sum to 1 up to this are meant to: it is HiGHS's tolerance."""
BELOW_ONE = 1e-14
"""How far below 1 they are then put: further than the roundings of their sum, which
must not be above 1."""
REFUTED = 1e-6
"""Ranks that must be missing, as a share of all, for a threshold by patterns: more
than the margins of the verifier take off."""
PRICE_DIGITS = 9
"""Digits to which prices of items, of about 1, are written into a certificate."""
MOST_RANKS_WORTH = 1e3
"""Most of a price of an item, in shares of all ranks, so that programs are bounded."""
LEAST_SHARE = 1e-7
"""Prices of longest items below this share of a phase are not worth writing."""
