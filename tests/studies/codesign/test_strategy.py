"""Co-designs as whole studies: run, resumed, in any order, and read again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.studies import load_study, run
from shardplan.studies.codesign.strategy import optimised_points
from shardplan.studies.journal import Journal
from shardplan.studies.pools.local import LocalPool
from shardplan.studies.session import Session
from tests.studies import quick
from tests.studies.codesign import small

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@pytest.mark.parametrize("text", [small.ONE, small.TWO])
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path: Path, text: str) -> None:
    """It may have been killed anywhere: within a batch, or within a line."""
    path = quick.write(tmp_path, text)
    whole = tmp_path / "whole"
    run(path, whole)
    journal = (whole / "journal.jsonl").read_bytes()
    for share in (0.1, 0.6):
        torn = tmp_path / f"torn{share}"
        shutil.copytree(whole, torn)
        (torn / "journal.jsonl").write_bytes(journal[: int(len(journal) * share)])
        (torn / "results.csv").unlink()
        run(path, torn)
        assert quick.results(torn) == quick.results(whole)


def test_read_again(tmp_path: Path) -> None:
    """Whoever loads the folder sees the same points in the order of their choice."""
    found = run(quick.write(tmp_path, small.TWO), tmp_path / "out")
    again = load_study(tmp_path / "out")
    assert [row.values for row in again.rows] == [row.values for row in found.rows]
    assert [row.point.number for row in again.rows] == list(range(20))
    assert len({row.point.id for row in again.rows}) == 20
    assert found.counts.keys() == {"feasible", "infeasible"}


class Backwards:
    """A pool whose last task is the first to end."""

    def __init__(self, *arguments: Any) -> None:
        self._pool = LocalPool(*arguments)

    def results(self, tasks: Iterable[Any]) -> Iterator[Any]:
        yield from reversed(list(self._pool.results(tasks)))

    def close(self) -> None:
        self._pool.close()


def test_the_order_of_workers_does_not_matter(tmp_path: Path) -> None:
    """The optimiser is told in the order in which it proposed."""
    spec = small.spec(tmp_path)
    found = [
        optimised_points(Session(spec, (), Journal(), None, pool))
        for pool in (LocalPool, Backwards)
    ]
    assert [r.values for r in found[0]] == [r.values for r in found[1]]


def test_a_larger_number_of_points_goes_on(tmp_path: Path) -> None:
    """Whole batches stay as they are."""
    run(quick.write(tmp_path, small.TWO), tmp_path / "out")
    more = small.TWO.replace("points = 20", "points = 24")
    rows = run(quick.write(tmp_path, more), tmp_path / "out").rows
    first = run(quick.write(tmp_path, small.TWO)).rows
    assert len(rows) == 24
    assert [row.values for row in rows[:20]] == [row.values for row in first]


def test_the_journal_is_not_enough_yet(tmp_path: Path) -> None:
    """A session that runs nothing ends where the journal does."""
    spec = small.spec(tmp_path)
    journal = Journal()
    optimised_points(Session(spec, (), journal, None, LocalPool))
    lost = list(journal.by_id)[9]
    del journal.by_id[lost]
    session = Session(spec, (), journal)
    assert len(optimised_points(session)) == 11  # of the third batch all but one
    assert [point.id for point in session.points if not session.is_known(point)] == [
        lost
    ]


def test_only_is_for_axes(tmp_path: Path) -> None:
    path = quick.write(tmp_path, small.TWO)
    with pytest.raises(InputError, match="chooses its points itself"):
        run(path, only=["hosts=1"])


def test_best_and_front_go_by_the_objectives(tmp_path: Path) -> None:
    """The first is the cheapest, and on the front of both."""
    study = run(quick.write(tmp_path, small.TWO))
    prices = [r.values["cost_per_hour"] for r in study.rows if r.values["feasible"]]
    best = study.best()
    assert best is not None
    assert best.values["cost_per_hour"] == min(prices)
    front = study.pareto()
    assert front.rows[0].values["cost_per_hour"] == min(prices)
    rates = [row.values["throughput_samples_per_s"] for row in front.rows]
    assert rates == sorted(set(rates))
