"""How far apart numbers may be and still count as equal, in all solvers.

These follow from the roundoff of double precision and from the tolerances of HiGHS,
not from what is searched for; what one may want to tune is in `params`. Loads of the
search are shares of the bound or of a capacity, so numbers are near 1.
"""

from __future__ import annotations

ROUNDOFF = 1e-12
"""Relative: sums of a few thousand numbers differ by less in another order."""
LEAST_GAIN = 1e-9
"""What a move or a plan must gain, relatively. Loads are kept up to date by addition
and drift by less; without it equal plans would take turns for ever."""
LEAST_EXCESS = 1e-9
"""Options that exceed the least excess of their bundle by no more count as equal."""
ALIKE = 1e-9
"""Phases whose times are in proportion up to this, in every shard, are one: products
of the same coefficients differ by roundings only."""
NO_SHARE = 1e-12
"""Sums of shares up to this are nothing: a divisor is at least so large."""
NO_SECONDS = 1e-30
"""Seconds up to this are nothing; a divisor is at least so large."""
NO_PHASE = 1e-12
"""Seconds that a phase's load is at least taken for: a picosecond is nothing."""
LEAST_NORMAL = 1e-300
"""A divisor for numbers of any scale, near the least that are not denormal."""
LEAST_TIME = 1e-6
"""Limits on shards are no lower, in units of the bound: a phase in which hardly
anything costs time has none."""
LEAST_ROOM = 1e-6
"""Bytes of HBM by which loads are divided at least, where a rank has none."""
LEAST_PHASE = 1e-3
"""Share of the longest phase's mean load that a phase counts as at least: a phase of
next to nothing must not decide where shards go."""

OWN_BOUND = 1e-6
"""By how much of itself a plug-in's bound may be above its own plan: tolerances of the
solvers of others, which are seldom closer."""
CLOSED = 1e-4
"""A plug-in's optimal plan is this near its bound: the default gap of solvers of
integer programs."""
TOO_DEAR = 1e4
"""Prices of a choice that fits nowhere grow without end: enough when its bound is this
many times the least seconds."""

PROOF_TOLERANCE = 1e-6
"""Share taken off HiGHS's bound, so that its tolerances cannot make it a lie."""
FEASIBILITY_TOLERANCE = 1e-9
"""What a row or an integer of the integer program may be off; HiGHS's own default is
1e-6, with which a rank of 80 GB may be too full by 80 kB."""
ABSOLUTE_GAP = 1e-7
"""Absolute gap at which HiGHS calls a program solved, its own default is 1e-6. Values
are 1 to 10 in the program's unit."""
POOL_MARGIN = 1e-7
"""Share of each pool that the second try leaves free, if rounding overfills one."""
BOUND_ROUNDOFF = 1e-9
"""What the simple bound may be off in a row of the program: more than its own sums,
less than what a proof could rest on."""

NO_PRICE = 1e-9
"""Pieces with a price up to this are in no pattern: prices are near 1, so it is what
HiGHS leaves of a 0."""
NEW_PATTERN = 1e-7
"""What a pattern must be worth above its rank: HiGHS's tolerance of reduced costs."""
NO_RANK = 1e-7
"""Ranks missing up to this are none: HiGHS's tolerance of feasibility."""
LEAST_PROGRAM_S = 0.01
"""HiGHS has at least so long for a program of packing [s], to look at it at all."""
PIECE_DIGITS = 9
"""Digits to which loads of pieces of one kind agree, in shares of bound and memory."""
RANK_DIGITS = 7
"""Digits to which loads of ranks of one kind agree; fewer than of pieces, for a rank
has sums of them, and the largest of a kind counts."""

CHUNK = 1 << 16
"""Numbers that one step of exchanges holds (0.5 MB), to stay within a cache."""
DIVISION_CHUNK = 1 << 17
"""Numbers that one step of divisions holds (1 MB), likewise."""
VECTOR_TABLE = 10**7
"""Numbers up to which the vectors of all items are kept (80 MB)."""
NOISE_TABLE = 1 << 20
"""Random numbers that are drawn once and used again from random places (4 MB)."""
