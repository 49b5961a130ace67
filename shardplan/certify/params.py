"""The numbers of the search for bounds: section ``[proof]`` of a parameter file."""

from __future__ import annotations

from shardplan.records.record import Flag, Record


class ProofParams(Record):
    """How long and by what means a lower bound is looked for.

    Attributes
    ----------
    cases : bool
        Split the slowest rank's time in a phase into cases, for `step`.
    patterns : bool
        Bound what single ranks can hold, where there are few tables per rank.
    """

    cases: Flag = True
    patterns: Flag = True


PROOF_DEFAULTS = ProofParams()
