"""Run a comparison with measurements, and sum it up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.errors import InputError
from shardplan.io.catalog import folder
from shardplan.io.json_file import read_json
from shardplan.io.validate import validate
from shardplan.validation.fitting import FITTED, Fit
from shardplan.validation.predict import Value, predict, system_topology
from shardplan.validation.records import MeasurementFile, StepMeasurement
from shardplan.validation.statistics import (
    Sized,
    generation_bias,
    kendall_tau,
    scaling,
    scaling_shape,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from importlib.resources.abc import Traversable

    from shardplan.validation.records import Measurement


_FIT = "as shipped; fitted again only where a system or generation is left out"
_NO_FIT = "as shipped; these measurements took no part in a fit"


@dataclass(frozen=True)
class Comparison:
    """One measurement against its prediction.

    Attributes
    ----------
    values : tuple of Value
    """

    measurement: Measurement
    values: tuple[Value, ...]

    @property
    def errors(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Signed relative error of every value."""
        return np.array([value.error for value in self.values])

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error."""
        return float(np.abs(self.errors).mean())

    @property
    def median_error(self) -> float:
        """Median absolute relative error."""
        return float(np.median(np.abs(self.errors)))

    @property
    def worst(self) -> Value:
        """The value with the largest absolute error."""
        return self.values[int(np.abs(self.errors).argmax())]

    @property
    def passed(self) -> bool | None:
        """Whether all tolerances are kept; None where nothing is required."""
        if self.measurement.confidence == "low":
            return None
        tolerance = self.measurement.tolerance
        found = {
            "each": abs(self.worst.error),
            "mean": self.mean_error,
            "median": self.median_error,
        }
        limits = tolerance.model_dump(exclude_none=True)
        return all(found[name] <= limit for name, limit in limits.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON-able data."""
        tolerance = self.measurement.tolerance
        return {
            "id": self.measurement.id,
            "kind": self.measurement.kind,
            "group": self.measurement.group,
            "source": self.measurement.source,
            "confidence": self.measurement.confidence,
            "release": self.measurement.system.release,
            "notes": self.measurement.notes,
            "tolerance": tolerance.model_dump(exclude_none=True),
            "passed": self.passed,
            "mean_error": self.mean_error,
            "median_error": self.median_error,
            "worst_error": self.worst.error,
            "values": [
                {
                    "label": value.label,
                    "predicted": value.predicted,
                    "measured": value.measured,
                    "range": value.range,
                    "error": value.error,
                }
                for value in self.values
            ],
        }


