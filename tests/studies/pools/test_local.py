"""Points in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shardplan.studies.expand import expand
from shardplan.studies.pools.local import LocalPool
from shardplan.studies.pools.task import task_of
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


def test_an_outcome_for_each_task(tmp_path: Path) -> None:
    """In the order of the tasks, one by one."""
    spec = quick.spec(tmp_path)
    tasks = [task_of(point) for point in expand(spec)[:3]]
    batches = list(LocalPool(spec).results(tasks))
    assert [[outcome["id"] for outcome in batch] for batch in batches] == [
        [task["id"]] for task in tasks
    ]
    assert json.loads(json.dumps(batches)) == batches


def test_known_keys_are_not_run(tmp_path: Path) -> None:
    """Whoever knows the key has the values."""
    spec = quick.spec(tmp_path)
    task = task_of(expand(spec)[0])
    [[first]] = LocalPool(spec).results([task])
    [[second]] = LocalPool(spec, {first["key"]}).results([task])
    assert first["values"] is not None
    assert second == {**first, "values": None}
