"""The benchmark of the parts: its clock, its pairs and what it says of them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest

from shardplan.certify.highs import Highs
from shardplan.solvers.params import SolverParams
from tests.benchmarks.bench_parts import measure as measuring
from tests.benchmarks.bench_parts.clock import highs_on_processor_clock, processor_stop
from tests.benchmarks.bench_parts.measure import WHOLE, measure, read
from tests.benchmarks.bench_parts.parts import AT_WORK, CONTROL, part_names, without
from tests.benchmarks.bench_parts.problems import FAMILIES
from tests.benchmarks.bench_parts.table import Effect, effects, full, short, write

if TYPE_CHECKING:
    from pathlib import Path


def test_every_switch_is_a_part() -> None:
    """Parts are found in the parameters, and one part off is one switch off."""
    names = part_names()
    assert {"auto.pack", "search.anneal.recut", "proof.cases", CONTROL} <= set(names)
    assert set(AT_WORK) < set(names)
    off = without("search.anneal.recut")
    assert off.search.anneal.recut is False
    on = {"recut": True}
    search = off.search.model_copy(
        update={"anneal": off.search.anneal.model_copy(update=on)}
    )
    assert off.model_copy(update={"search": search}) == SolverParams()
    assert without(CONTROL) == SolverParams()


def test_waiting_does_not_count() -> None:
    """The limit is in seconds of this process, in which sleep is none."""
    stop = processor_stop(0.2)
    time.sleep(0.3)
    assert not stop.now()
    while time.process_time() < stop._start + 0.2:
        pass
    assert stop.now()


def test_highs_ends_by_the_clock_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HiGHS gets no limit of its own, but is asked to stop after the seconds given."""
    asked: list[bool] = []
    now = iter([1.0, 2.5, 3.5])
    monkeypatch.setattr("time.process_time", lambda: next(now))
    monkeypatch.setattr("tests.benchmarks.bench_parts.clock._EVERY", 2)

    def run(model: Highs, *, is_over: object, **others: object) -> None:
        assert not others
        assert callable(is_over)
        asked.extend(is_over() for _ in range(3))

    monkeypatch.setattr("tests.benchmarks.bench_parts.clock._run", run)
    with highs_on_processor_clock():
        Highs("a test", [1.0], [0.0], [1.0]).run(time_limit_s=2.0)
    assert asked == [False, False, True]


@pytest.mark.parametrize("family", FAMILIES)
def test_problems_are_drawn_from_the_seed(family: str) -> None:
    """One seed is one problem; its parity is the objective."""
    first, again, other = (FAMILIES[family](seed) for seed in (6, 6, 7))
    assert first.problem.usage.workload == again.problem.usage.workload
    assert first.objective.value == "step"
    assert other.objective.value == "max-rank"


def test_results_are_kept_and_only_what_is_missing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was not at work is not run; an interrupted run goes on."""
    raw = tmp_path / "parts.csv"
    parts = ["auto.ldm", "search.anneal.variants"]
    measure(raw, ["small"], parts, range(7, 8), 0.3)
    rows = read(raw)
    assert [row["part"] for row in rows] == [WHOLE, "auto.ldm"]
    assert "search.anneal.variants" not in rows[0]["at_work"].split()
    assert rows[0]["objective"] == "max-rank"
    assert 0 < float(rows[0]["bound_s"]) <= float(rows[0]["value_s"])
    monkeypatch.setattr(measuring, "_run", None)
    measure(raw, ["small"], parts, range(7, 8), 0.3)
    assert read(raw) == rows


def test_effects_of_a_part() -> None:
    """What gets worse without a part is what it brings."""
    values = [1.01, 1.02, 1.03, 1.02, 1.01, 1.02, 1.0]
    found = Effect.of([math.log(value) for value in values])
    assert (found.pairs, found.better, found.worse) == (7, 6, 0)
    assert found.median == pytest.approx(100 * math.log(1.02))
    assert found.low < found.mean < found.high
    assert found.chance == pytest.approx(2 / 2**6)
    assert found.verdict == "brings"


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([0.0] * 12, "nothing"),
        ([0.0002, -0.0002] * 6, "nothing"),
        ([-0.01] * 6, "costs"),
        ([0.01, -0.01] * 6, "unclear"),
        ([0.01] * 5, "unclear"),
    ],
)
def test_verdicts(ratios: list[float], verdict: str) -> None:
    """Few pairs, or signs as chance has them, decide nothing."""
    assert Effect.of(ratios).verdict == verdict


def row(part: str, value_s: str, seed: int = 1, limit: str = "2.0") -> dict[str, str]:
    return {
        "family": "ssd",
        "limit_s": limit,
        "seed": str(seed),
        "part": part,
        "value_s": value_s,
        "bound_s": "1.0" if part == WHOLE else "0.5",
    }


def test_runs_are_paired_with_the_whole_of_the_same_problem_and_limit() -> None:
    """Runs without a partner are left out; no plan counts as much as a factor of 2."""
    rows = [
        *(row(WHOLE, "2.0"), row("a", "2.2"), row("a", "9.0", seed=3)),
        *(row(WHOLE, "", seed=2), row("a", "", seed=2), row("b", "1.0", seed=2)),
        *(row(WHOLE, "2.0", limit="8.0"), row("a", "2.2", limit="8.0")),
    ]
    assert effects(rows)["a", "ssd"].pairs == 3
    plan, gap = effects(rows, "plan", 8.0), effects(rows, "gap", 8.0)
    assert plan["a", "ssd"].mean == pytest.approx(100 * math.log(1.1))
    assert gap["a", "ssd"].mean == pytest.approx(100 * math.log(2.0))
    assert effects(rows)["b", "ssd"].mean == pytest.approx(-100 * math.log(2.0))
    assert "| a | ssd | 8 | 1 | 1 | 0 | +9.53 |" in full(rows)


def test_the_page_gets_the_short_table(tmp_path: Path) -> None:
    """What is between the markers is replaced; sure effects are bold."""
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- parts: written by make bench-parts -->\nold\n"
        "<!-- end of parts -->\nafter\n"
    )
    rows = [
        row(part, value, seed)
        for seed in range(6)
        for part, value in ((WHOLE, "1.0"), ("a.b", "1.05"))
    ]
    write(rows, page)
    write(rows, page)
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("after\n")
    assert text.count("| `a.b` | **+4.9** (6) |") == 1
    assert "old" not in text
    assert short(rows) in text
