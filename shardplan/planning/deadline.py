"""A time limit bounds a whole command: what the search must leave for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.solvers.base import Stop

_LATEST, _LATEST_S = 1.1, 1.0
"""A command may take this many times its limit, and so many seconds more [s]."""
_REST = 3.0
"""Proving, making, checking, writing and reporting a plan take about so many times what
pricing its options takes: 1.3 to 4.9 times with 1,000 to 50,000 tables."""
_STEP_PROOF_SHARE, _MOST_STEP_PROOF_S = 0.3, 30.0
"""Share of the time for the proof of a step, and the most [s]: its cases take seconds
even on small problems, and plans get little better meanwhile."""
_PROOF_SHARE = 0.25
"""Of the time after the search, for the proof of a plan whose solver has none."""


def limit_command(stop: Stop) -> None:
    """Say after which time even a first plan comes too late."""
    stop.last_s = _LATEST * stop.time_limit_s + _LATEST_S


def keep_rest(stop: Stop, pricing_s: float) -> float:
    """Return the seconds to keep for what comes after the search [s].

    Parameters
    ----------
    pricing_s : float
        What pricing the options took, here and now: like the rest it goes through all
        tables and their options once or a few times [s].
    """
    rest_s = _REST * pricing_s
    stop.last_s -= rest_s
    return rest_s


def step_proof_s(objective: Objective, stop: Stop) -> float:
    """Return the seconds to keep for a proof about the predicted step.

    The proof of a sum is a part of its solver.
    """
    if objective is not Objective.TIME or stop.is_endless:
        return 0.0
    return min(_STEP_PROOF_SHARE * stop.remaining_s(), _MOST_STEP_PROOF_S)


def until_rest_s(stop: Stop, rest_s: float) -> float:
    """Return the seconds from now on that a proof has, some of the rest included [s].

    Parameters
    ----------
    rest_s : float
        As kept by `keep_rest` [s].
    """
    return stop.remaining_s() - (1.0 - _PROOF_SHARE) * rest_s
