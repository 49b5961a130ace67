"""Constants that are fitted to step times, and fits that leave systems out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.records import torchrec_cost_model
from shardplan.simulation import simulate
from shardplan.validation.predict import measured_plan, step_settings, with_cost_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel
    from shardplan.records.record import Record
    from shardplan.validation.records import StepMeasurement

_CHANGE = 0.02
"""Relative change of a constant that shows how steps follow it."""


class Constant(NamedTuple):
    """A constant of cost models: in a section, or in ``runtimes.NAME``, a field."""

    section: str
    field: str

    @property
    def name(self) -> str:
        """Name of the constant, as the cost model's file has it."""
        return f"{self.section}.{self.field}"

    def value(self, model: CostModel) -> float:
        """Return its value."""
        return float(getattr(self._record(model), self.field).value)

    def set(self, model: CostModel, value: float) -> CostModel:
        """Return a cost model with another value."""
        old = self._record(model)
        new = old.replace(**{self.field: getattr(old, self.field).replace(value=value)})
        section, _, runtime = self.section.partition(".")
        if runtime:
            return model.replace(runtimes={**model.runtimes, runtime: new})
        return model.replace(**{section: new})

    def _record(self, model: CostModel) -> Record:
        section, _, runtime = self.section.partition(".")
        record: Record = (
            model.runtime_named(runtime) if runtime else getattr(model, section)
        )
        return record


FITTED: dict[str, tuple[Constant, ...]] = {
    "mlperf-dcnv2": (
        Constant("runtime", "step_overhead_s"),
        Constant("lookup", "l2_backward_efficiency"),
    ),
    "tensorflow": (
        Constant("runtimes.tf2-xla", "step_overhead_s"),
        Constant("runtimes.tf2-xla", "lookup_passes"),
    ),
}
"""Constants that the steps of a group of measurements decide; no others are."""


def decides(step: StepMeasurement) -> bool:
    """Whether a step takes part in fits: also where it is met badly, if trusted."""
    return step.confidence != "low"


def step_time(
    step: StepMeasurement, constants: Sequence[Constant], values: Sequence[float]
) -> float:
    """Return a step's time with other values of fitted constants [s]."""
    plan = measured_plan(step)
    model = torchrec_cost_model.measured(plan.inputs.cost_model)
    for constant, value in zip(constants, values, strict=True):
        model = constant.set(model, float(value))
    return simulate(with_cost_model(plan, model), step_settings(step)).step_time_s


@dataclass(frozen=True, eq=False)
class Fit:
    """How the steps of a group follow the constants that are fitted to them.

    Attributes
    ----------
    steps : tuple of StepMeasurement
    constants : tuple of Constant
    values : ndarray of shape (num_constants,)
        Where predictions and slopes were taken: those of the cost model.
    predicted : ndarray of shape (num_steps,) [s]
    slopes : ndarray of shape (num_steps, num_constants)
        Of the predicted time by each constant.
    """

    steps: tuple[StepMeasurement, ...]
    constants: tuple[Constant, ...]
    values: Floats
    predicted: Floats
    slopes: Floats

    @classmethod
    def of(cls, steps: Sequence[StepMeasurement], values: Floats | None = None) -> Fit:
        """Take the steps of one group at the shipped values, or at others."""
        constants = FITTED[steps[0].group]
        if values is None:
            used = measured_plan(steps[0]).inputs.cost_model
            model = torchrec_cost_model.measured(used)
            values = np.array([constant.value(model) for constant in constants])
        predicted = [step_time(step, constants, values.tolist()) for step in steps]
        slopes = np.empty((len(steps), len(constants)))
        for column, value in enumerate(values):
            changed = values.copy()
            changed[column] = value * (1.0 + _CHANGE)
            times = [step_time(step, constants, changed.tolist()) for step in steps]
            slopes[:, column] = (np.array(times) - predicted) / (value * _CHANGE)
        return cls(tuple(steps), constants, values, np.array(predicted), slopes)

    @property
    def measured(self) -> Floats:
        """Measured times, of shape (num_steps,) [s]."""
        return np.array([step.step_s for step in self.steps])

    def refitted(self, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
        """Return the constants that fit the kept steps best.

        Notes
        -----
        A Gauss-Newton step on the relative errors, in which no constant loses more
        than nine tenths. Steps are piecewise linear in most constants, so one suffices
        near the shipped values.
        """
        slopes = (self.slopes / self.measured[:, None])[kept]
        errors = (self.predicted / self.measured - 1.0)[kept]
        change, *_ = np.linalg.lstsq(slopes, -errors, rcond=None)
        return np.asarray(np.maximum(self.values + change, 0.1 * self.values))

    def leave_out(self, key: Callable[[StepMeasurement], str]) -> dict[str, Any] | None:
        """Predict the steps of each key with constants fitted to all the others.

        Returns
        -------
        dict or None
            Mean absolute and worst error, signed errors by id, the mean of each key
            and the constants of its fit; None where the others are fewer than the
            constants.
        """
        keys = np.array([key(step) for step in self.steps])
        trusted = np.array([decides(step) for step in self.steps], dtype=bool)
        errors: dict[str, float] = {}
        means: dict[str, float] = {}
        fits: dict[str, dict[str, float]] = {}
        names = [constant.name for constant in self.constants]
        for name in dict.fromkeys(keys.tolist()):
            out = keys == name
            kept = ~out & trusted
            if kept.sum() < len(self.constants):
                return None
            values = self.refitted(kept).tolist()
            found = {
                step.id: step_time(step, self.constants, values) / step.step_s - 1.0
                for step in (self.steps[index] for index in np.flatnonzero(out))
            }
            errors |= found
            means[name] = float(np.abs(list(found.values())).mean())
            fits[name] = dict(zip(names, values, strict=True))
        worst = max(errors.values(), key=abs)
        return {
            "mean_error": float(np.abs(list(errors.values())).mean()),
            "worst_error": worst,
            "errors": errors,
            "means": means,
            "constants": fits,
        }
