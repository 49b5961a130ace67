"""Colours of figures: the same on pages, in light and dark, and in single pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.records.sharding import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable

COLOURS = (
    "#2b78b8",
    "#d55e00",
    "#12906a",
    "#c2619f",
    "#94750a",
    "#7f66d1",
    "#1f8fb8",
    "#767f89",
)
"""Each with a contrast of 3 and more to both backgrounds; apart for colour-blind eyes.

References
----------
Okabe, Ito 2008, Color Universal Design; yellow, sky blue and black are replaced by
tones that both backgrounds bear. WCAG 2.2, criterion 1.4.11 (non-text contrast).
"""

BACKGROUNDS = {"light": "#ffffff", "dark": "#11161d"}


def phase_colours(phases: Iterable[str]) -> list[int] | None:
    """Return the numbers of phases' colours; None where there are other phases."""
    known = {phase.value: index for index, phase in enumerate(PHASES)}
    found = [known.get(phase, -1) for phase in phases]
    return None if -1 in found else found


def colour(index: int) -> str:
    """Return the colour of the series with a number."""
    return COLOURS[index % len(COLOURS)]
