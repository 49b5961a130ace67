"""Colours of figures: the same on pages, in light and dark, and in single pictures."""

from __future__ import annotations

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


def colour(index: int) -> str:
    """Return the colour of the series with a number."""
    return COLOURS[index % len(COLOURS)]
