"""Colours are seen on both backgrounds."""

import pytest

from shardplan.report.pages.palette import BACKGROUNDS, COLOURS, colour, phase_colours


def luminance(code: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of WCAG 2.2, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("code", COLOURS)
@pytest.mark.parametrize("back", BACKGROUNDS.values())
def test_contrast(code: str, back: str) -> None:
    """Criterion 1.4.11 asks for 3."""
    assert contrast(code, back) >= 3


def test_phases_keep_their_colours() -> None:
    """Also where some take no time; phases of another cost model are counted."""
    assert phase_colours(["fwd_compute", "bwd_compute"]) == [2, 5]
    assert phase_colours(["fwd_compute", "prefetch"]) is None


def test_colours_repeat() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert colour(len(COLOURS) + 1) == COLOURS[1]
