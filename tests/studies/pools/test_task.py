"""What travels to workers and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shardplan.studies.expand import expand
from shardplan.studies.pools.task import point_of, task_of
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (
    quick.STUDY
    + """\
"topology.host_groups[0].scale_out.nic_bw" = { scale = [0.5, 1] }
seed = [1, 2]

[overrides.low]
"workload.tables.*.dtype" = "int8"

[scenarios]
now = []
then = ["low"]
"""
)


def test_a_point_comes_as_it_went(tmp_path: Path) -> None:
    """All but its number and the values of its axes, which nobody needs there."""
    for point in expand(quick.spec(tmp_path, TEXT)):
        found = point_of(json.loads(json.dumps(task_of(point))))
        assert found.base == point.base
        assert found.settings == point.settings
        assert found.id == point.id
        assert not found.values
