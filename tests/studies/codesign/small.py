"""A co-design whose points take milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.studies.spec import StudySpec

KNOBS = """
[codesign.knobs]
hosts = { low = 1, high = 8, integer = true }
"workload.global_batch_size" = { low = 1000, high = 16_000, log = true, step = 1000 }
"workload.tables.*.num_embeddings" = { choices = [1000, 10_000_000_000] }
"topology.host_groups.*.scale_out.nic_bw" = { low = 6e9, high = 125e9, log = true }

[prices."cluster.json"]
per_host_hour = 10
per_host_hour_per = { "topology.host_groups.*.scale_out.nic_bw" = 1e-9 }
"""
HEAD = quick.STUDY.split("[axes]")[0]
ONE = f"""{HEAD}
[codesign]
points = 20
batch = 4
minimise = ["cost_per_1e9_samples"]
{KNOBS}"""
TWO = f"""{HEAD}
[codesign]
points = 20
batch = 4
minimise = ["cost_per_hour"]
maximise = ["throughput_samples_per_s"]
{KNOBS}"""
"""Twenty points; those of large tables fit nowhere."""


def spec(folder: Path, text: str = TWO) -> StudySpec:
    """Return the study."""
    return quick.spec(folder, text)
