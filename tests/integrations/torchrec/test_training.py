"""Exported plans train a small DLRM as the unsharded model trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from shardplan.exporters import export
from shardplan.integrations.torchrec import read_workload
from tests.integrations.torchrec import processes, training
from tests.integrations.torchrec.instances import cluster, inputs_of, place, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.plan import Plan

SCRIPT = Path(training.__file__)
TYPES = (
    "data_parallel",
    "table_wise",
    "column_wise",
    "row_wise",
    "table_row_wise",
    "table_column_wise",
    "grid_shard",
)
MIXTURES = {
    "mixed": ("data_parallel", "row_wise", "column_wise", "table_row_wise"),
    "mixed_hosts": ("grid_shard", "table_column_wise", "table_wise", "row_wise"),
}
ERROR = 1e-5


class Job(NamedTuple):
    """Ranks of a job, and ranks of each of its hosts."""

    world: int
    local: int

    def cases(self) -> dict[str, tuple[str, ...]]:
        """Sharding type of each of the four tables, by the name of the plan."""
        if self.world == 4:
            return {**{kind: (kind,) * 4 for kind in TYPES}, **MIXTURES}
        if self.world == 2:
            kinds = ("data_parallel", "row_wise", "column_wise", "table_wise")
            return {"pair": kinds, "rows": ("row_wise",) * 4}
        return {"alone": ("table_wise", "column_wise", "table_wise", "data_parallel")}


JOBS = (Job(4, 2), Job(2, 2), Job(1, 1))


def make_plan(job: Job, kinds: tuple[str, ...]) -> Plan:
    """Place the tables of the DLRM, each of them somewhere else."""
    topology = cluster(job.world // job.local, job.local, kind="cpu")
    work = read_workload(
        training.make_model("meta"), batch_size=8, compute_device="cpu"
    )
    inputs = inputs_of(work, topology)
    hosts = topology.num_hosts
    by_host = ("table_row_wise", "grid_shard")
    return plan_of(
        inputs,
        *(
            place(
                inputs,
                index,
                kind,
                start=index % (hosts if kind in by_host else job.world),
                parts=parts_of(job, kind),
            )
            for index, kind in enumerate(kinds)
        ),
    )


def parts_of(job: Job, kind: str) -> int:
    """Uneven widths where every shard has a rank of its own, else equal ones."""
    if kind == "column_wise":
        return 3 if job.world > 2 else 4
    return 4 if kind == "table_column_wise" else 2


Result = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Job, str], Result]:
    """Run a job once for all its plans; return the export and every rank's findings."""
    folders: dict[Job, Path] = {}

    def result(job: Job, name: str) -> Result:
        if job not in folders:
            folder = folders[job] = tmp_path_factory.mktemp("plans")
            for case, kinds in job.cases().items():
                data = export(make_plan(job, kinds), "torchrec")
                (folder / f"{case}.json").write_text(json.dumps(data))
            done = processes.run(SCRIPT, str(folder), world=job.world, local=job.local)
            failed = [process.stderr[-3000:] for process in done if process.returncode]
            assert not failed, failed[0]
        folder = folders[job]
        ranks = [
            json.loads((folder / f"{name}.rank{rank}.result").read_text())
            for rank in range(job.world)
        ]
        return json.loads((folder / f"{name}.json").read_text()), ranks

    return result


CASES = [(job, name) for job in JOBS for name in job.cases()]


@pytest.mark.parametrize(("job", "name"), CASES)
def test_it_trains_like_the_unsharded_model(
    trained: Callable[[Job, str], Result], job: Job, name: str
) -> None:
    """Losses of three steps and all weights after them agree, and nothing warns."""
    _, ranks = trained(job, name)
    for found in ranks:
        assert found["loss_error"] < ERROR
        assert found["weight_error"] < ERROR
        assert found["warnings"] == []


@pytest.mark.parametrize(("job", "name"), CASES)
def test_shards_are_where_the_plan_says(
    trained: Callable[[Job, str], Result], job: Job, name: str
) -> None:
    """Every rank holds exactly the rectangles that the plan gives it."""
    data, ranks = trained(job, name)
    for table, entry in data["modules"][training.PATH].items():
        if "shards" not in entry:
            continue
        for rank, found in enumerate(ranks):
            planned = [
                [*shard["offset"], *shard["size"]]
                for shard in entry["shards"]
                if shard["rank"] == rank
            ]
            assert sorted(found["places"].get(table, [])) == sorted(planned)
