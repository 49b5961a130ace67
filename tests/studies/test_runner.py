"""Running, resuming and reading studies in one process."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

import shardplan.studies.pools.workshop
from shardplan.errors import InputError, LimitError, PluginError
from shardplan.studies import load_study, run
from shardplan.studies.journal import Journal
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


class Seen:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.known = self.points = self.ran = 0

    def planned(self, points: int, known: int) -> None:
        self.points, self.known = points, known

    def finished(self, row: Any) -> None:
        self.ran += 1


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return quick.write(tmp_path)


def ran(study: Path, folder: Path, **options: Any) -> int:
    """Run a study and return how many points were run."""
    seen = Seen()
    run(study, folder, observer=seen, **options)
    return seen.ran


def test_all_points_have_a_row(study: Path, tmp_path: Path) -> None:
    """Those that fit nowhere as well, with the tier and the tables."""
    found = run(study, tmp_path / "out")
    assert found.counts == {"feasible": 6, "infeasible": 6}
    assert [row.point.number for row in found.rows] == list(range(12))
    assert not found.missing
    short = found.rows[1].values
    assert short["feasible"] is False
    assert short["shortfall_tier"] in ("hbm", "ddr", "ssd", "any")
    assert short["shortfall_bytes"] > 0
    assert short["shortfall_tables"] == "large, small"
    assert short["step_time_s"] is None


def test_nothing_is_kept_without_a_folder(study: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert len(run(study).rows) == 12
    assert sorted(tmp_path.iterdir()) == before


def test_finished_points_are_not_run_again(study: Path, tmp_path: Path) -> None:
    """The second run of a study runs nothing, and leaves the same bytes."""
    out = tmp_path / "out"
    assert ran(study, out) == 12
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert ran(study, out) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_edit_runs_only_what_changed(study: Path, tmp_path: Path) -> None:
    """A new value of an axis, another order, other prices."""
    out = tmp_path / "out"
    run(study, out)
    text = quick.STUDY.replace("[1000, 2000, 4000]", "[8000, 4000, 1000]")
    text += '[prices."cluster.json"]\nper_host_hour = 3.0\n'
    study.write_text(text, encoding="utf-8")
    assert ran(study, out) == 4
    assert run(study, tmp_path / "anew").counts == load_study(out).counts
    assert quick.results(out) == quick.results(tmp_path / "anew")


def test_a_changed_input_is_run_again(study: Path, tmp_path: Path) -> None:
    """The name of a file says nothing: what it holds counts."""
    out = tmp_path / "out"
    run(study, out)
    cluster = tmp_path / "cluster.json"
    text = cluster.read_text(encoding="utf-8").replace("10000000000.0", "20000000000.0")
    cluster.write_text(text, encoding="utf-8")
    assert ran(study, out) == 12


def test_a_moved_folder_goes_on(study: Path, tmp_path: Path) -> None:
    """It has the inputs, also where the files that the study names are gone."""
    out, moved = tmp_path / "out", tmp_path / "elsewhere" / "results"
    run(study, out, only=["hosts=1"])
    moved.parent.mkdir()
    out.rename(moved)
    for name in ("workload.json", "cluster.json", "software.json"):
        (tmp_path / name).unlink()
    before = (moved / "study.toml").read_bytes()
    assert ran(moved, moved) == 6
    assert len(load_study(moved).rows) == 12
    assert (moved / "study.toml").read_bytes() == before


def test_a_folder_without_results_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results of a study"):
        run(tmp_path, tmp_path / "out")


def test_points_that_mean_the_same_are_run_once(study: Path, tmp_path: Path) -> None:
    """The same inputs by another path have the same key."""
    out = tmp_path / "out"
    run(study, out)
    lines = len((out / "journal.jsonl").read_bytes().splitlines())
    old = '"workload.global_batch_size" = [1000, 2000, 4000]'
    assert old in quick.STUDY
    text = quick.STUDY.replace(old, '"workload.global_batch_size" = ["1 k", "2 k"]')
    study.write_text(text, encoding="utf-8")

    def fail(resolved: Any) -> None:
        pytest.fail("a known point is run")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shardplan.studies.pools.workshop, "evaluate_point", fail)
        assert run(study, out).counts == {"feasible": 4, "infeasible": 4}
    assert len((out / "journal.jsonl").read_bytes().splitlines()) == lines + 8


def test_only_some_points(study: Path, tmp_path: Path) -> None:
    """Values of one axis add up, axes are met together; the rest is missing."""
    out = tmp_path / "out"
    only = ["hosts=2", "workload.global_batch_size=1000"]
    only += ["workload.global_batch_size=4_000"]
    found = run(study, out, only=only)
    assert [row.point.number for row in found.rows] == [6, 7, 10, 11]
    assert len(found.missing) == 8
    assert len(load_study(out).missing) == 8


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("host=2", "did you mean 'hosts'"),
        ("hosts", "must be AXIS=VALUE"),
        ("hosts=3", "no point has this value; there are 1, 2"),
    ],
)
def test_only_what_there_is(study: Path, text: str, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        run(study, only=[text])


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"workers": "2"}, "workers = '2': must be a whole number from 1 to 1024"),
        ({"workers": 2000}, "workers = 2000: must be a whole number from 1"),
        ({"directory": 5}, "directory = 5: must be the path of a folder"),
    ],
)
def test_wrong_arguments(study: Path, arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        run(study, **arguments)


def test_one_value_of_an_axis_may_be_text(study: Path) -> None:
    """`only` takes a single condition as well as several."""
    assert {row.values["hosts"] for row in run(study, only="hosts=1").rows} == {1}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"workers": 2}, "workers"), ({"scheduler": "tcp://127.0.0.1:1"}, "scheduler")],
)
def test_dask_that_is_missing_is_said_first(
    study: Path,
    tmp_path: Path,
    arguments: dict[str, Any],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No folder is begun for a run that cannot be."""
    monkeypatch.setattr("shardplan.studies.runner.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=rf"{name}: .*shardplan\[study\]"):
        run(study, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_no_workers_are_refused(study: Path) -> None:
    """A pool without any would wait for ever."""
    with pytest.raises(InputError, match="workers = 0: must be a whole number from 1"):
        run(study, workers=0)


def test_fresh_keeps_what_others_wrote(study: Path, tmp_path: Path) -> None:
    """Other programs have journals of this name."""
    theirs = tmp_path / "out" / "journal.jsonl"
    theirs.parent.mkdir()
    theirs.write_text('{"op_code": 0}\n', encoding="utf-8")
    for fresh in (False, True):
        with pytest.raises(InputError, match=r"has files, such as journal\.jsonl"):
            run(study, theirs.parent, fresh=fresh)
    assert theirs.read_text(encoding="utf-8") == '{"op_code": 0}\n'


def test_fresh_forgets_a_damaged_journal(study: Path, tmp_path: Path) -> None:
    """Folders of ours are known by the inputs beside it."""
    out = tmp_path / "out"
    run(study, out)
    (out / "journal.jsonl").write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="is no journal"):
        run(study, out)
    assert ran(study, out, fresh=True) == 12


def test_fresh_forgets_everything(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(study, out)
    assert ran(study, out, fresh=True) == 12


def test_results_need_nothing_else(study: Path, tmp_path: Path) -> None:
    """A folder can be read where the files of the study are gone."""
    out = tmp_path / "out"
    found = run(study, out)
    for path in tmp_path.glob("*.*"):
        path.unlink()
    again = load_study(out)
    assert [row.values for row in again.rows] == [row.values for row in found.rows]
    assert again.spec.file == found.spec.file


def raising(error: Exception, times: int = 1) -> Any:
    """Return an evaluation whose first points go wrong."""
    evaluate = shardplan.studies.evaluate.solve_point
    left = [error] * times

    def point(resolved: Any) -> Any:
        if left:
            raise left.pop()
        return evaluate(resolved)

    return point


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PluginError("solver x of y", ["is broken"]), "solver x of y: is broken"),
        (RuntimeError("two\nlines"), "RuntimeError: two; lines"),
        (MemoryError("none left"), "MemoryError: none left"),
    ],
)
def test_what_says_nothing_of_a_point_is_tried_again(
    error: Exception,
    message: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A plug-in may be repaired, memory may be free: the next run needs no option."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("shardplan.studies.evaluate.solve_point", raising(error))
        found = run(study, out)
    assert found.counts == {"infeasible": 6, "feasible": 5}
    assert [missing.number for missing in found.missing] == [0]
    assert found.lost == {0: message}
    assert ran(study, out) == 1
    assert not load_study(out).missing


def test_an_input_that_is_refused_is_a_result(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same inputs would be refused again."""
    out = tmp_path / "out"
    refused = raising(InputError.single("workload", "tables", None, "are too odd"))
    monkeypatch.setattr("shardplan.studies.evaluate.solve_point", refused)
    found = run(study, out)
    assert found.counts == {"error": 1, "infeasible": 6, "feasible": 5}
    assert "are too odd" in found.rows[0].values["message"]
    assert ran(study, out) == 0


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_ctrl_c_keeps_what_is_finished(
    number: int, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The point in flight has no result, and the next run goes on with it."""
    out = tmp_path / "out"
    evaluate = shardplan.studies.evaluate.solve_point
    left = [True, False, False, False, False]

    def point(resolved: Any) -> Any:
        if left.pop():
            os.kill(os.getpid(), number)
        return evaluate(resolved)

    with monkeypatch.context() as patch:
        patch.setattr("shardplan.studies.evaluate.solve_point", point)
        with pytest.raises(LimitError, match="of 12 points have a result") as caught:
            run(study, out)
    assert caught.value.interrupted
    assert len(load_study(out).rows) == 4
    assert len((out / "results.csv").read_text(encoding="utf-8").splitlines()) == 5
    assert ran(study, out) == 8
    run(study, tmp_path / "anew")
    assert quick.results(out) == quick.results(tmp_path / "anew")


def test_a_second_run_is_told_of_the_first(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def point(resolved: Any) -> Any:
        with pytest.raises(InputError, match=f"process {os.getpid()} on "):
            run(study, out)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shardplan.studies.evaluate.solve_point", point)
        with pytest.raises(LimitError):
            run(study, out)
    assert ran(study, out) == 12


def test_a_journal_of_another_version_is_not_used(study: Path, tmp_path: Path) -> None:
    """Its points are run again, and it is said whose they were."""
    out = tmp_path / "out"
    out.mkdir()
    old = b'{"journal": 1, "shardplan": "0.1.0"}\n'
    (out / "journal.jsonl").write_bytes(old)
    assert ran(study, out) == 12
    content = (out / "journal.jsonl").read_bytes()
    assert content.startswith(old)
    assert content.count(b'"journal"') == 2
    assert Journal.read(out / "journal.jsonl").others == {}


def test_points_that_fit_nowhere_get_no_advice(study: Path) -> None:
    """Trying what would help costs ten times as much as the point."""
    message = run(study, only=["hosts=1"]).rows[1].values["message"]
    assert message.startswith("infeasible: ")
    assert "would do" not in message
