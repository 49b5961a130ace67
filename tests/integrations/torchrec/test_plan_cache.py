"""Plans in a folder: found again, and survived whatever else lies there."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.integrations.torchrec import PlanCache, ShardplanPlanner
from shardplan.plans.plan import Plan
from tests.integrations.torchrec import caching, processes
from tests.integrations.torchrec.test_import import bags, torchrec_topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = bags("t0", "t1", num_embeddings=1000)


def planner(folder: Path, **options: Any) -> ShardplanPlanner:
    """Make a planner with a cache."""
    given = {"batch_size": 64, "timeout_seconds": 2, "gap": 0.5, **options}
    return ShardplanPlanner(torchrec_topology(), plan_cache=folder, **given)


def entry(folder: Path) -> Path:
    """Return the only entry of a cache."""
    (found,) = folder.iterdir()
    return found


def test_the_same_job_is_planned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing is searched, and the plan is the same."""
    first, second = (
        planner(tmp_path / "new" / "plans"),
        planner(tmp_path / "new" / "plans"),
    )
    plan = first.plan(MODEL)
    assert first.cache_hit is False
    monkeypatch.setattr("shardplan.integrations.torchrec.planner.solve", None)
    assert str(second.plan(MODEL)) == str(plan)
    assert second.cache_hit is True
    assert second.result is not None
    assert second.result.verdict.violations == ()
    assert second.result.remarks[0].startswith("read from ")
    assert len(second.get_selected_options()) == 2


def test_another_job_is_another_entry(tmp_path: Path) -> None:
    """Rows count, where TorchRec's hash of a request leaves them out."""
    for rows in (1000, 2000):
        again = planner(tmp_path)
        again.plan(bags("t0", "t1", num_embeddings=rows))
        assert again.cache_hit is False
    assert len(list(tmp_path.iterdir())) == 2


def test_an_entry_is_a_plan_file(tmp_path: Path) -> None:
    """Named by the planner's key."""
    made = planner(tmp_path)
    made.plan(MODEL)
    assert entry(tmp_path).name == f"{made.key(MODEL)}.json"
    assert made.result is not None
    assert Plan.load(entry(tmp_path)) == made.result.plan


def test_without_a_cache_there_is_no_hit() -> None:
    """It is None, which is neither."""
    plain = ShardplanPlanner(torchrec_topology(), batch_size=64, timeout_seconds=2)
    plain.plan(MODEL)
    assert plain.cache_hit is None


def _overfill(path: Path) -> None:
    """Put both tables on one rank of less memory than they take."""
    data = json.loads(path.read_text())
    data["tables"][0]["blocks"][0]["ranks"] = [99]
    path.write_text(json.dumps(data))


