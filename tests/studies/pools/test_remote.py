"""What a worker does with a task, without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.studies.expand import expand
from shardplan.studies.packing import to_wire
from shardplan.studies.pools import remote
from shardplan.studies.pools.local import LocalPool
from shardplan.studies.pools.task import task_of
from shardplan.version import VERSION
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    remote._workshops.clear()


def test_the_outcome_is_that_of_this_process(tmp_path: Path) -> None:
    spec = quick.spec(tmp_path)
    for point in expand(spec)[:2]:
        task = task_of(point)
        [[expected]] = LocalPool(spec).results([task])
        found = remote.run_tasks(to_wire(spec, ()), "digest", [task], VERSION)
        assert found == [expected]


def test_known_keys_travel_with_the_study(tmp_path: Path) -> None:
    spec = quick.spec(tmp_path)
    task = task_of(expand(spec)[0])
    [[first]] = LocalPool(spec).results([task])
    content = to_wire(spec, [first["key"]])
    found = remote.run_tasks(content, "digest", [task], VERSION)
    assert found == [{**first, "values": None}]


def test_another_release_runs_nothing(tmp_path: Path) -> None:
    """It says which it is; the study is not even read."""
    task = task_of(expand(quick.spec(tmp_path))[0])
    assert remote.run_tasks(b"", "", [task], "9.9") == VERSION


def test_points_of_one_trip_are_in_order(tmp_path: Path) -> None:
    """Each has its own outcome."""
    spec = quick.spec(tmp_path)
    tasks = [task_of(point) for point in expand(spec)[:3]]
    found = remote.run_tasks(to_wire(spec, ()), "digest", tasks, VERSION)
    assert isinstance(found, list)
    assert [one["id"] for one in found] == [task["id"] for task in tasks]
