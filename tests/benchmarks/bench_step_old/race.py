"""Let an old commit and today's code plan the same inputs; simulate all plans today."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.io.catalog import load_workload
from shardplan.plans.assemble import assemble_unproven
from shardplan.records.inputs import Inputs
from shardplan.records.placement import TablePlacement
from shardplan.records.record import dump
from shardplan.records.sharding import Objective, Target
from shardplan.simulation import simulate
from tests.benchmarks.frozen import FOLDER, frozen_cost_model, frozen_topology

if TYPE_CHECKING:
    from collections.abc import Sequence

Found = dict[str, Any]


class Pair(NamedTuple):
    """A shipped workload on some hosts of a topology of the frozen catalogue."""

    workload: str
    topology: str
    num_hosts: int

    @classmethod
    def of(cls, name: str) -> Pair:
        """Read ``WORKLOAD@TOPOLOGY:HOSTS``."""
        workload, _, cluster = name.partition("@")
        topology, _, hosts = cluster.partition(":")
        return cls(workload, topology, int(hosts or 1))

    @property
    def inputs(self) -> Inputs:
        """Today's records."""
        topology = frozen_topology(self.topology, self.num_hosts)
        return Inputs(
            workload=load_workload(self.workload),
            topology=topology,
            cost_model=frozen_cost_model(str(topology.cost_model)),
        )

    def given(self, objective: str, limits_s: Sequence[float]) -> Found:
        """Return what `solve.py` reads; files of the frozen catalogue serve both."""
        inputs = self.inputs
        model = FOLDER / "cost_models" / f"{inputs.topology.cost_model}.toml"
        return {
            "workload": dump(inputs.workload),
            "topology": str(FOLDER / "topologies" / f"{self.topology}.toml"),
            "num_hosts": self.num_hosts,
            "cost_model": str(model),
            "objective": objective,
            "limits_s": list(limits_s),
        }


def solved(
    pair: Pair, objective: str, limits_s: Sequence[float], path: Sequence[Path]
) -> list[Found]:
    """Solve with each limit, with code and libraries from some folders.

    Returns
    -------
    list of dict
        The limit, the processor's seconds, and the step simulated by today's code [s].
    """
    inputs = pair.inputs
    with tempfile.TemporaryDirectory() as name:
        problem = Path(name) / "problem.json"
        given = pair.given(objective, limits_s)
        problem.write_text(json.dumps(given), encoding="utf-8")
        script = Path(__file__).with_name("solve.py")
        done = subprocess.run(
            [sys.executable, str(script), str(problem)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{pair}, {path[0]}:\n{done.stderr}")
        lines = [json.loads(x) for x in done.stdout.splitlines() if x.startswith("{")]
        return [
            {
                "limit_s": line["limit_s"],
                "cpu_s": line["cpu_s"],
                "step_s": simulated_s(inputs, Path(line["plan"])),
            }
            for line in lines
        ]


def simulated_s(inputs: Inputs, path: Path) -> float:
    """Simulate the placements of a plan file of any release [s]."""
    data = json.loads(path.read_text(encoding="utf-8"))
    tables = tuple(TablePlacement.model_validate(table) for table in data["tables"])
    plan = assemble_unproven(
        inputs, tables, solver="", target=Target.ANY, objective=Objective.TIME
    )
    return simulate(plan).step_time_s
