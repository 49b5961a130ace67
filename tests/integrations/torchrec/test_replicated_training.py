"""Plans for sharding groups train as copies of the unsharded model, averaged alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.exporters import export
from shardplan.integrations.torchrec import read_workload
from shardplan.records.sharding import ReplicaLayout
from tests.integrations.torchrec import processes, replicated_training
from tests.integrations.torchrec.instances import cluster, inputs_of, place, plan_of

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

SCRIPT = Path(replicated_training.__file__)
FIRST = (
    *("data_parallel", "row_wise", "column_wise", "table_wise"),
    *("row_wise", "column_wise"),
    *("row_wise", "column_wise", "table_wise"),
)
SECOND = (
    *("row_wise", "table_row_wise", "grid_shard", "column_wise"),
    *("table_row_wise", "data_parallel"),
    *("table_wise", "row_wise", "column_wise"),
)
"""Sharding types of the tables of the model, in their order."""
INSIDE, ACROSS = ReplicaLayout.INSIDE, ReplicaLayout.ACROSS
CASES = {
    "inside_sgd": (2, INSIDE, 1, FIRST),
    "inside_sgd_hosts": (2, INSIDE, 1, SECOND),
    "inside_adagrad": (2, INSIDE, 2, SECOND),
    "across_sgd": (2, ACROSS, 1, FIRST),
    "across_sgd_hosts": (4, ACROSS, 1, SECOND),
    "across_adagrad": (4, ACROSS, 2, FIRST),
}
"""Hosts of the 8 ranks, layout of two groups of 4, steps between syncs, and types."""
GROUPS = {INSIDE: [[0, 2, 4, 6], [1, 3, 5, 7]], ACROSS: [[0, 1, 2, 3], [4, 5, 6, 7]]}
ERROR = 1e-5


def make_plan(name: str) -> Plan:
    """Place the tables of the model, each of them somewhere else."""
    hosts, layout, sync_every, kinds = CASES[name]
    whole = cluster(hosts, 8 // hosts, kind="cpu")
    topology = whole.sharding_group(4, layout, sync_every)
    model = replicated_training.Model("meta")
    inputs = inputs_of(
        read_workload(model, batch_size=8, compute_device="cpu"), topology
    )
    by_host = ("table_row_wise", "grid_shard")
    return plan_of(
        inputs,
        *(
            place(
                inputs,
                index,
                kind,
                start=index % (topology.num_hosts if kind in by_host else 4),
                parts=4 if kind == "table_column_wise" else 2,
            )
            for index, kind in enumerate(kinds)
        ),
    )


Result = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Train with all plans; return each export and every rank's findings."""
    folder = tmp_path_factory.mktemp("plans")
    for name in CASES:
        data = export(make_plan(name), "torchrec")
        (folder / f"{name}.json").write_text(json.dumps(data))
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(processes.ROOT)}
    done = subprocess.run(
        [sys.executable, "-O", str(SCRIPT), str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return {
        name: (
            json.loads((folder / f"{name}.json").read_text()),
            [
                json.loads((folder / f"{name}.rank{rank}.result").read_text())
                for rank in range(8)
            ],
        )
        for name in CASES
    }


@pytest.mark.parametrize("name", CASES)
def test_it_trains_like_averaged_copies(trained: dict[str, Result], name: str) -> None:
    """Losses of four steps, and the weights that every rank has after them."""
    for found in trained[name][1]:
        assert found["loss_error"] < ERROR
        assert found["weight_error"] < ERROR


@pytest.mark.parametrize("name", CASES)
def test_groups_hold_the_shards_of_the_plan(
    trained: dict[str, Result], name: str
) -> None:
    """The ranks of each group, in order, have what the plan has for 0 to 3."""
    data, ranks = trained[name]
    assert {tuple(found["group"]) for found in ranks} == set(
        map(tuple, GROUPS[CASES[name][1]])
    )
    for tables in data["modules"].values():
        for table, entry in tables.items():
            if "shards" not in entry:
                continue
            for rank, found in enumerate(ranks):
                planned = [
                    [*shard["offset"], *shard["size"]]
                    for shard in entry["shards"]
                    if shard["rank"] == found["group"].index(rank)
                ]
                assert sorted(found["places"].get(table, [])) == sorted(planned)
