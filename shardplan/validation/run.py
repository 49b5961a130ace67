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
from shardplan.validation.predict import Value, predict, system_topology
from shardplan.validation.records import MeasurementFile, StepMeasurement
from shardplan.validation.statistics import (
    Sized,
    kendall_tau,
    leave_one_out,
    scaling,
    scaling_shape,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

    from shardplan.validation.records import Measurement


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
    def passed(self) -> bool:
        """Whether all tolerances are kept."""
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
    """

    outcomes: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        """Whether every measurement is met within its tolerance."""
        return all(outcome.passed for outcome in self.outcomes)

    def groups(self) -> dict[str, dict[str, Any]]:
        """Mean, median and worst error of every group, and how many passed."""
        members: dict[str, list[Comparison]] = {}
        for outcome in self.outcomes:
            members.setdefault(outcome.measurement.group, []).append(outcome)
        return {name: _summary(found) for name, found in members.items()}

    def steps(self) -> dict[str, list[Comparison]]:
        """Outcomes of steps by group."""
        found: dict[str, list[Comparison]] = {}
        for outcome in self.outcomes:
            if isinstance(outcome.measurement, StepMeasurement):
                found.setdefault(outcome.measurement.group, []).append(outcome)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able data."""
        steps = self.steps()
        return {
            "passed": self.passed,
            "groups": self.groups(),
            "kendall_tau": {
                name: kendall_tau([_throughput(o) for o in found])
                for name, found in steps.items()
                if len(found) > 1
            },
            "scaling": {
                name: scaling({o.measurement.id: _throughput(o) for o in found})
                for name, found in steps.items()
                if len(found) > 1
            },
            "scaling_shape": {
                name: scaling_shape([_sized(o) for o in found])
                for name, found in steps.items()
            },
            "leave_one_out": {
                name: leave_one_out([_step(o) for o in found])
                for name, found in steps.items()
                if len(found) > 2
            },
            "measurements": [outcome.to_dict() for outcome in self.outcomes],
        }


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


def validate_model(measurements: Iterable[Measurement]) -> Validation:
    """Predict every measurement.

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
    return Validation(tuple(outcomes))


def _summary(outcomes: list[Comparison]) -> dict[str, Any]:
    errors = np.concatenate([outcome.errors for outcome in outcomes])
    worst = max(outcomes, key=lambda outcome: abs(outcome.worst.error))
    return {
        "measurements": len(outcomes),
        "passed": sum(outcome.passed for outcome in outcomes),
        "values": len(errors),
        "mean_error": float(np.abs(errors).mean()),
        "median_error": float(np.median(np.abs(errors))),
        "bias": float(errors.mean()),
        "worst_error": worst.worst.error,
        "worst": f"{worst.measurement.id} {worst.worst.label}",
    }


def _throughput(outcome: Comparison) -> tuple[float, float]:
    """Return predicted and measured samples per second."""
    assert isinstance(outcome.measurement, StepMeasurement)
    batch = outcome.measurement.global_batch_size
    value = outcome.values[0]
    return batch / value.predicted, batch / value.measured


def _sized(outcome: Comparison) -> Sized:
    """Return the size of a step's system, and which systems it compares with."""
    step = outcome.measurement
    assert isinstance(step, StepMeasurement)
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


def _step(outcome: Comparison) -> Value:
    return outcome.values[0]._replace(label=outcome.measurement.id)
