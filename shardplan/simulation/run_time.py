"""How long a training run takes to its target."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardplan.records.training_run import TrainingRun


@dataclass(frozen=True)
class RunTime:
    """The parts of a run [s].

    Attributes
    ----------
    start_s : before the first step
    steps, steps_s : how many, and what they take
    evaluations, evaluations_s : how many, and what they take
    """

    start_s: float
    steps: int
    steps_s: float
    evaluations: int
    evaluations_s: float

    @property
    def total_s(self) -> float:
        """From the start to the target [s]."""
        return self.start_s + self.steps_s + self.evaluations_s

    def to_dict(self) -> dict[str, float]:
        """Return the parts and their sum as JSON-able data."""
        return {**asdict(self), "total_s": self.total_s}


def run_time(
    run: TrainingRun, batch_size: int, step_s: float, forward_s: float
) -> RunTime:
    """Return how long a run takes.

    Parameters
    ----------
    run : TrainingRun
    batch_size : int
        Samples of a step over all ranks.
    step_s : float
        [s].
    forward_s : float
        From the start of a step to the end of its forward pass: an evaluation's [s].

    Notes
    -----
    ``start + steps * step + evaluations * (fixed + floor(samples / batch) * forward)``;
    all steps take what the lengths of the workload say, which grow along a real run.
    """
    steps = -(-run.samples // batch_size)
    every = run.eval_every_samples
    evaluations = run.samples // every if every else 0
    each = run.eval_fixed_s + run.eval_samples // batch_size * forward_s
    return RunTime(
        start_s=run.start_s,
        steps=steps,
        steps_s=steps * step_s,
        evaluations=evaluations,
        evaluations_s=evaluations * each,
    )
