"""Which points a study asks for, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.studies.codesign.strategy import optimised_points
from shardplan.studies.search import search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shardplan.studies.session import Session
    from shardplan.studies.spec import StudySpec
    from shardplan.studies.study import StudyRow

    Strategy = Callable[[Session], Sequence[StudyRow]]


def strategy_of(spec: StudySpec) -> Strategy:
    """Return how a study asks for its points; a session that runs nothing replays it.

    Such a session leaves rows out, as one does whose points are lost.
    """
    if spec.file.codesign:
        return optimised_points
    return search if spec.file.search else all_points


def all_points(session: Session) -> Sequence[StudyRow]:
    """Ask for every combination."""
    return session.rows(session.points)
