"""One combination of a study."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.io.settings import Setting
    from shardplan.records.study import StudyBase

RESULTS_VERSION = 2
"""Part of every id and key: it grows when the same inputs give other results."""


@dataclass(frozen=True, slots=True)
class StudyPoint:
    """One combination, before its inputs are changed.

    Attributes
    ----------
    number : int
        From 0, in the order of the file.
    values : dict of str to object
        What each column of the axes has, as the file writes it; the same keys in the
        same order for all points of a study. An axis of factors has the factor.
    base : StudyBase
        With what axes and overrides set of it.
    settings : tuple of Setting
        The other changes: those of overrides first, then those of axes.
    id : str
        Equal for points that mean the same, whatever their number: a hash of base,
        settings and of the files that they name. It needs no inputs to be changed.
    """

    number: int
    values: dict[str, Any]
    base: StudyBase
    settings: tuple[Setting, ...]
    id: str


def encode(settings: Iterable[Setting]) -> str:
    """Return settings as canonical JSON, for hashes."""
    parts = [(s.path, "*" * s.scales, s.value) for s in settings]
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))
