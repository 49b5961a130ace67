"""A training run around its steps: start-up, evaluations, and when it is done."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shardplan.records.record import PositiveTally, Record, Seconds, Tally


class TrainingRun(Record):
    """What else a run to a target takes time for.

    Attributes
    ----------
    samples : int
        Samples that are seen until the target is reached.
    start_s : float
        Before the first step, and what the first ones take longer.
    eval_every_samples : int
        Samples between evaluations; 0 for none.
    eval_samples : int
        Samples of an evaluation.
    eval_fixed_s : float
        What an evaluation takes beside its steps.
    """

    samples: PositiveTally
    start_s: Seconds = 0.0
    eval_every_samples: Tally = 0
    eval_samples: Tally = 0
    eval_fixed_s: Annotated[Seconds, Field(le=1e6)] = 0.0

    @model_validator(mode="after")
    def _evaluations_are_said(self) -> Self:
        if not self.eval_every_samples and (self.eval_samples or self.eval_fixed_s):
            raise ValueError("evaluations need eval_every_samples above 0")
        return self
