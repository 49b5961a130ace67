"""The race with an old commit: what both get, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks.bench_step_old.__main__ import PAIRS, cells, share, summary
from tests.benchmarks.bench_step_old.race import Pair, solved
from tests.benchmarks.bench_study.__main__ import ROOT


def test_twenty_pairs_load() -> None:
    """All are of the frozen catalogue, each once."""
    assert len(set(PAIRS)) == 20
    for name in PAIRS:
        pair = Pair.of(name)
        assert pair.inputs.topology.num_hosts == pair.num_hosts


def test_code_of_a_folder_plans_and_today_simulates() -> None:
    """A run with a limit, in a process with the code of a folder."""
    found = solved(Pair.of("movielens-ncf@h100-pcie"), "time", [0.1], [ROOT])
    assert [run["limit_s"] for run in found] == [0.1]
    assert all(run["step_s"] > 0 and run["cpu_s"] > 0 for run in found)


def race(*steps: float) -> dict[str, Any]:
    today = [{"limit_s": n + 1.0, "step_s": step} for n, step in enumerate(steps)]
    return {"pair": "a@b:1", "old": {"limit_s": 4.0, "step_s": 2.0}, "today": today}


@pytest.mark.parametrize(
    ("steps", "part"),
    [((3.0, 2.001, 1.0), 0.5), ((1.0, 3.0), 0.25), ((3.0, 2.1), None)],
)
def test_first_limit_as_good_counts(
    steps: tuple[float, ...], part: float | None
) -> None:
    """A tie is as good."""
    assert share(race(*steps)) == part
    assert cells(race(*steps))[-1] == ("never" if part is None else f"{part:.2f}")


def test_summary() -> None:
    """Means are geometric; what never is as good misses the target."""
    text = summary([race(1.0), race(2.0)])
    assert "0.250 of the old limit; at most 0.33: yes" in text
    assert "0.707 of the old one" in text
    text = summary([race(1.0), race(3.0)])
    assert "0.500 of the old limit; at most 0.33: **no**" in text
    assert "Never as good: a@b:1." in text
