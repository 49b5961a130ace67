"""Wrong knobs, objectives and numbers of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from tests.studies.codesign import small

if TYPE_CHECKING:
    from pathlib import Path

BANDWIDTH = "{ low = 6e9, high = 125e9, log = true }"
HOSTS = "{ low = 1, high = 8, integer = true }"
POINTS = "points = 20"
COST = '["cost_per_hour"]'


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (BANDWIDTH, '{ low = "2 Tb/s", high = "1 Tb/s" }', "low must be below high"),
        (HOSTS, "{ low = 0, high = 8, log = true }", "log needs low above 0"),
        (HOSTS, "{ choices = [1, 1] }", "has a choice twice"),
        (HOSTS, "{ low = 1 }", "needs low and high, or choices"),
        (HOSTS, "{ low = 1, choices = [1] }", "choices stand alone"),
        ("hosts =", "host =", "did you mean 'hosts'"),
        ('scale_out.nic_bw" = {', 'scale_out.nic_bv" = {', "did you mean 'nic_bw'"),
        (POINTS, "points = 0", "points"),
        (POINTS, "points = 20\nreference = { hosts = 1 }", "has both of them"),
        (COST, '["cost_per_hour", "gap"]', "has 3 objectives, and two are the most"),
        (COST, "[]", "better is the other way: put it into minimise"),
        (COST, '["bottleneck"]', "has no better end"),
        (COST, '["cost_per_our"]', "did you mean 'cost_per_hour'"),
        ("[codesign]", "[axes]\nhosts = [1, 2]\n[codesign]", "takes the place of axes"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, text: str) -> None:
    """The message says what is wrong where, and what to do."""
    wrong = small.TWO.replace(old, new, 1)
    if new == "[]":
        wrong = wrong.replace('maximise = ["thr', 'maximise = ["gap"]\n#')
    with pytest.raises(InputError) as caught:
        small.spec(tmp_path, wrong)
    assert text in str(caught.value)


def test_few_designs(tmp_path: Path) -> None:
    """There is nothing to search where all can be run."""
    text = small.TWO[: small.TWO.index("[codesign.knobs]")]
    text += f"[codesign.knobs]\nhosts = {HOSTS}\n"
    with pytest.raises(InputError, match=r"8 combinations: run them all, as \[axes\]"):
        small.spec(tmp_path, text)