@dataclass(frozen=True)
class Validation:
    """All outcomes.

    Attributes
    ----------
    outcomes : tuple of Comparison
        In order of the files.
    shipped : bool
        These are the measurements that constants were fitted to, so fits without
        some of them can be made; others never take part in a fit.
    """

    outcomes: tuple[Comparison, ...]
    shipped: bool = False

    @property
    def passed(self) -> bool:
        """Whether every measurement that requires it is met within its tolerance."""
        return all(outcome.passed is not False for outcome in self.outcomes)

    def groups(self) -> dict[str, dict[str, Any]]:
        """Mean, median and worst error of every group, and how many passed.

        Measurements of low confidence count only where a group has no others, and so
        do predictions that are ranges in errors.
        """
        members: dict[str, list[Comparison]] = {}
        for outcome in self.outcomes:
            members.setdefault(outcome.measurement.group, []).append(outcome)
        return {name: _summary(found) for name, found in members.items()}

    def steps(self) -> dict[str, list[Comparison]]:
        """Outcomes of steps by group, without those of low confidence."""
        found: dict[str, list[Comparison]] = {}
        for outcome in self.outcomes:
            step = outcome.measurement
            if isinstance(step, StepMeasurement) and step.confidence != "low":
                found.setdefault(step.group, []).append(outcome)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able data."""
        steps = self.steps()
        several = {name: found for name, found in steps.items() if len(found) > 1}
        fits = self._fits(steps) if self.shipped else {}
        return {
            "passed": self.passed,
            "fit": _FIT if self.shipped else _NO_FIT,
            "groups": self.groups(),
            "generations": {
                name: generation_bias(
                    [(_generation(o), _step(o)) for o in definite or found]
                )
                for name, found in steps.items()
                for definite in [[o for o in found if o.values[0].range is None]]
            },
            "kendall_tau": {
                name: kendall_tau(
                    [_throughput(o) for o in found if o.values[0].range is None]
                )
                for name, found in several.items()
            },
            "scaling": {
                name: scaling({o.measurement.id: _throughput(o) for o in found})
                for name, found in several.items()
            },
            "scaling_shape": {
                name: scaling_shape([_sized(o) for o in found])
                for name, found in steps.items()
            },
            "leave_one_out": {
                what: {name: left for name, left in found.items() if left is not None}
                for what, found in (
                    ("system", _left_out(fits, system_name)),
                    ("generation", _left_out(fits, generation)),
                )
            },
            "measurements": [outcome.to_dict() for outcome in self.outcomes],
        }

    def _fits(self, steps: dict[str, list[Comparison]]) -> dict[str, Fit]:
        """Return a fit of each group that decides constants.

        Steps that are predicted as a range decide none.
        """
        definite = {
            name: [_as_step(o) for o in found if o.values[0].range is None]
            for name, found in steps.items()
            if name in FITTED
        }
        return {name: Fit.of(found) for name, found in definite.items() if found}


def load_measurements(
    paths: Iterable[str | os.PathLike[str]] = (),
) -> tuple[Measurement, ...]:
    """Read measurement files; without any, the shipped ones.

    Raises
    ------
    InputError
        With everything that is wrong with a file.
    """
    shipped = folder("measurements")
    files: list[tuple[Traversable, str]] = [(Path(p), str(p)) for p in paths]
    files = files or [
        (entry, entry.name)
        for entry in sorted(shipped.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".json")
    ]
    found: list[Measurement] = []
    for file, where in files:
        found += validate(MeasurementFile, read_json(file, where), where).measurements
    return tuple(found)


def validate_model(
    measurements: Iterable[Measurement], *, shipped: bool = False
) -> Validation:
    """Predict every measurement.

    Parameters
    ----------
    shipped : bool
        These are all the shipped measurements: what cost models were fitted to. Only
        then are constants fitted again without one system or generation.

    Raises
    ------
    InputError
        If a measurement names something unknown, or its plan does not fit.
    """
    outcomes = []
    for measurement in measurements:
        try:
            outcomes.append(Comparison(measurement, tuple(predict(measurement))))
        except ValueError as error:
            raise InputError.single(measurement.id, "", None, str(error)) from error
    return Validation(tuple(outcomes), shipped)


def system_name(step: StepMeasurement) -> str:
    """Return the machines and software of a step; the same for boxes of one kind."""
    topology = system_topology(step.system)
    local = topology.world_size // topology.num_hosts
    size = f"{topology.name} {topology.num_hosts}x{local}"
    return " ".join(filter(None, (size, step.system.runtime)))


def generation(step: StepMeasurement) -> str:
    """Return the GPU of a step: H100 for all of its forms, B200 also for GB200."""
    device = system_topology(step.system).host_groups[0].device.name
    return device.split("-")[0].removeprefix("G")


def _left_out(
    fits: dict[str, Fit], key: Callable[[StepMeasurement], str]
) -> dict[str, dict[str, Any] | None]:
    return {name: fit.leave_out(key) for name, fit in fits.items()}


def _summary(outcomes: list[Comparison]) -> dict[str, Any]:
    required = [outcome for outcome in outcomes if outcome.passed is not None]
    shown, counted = len(outcomes) - len(required), required or outcomes
    outcomes = [o for o in counted if o.values[0].range is None] or counted
    errors = np.concatenate([outcome.errors for outcome in outcomes])
    worst = max(outcomes, key=lambda outcome: abs(outcome.worst.error))
    return {
        "measurements": len(required),
        "passed": sum(outcome.passed is True for outcome in required),
        "only_shown": shown,
        "values": len(errors),
        "mean_error": float(np.abs(errors).mean()),
        "median_error": float(np.median(np.abs(errors))),
        "bias": float(errors.mean()),
        "worst_error": worst.worst.error,
        "worst": f"{worst.measurement.id} {worst.worst.label}",
    }


def _throughput(outcome: Comparison) -> tuple[float, float]:
    """Return predicted and measured samples per second."""
    batch = _as_step(outcome).global_batch_size
    value = outcome.values[0]
    return batch / value.predicted, batch / value.measured


def _sized(outcome: Comparison) -> Sized:
    """Return the size of a step's system, and which systems it compares with."""
    step = _as_step(outcome)
    topology = system_topology(step.system)
    software = (step.system.runtime, step.system.cost_model, step.dense_dtype)
    family = (topology.name, step.workload, step.num_embeddings, *software)
    return Sized(
        id=step.id,
        family=str(family),
        ranks=topology.world_size,
        hosts=topology.num_hosts,
        throughput=_throughput(outcome),
    )


def _generation(outcome: Comparison) -> str:
    return generation(_as_step(outcome))


def _step(outcome: Comparison) -> Value:
    return outcome.values[0]._replace(label=outcome.measurement.id)


def _as_step(outcome: Comparison) -> StepMeasurement:
    assert isinstance(outcome.measurement, StepMeasurement)
    return outcome.measurement
