"""The example of the documentation runs on CPU, as it would on GPUs."""

from __future__ import annotations

from tests.integrations.torchrec import processes

SCRIPT = processes.ROOT / "examples" / "torchrec_dlrm.py"
OPTIONS = ("--cpu", "--steps", "2", "--batch-size", "16", "--plan-seconds", "2")


def test_it_plans_and_trains() -> None:
    """Two processes plan, shard and train two steps with losses that make sense."""
    done = processes.run(SCRIPT, *OPTIONS, world=2)
    assert [process.returncode for process in done] == [0, 0], done[0].stderr[-2000:]
    lines = [x for x in done[0].stdout.splitlines() if x.startswith("step ")]
    losses = [float(line.rpartition(" ")[2]) for line in lines]
    assert len(losses) == 2
    assert max(losses) < 3.0