def _swap(path: Path) -> None:
    """Put a plan for another batch there."""
    other = path.parent.parent / "other"
    planner(other, batch_size=32).plan(MODEL)
    entry(other).replace(path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (_cut, "JSON"),
    (lambda path: path.write_bytes(b""), "JSON"),
    (lambda path: path.write_bytes(b"\xff\xfe\x00plan"), "UTF-8"),
    (lambda path: path.write_text("[1, 2]"), "json"),
    (lambda path: path.write_text('{"rows": 3}'), "json"),
    (_swap, "other inputs"),
    (_overfill, "does not hold"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_damaged_entry_is_replaced(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
    reason: str,
) -> None:
    """With a warning that says what is wrong; the plan is made anew."""
    folder = tmp_path / "plans"
    first, second, third = (planner(folder) for _ in range(3))
    plan = first.plan(MODEL)
    damage(entry(folder))
    with caplog.at_level(logging.WARNING, "shardplan.integrations.torchrec"):
        assert str(second.plan(MODEL)) == str(plan)
    (message,) = [r.getMessage() for r in caplog.records if "cached" in r.getMessage()]
    assert reason in message
    assert entry(folder).name in message
    assert second.cache_hit is False
    third.plan(MODEL)
    assert third.cache_hit is True


def test_what_is_no_file_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder or a pipe in an entry's place: the plan is made, and nobody waits."""
    for make in (os.mkdir, os.mkfifo):
        made = planner(tmp_path)
        path = PlanCache(tmp_path).path(made.key(MODEL))
        make(path)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "shardplan.integrations.torchrec"):
            made.plan(MODEL)
        assert "is not a file" in caplog.text
        assert made.cache_hit is False
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_link_to_nowhere_is_replaced(tmp_path: Path) -> None:
    """It is an entry that cannot be read."""
    made = planner(tmp_path / "plans")
    path = PlanCache(tmp_path / "plans").path(made.key(MODEL))
    path.parent.mkdir()
    path.symlink_to(tmp_path / "nothing")
    made.plan(MODEL)
    again = planner(tmp_path / "plans")
    again.plan(MODEL)
    assert again.cache_hit is True


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan is there all the same."""

    def refuse(*_: object) -> None:
        raise InputError.single("x.json", "", None, "cannot be written: disk full")

    monkeypatch.setattr(Plan, "save", refuse)
    with caplog.at_level(logging.WARNING, "shardplan.integrations.torchrec"):
        assert planner(tmp_path).plan(MODEL)
    assert "a plan is not cached: - x.json: cannot be written: disk full" in caplog.text


def test_a_folder_that_cannot_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in its place, on whichever rank: the plan is there, with a warning."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "plans"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "shardplan.integrations.torchrec"):
            assert planner(folder).plan(MODEL)
        assert "a plan is not cached: " in caplog.text
    assert (tmp_path / "file").read_text() == ""


def test_the_folder_is_made_for_the_first_plan(tmp_path: Path) -> None:
    """A rank that only receives plans makes none, and cannot fail for it."""
    made = planner(tmp_path / "deep" / "plans")
    assert not (tmp_path / "deep").exists()
    made.plan(MODEL)
    assert entry(tmp_path / "deep" / "plans").is_file()


def at_once(folder: Path, count: int, first_seed: int) -> list[dict[str, Any]]:
    """Plan in several processes at the same time, each with its own hash seed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(processes.ROOT),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, caching.__file__, str(folder)],
            env={**environment, "PYTHONHASHSEED": str(first_seed + number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    told = []
    for process in started:
        out, err = process.communicate(timeout=processes.TIMEOUT_S)
        assert process.returncode == 0, err[-2000:]
        told.append(json.loads(out.splitlines()[-1]))
    return told


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """All get a plan and one key, whatever their hash seed; one whole entry stays.

    Those that come later take it, and all of them have the same plan.
    """
    first = at_once(tmp_path, 3, first_seed=0)
    (key,) = {told["key"] for told in first}
    assert entry(tmp_path).name == f"{key}.json"
    later = at_once(tmp_path, 2, first_seed=3)
    assert [told["hit"] for told in later] == [True, True]
    assert {told["key"] for told in later} == {key}
    assert len({told["plan"] for told in later}) == 1
    assert {told["plan"] for told in later} <= {told["plan"] for told in first}


def test_readers_never_see_half_an_entry(tmp_path: Path) -> None:
    """While others write it again and again, each of many reads finds a whole plan."""
    made = planner(tmp_path)
    made.plan(MODEL)
    assert made.result is not None
    cache, plan = PlanCache(tmp_path), made.result.plan
    code = (
        "import sys\n"
        "from shardplan.integrations.torchrec import PlanCache\n"
        "from shardplan.plans.plan import Plan\n"
        "cache, plan = PlanCache(sys.argv[1]), Plan.load(sys.argv[2])\n"
        "for _ in range(100): cache.put(sys.argv[3], plan)\n"
    )
    source = tmp_path / "source"
    plan.save(source)
    environment = {**os.environ, "PYTHONPATH": str(processes.ROOT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(source), "k"],
            env=environment,
        )
        for _ in range(2)
    ]
    cache.put("k", plan)
    reads = 0
    while any(writer.poll() is None for writer in writers):
        assert cache.get("k", plan.inputs) is not None
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 0
    assert cache.get("k", plan.inputs) is not None
