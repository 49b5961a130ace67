"""A live model goes from one plan to another and trains on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import Fault, InputError
from shardplan.exporters import export
from shardplan.exporters.torchrec_reshard import export as export_reshard
from shardplan.integrations.torchrec import read_workload
from shardplan.integrations.torchrec.resharding import _Found, _require_agreement
from shardplan.records.workload import Optimizer
from tests.integrations.torchrec import moving, processes, training
from tests.integrations.torchrec.instances import cluster, inputs_of, place, plan_of

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

SCRIPT = Path(moving.__file__)
WORLD = 4
ERROR = 1e-5
CASES = ("some-sgd", "some-rowwise_adagrad", "all-rowwise_adagrad")
Place = tuple[str, tuple[int, ...]]
OLD: tuple[Place, ...] = (
    ("table_wise", (0,)),
    ("table_wise", (1,)),
    ("row_wise", (0, 1, 2, 3)),
    ("column_wise", (0, 1)),
)
NEW = {
    "some": (("table_wise", (3,)), *OLD[1:3], ("column_wise", (3, 2))),
    "all": (
        ("table_wise", (2,)),
        ("table_wise", (2,)),
        OLD[2],
        ("column_wise", (2, 3)),
    ),
}
"""Sharding types and ranks; the second leaves ranks 0 and 1 with rows of one table."""
STAYS: Place = ("column_wise", (3, 0))
MOVED = {"some": 7 * 16 + 50 * 16, "all": 7 * 16 + 101 * 16 + 50 * 16}
"""Elements of tables that change ranks."""
MOVED_ROWS = {"some": 7 + 50 * 2, "all": 7 + 101 + 50 * 2}
"""Rows of their shards: two of the table whose columns are cut in two."""


def make_plan(places: tuple[Place, ...], optimizer: str = "sgd") -> Plan:
    """Place the four tables of the DLRM on two hosts of two CPUs."""
    work = read_workload(
        training.make_model("meta"), batch_size=8, compute_device="cpu"
    ).replace(optimizer=Optimizer(optimizer))
    inputs = inputs_of(work, cluster(2, 2, kind="cpu"))
    placements = []
    for index, (kind, ranks) in enumerate(places):
        usual = place(inputs, index, kind)
        blocks = usual.blocks
        if kind != "row_wise":
            blocks = tuple(
                block.replace(ranks=(rank,))
                for block, rank in zip(blocks, ranks, strict=True)
            )
        placements.append(usual.replace(blocks=blocks))
    return plan_of(inputs, *placements)


def write_files(folder: Path, case: str) -> dict[str, Any]:
    """Write plans and ways between them; return the one that the job takes."""
    name, _, optimizer = case.partition("-")
    old, new, stays, other = (
        make_plan(places, optimizer)
        for places in (
            OLD,
            NEW[name],
            (*NEW[name][:3], STAYS),
            (OLD[1], *OLD[1:]),
        )
    )
    way = export_reshard(new, old)
    files = {
        "old": export(old, "torchrec"),
        "way": way,
        "back": export_reshard(old, new),
        "nothing": export_reshard(new, new),
        "other": export_reshard(old, other),
        "stays": export_reshard(stays, new),
    }
    folder.mkdir()
    for stem, data in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(data))
    (folder / "torn.json").write_text(json.dumps(way)[:-10])
    return way


Ranks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def moved(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[dict[str, Any], Ranks]]:
    """Run all cases in one job; return the file and every rank's findings."""
    folder = tmp_path_factory.mktemp("plans")
    ways = {case: write_files(folder / case, case) for case in CASES}
    done = processes.run(SCRIPT, str(folder), world=WORLD, local=2, PYTHONHASHSEED="7")
    failed = [process.stderr[-3000:] for process in done if process.returncode]
    assert not failed, failed[0]
    results = {
        case: [
            json.loads((folder / case / f"{rank}.result").read_text())
            for rank in range(WORLD)
        ]
        for case in CASES
    }
    return {case: (ways[case], results[case]) for case in CASES}


Moved = dict[str, tuple[dict[str, Any], Ranks]]


@pytest.mark.parametrize("case", CASES)
def test_it_trains_on_like_the_unsharded_model(moved: Moved, case: str) -> None:
    """Weights agree before a step on the new ranks, and after it: so does the state.

    The learning rate of the tables had been changed before, and stays changed.
    """
    for found in moved[case][1]:
        assert found["error_at_once"] < ERROR
        assert found["error_after"] < ERROR


@pytest.mark.parametrize("case", CASES)
def test_shards_are_where_the_new_plan_says(moved: Moved, case: str) -> None:
    """Every rank holds exactly the shards that have come to it."""
    way, ranks = moved[case]
    for table, change in way["changes"][training.PATH].items():
        for rank, found in enumerate(ranks):
            planned = [
                [*shard["offset"], *shard["size"]]
                for shard in change["shards"]
                if shard["to"] == rank
            ]
            assert found["places"].get(table, []) == planned


@pytest.mark.parametrize("case", CASES)
def test_bytes_are_those_of_rows_and_state(moved: Moved, case: str) -> None:
    """fp32 rows; row-wise Adagrad has a number for each row of a shard."""
    name, _, optimizer = case.partition("-")
    state = MOVED_ROWS[name] if optimizer == "rowwise_adagrad" else 0
    for found in moved[case][1]:
        assert found["moved_bytes"] == 4 * (MOVED[name] + state)


REFUSED = {
    "applied before": "t0: is on its new ranks already: the file was applied before",
    "another plan": "t0: is on ranks [3]; the file starts from ranks [1]",
    "missing on rank 2": "rank 2: ",
    "other on rank 2": "reshard: digest: ranks have different files",
    "edited": "reshard: digest: the file was edited",
    "a sharding plan": "old.json: format: is no change of a plan",
    "no json": "torn.json",
    "shard stays": "t3: shards stay on ranks [3] while others move, and gloo",
    "bare module": "model: must be a DistributedModelParallel",
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_all_ranks_refuse(moved: Moved, wrong: str) -> None:
    """What is wrong on one rank is said on all of them, and weights stay."""
    for case in ("some-sgd", "some-rowwise_adagrad"):
        for found in moved[case][1]:
            assert REFUSED[wrong] in found["refused"][wrong]
            assert found["refused"][wrong] == moved[case][1][0]["refused"][wrong]
            assert found["error_at_the_end"] < ERROR


def found_on(**changes: Any) -> _Found:
    """What a rank says that has found nothing wrong."""
    return _Found("same", 1)._replace(**changes)


def test_ranks_must_hash_alike() -> None:
    """Messages of gloo have hashes of texts for tags."""
    with pytest.raises(
        InputError, match="start all ranks with the same PYTHONHASHSEED"
    ):
        _require_agreement([found_on(), found_on(hash_seed=2)])
    _require_agreement([found_on(), found_on()])


def test_faults_name_their_ranks() -> None:
    """One that all ranks have is said as it is."""
    everywhere, here = Fault("a", "", "", "wrong"), Fault("b", "", "", "worse")
    with pytest.raises(InputError) as caught:
        _require_agreement(
            [
                found_on(faults=(everywhere,)),
                found_on(faults=(everywhere, here), digest=""),
            ]
        )
    assert str(caught.value) == "- a: wrong\n- rank 1: b: worse"
