"""Refit the overheads of the runtimes from measured steps.

Run it to print the values; `tests/catalogues/test_refit.py` compares them with the
committed files. Errors are relative, so that short and long steps count alike.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from shardplan.records.inputs import Inputs
from shardplan.simulation import SimulationSettings, simulate
from shardplan.validation import load_measurements
from shardplan.validation.predict import measured_plan
from shardplan.validation.records import StepMeasurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.cost_model import CostModel, RuntimeModel

Floats = NDArray[np.float64]


def steps(group: str) -> list[StepMeasurement]:
    """Return the measured steps of a group."""
    return [
        measurement
        for measurement in load_measurements()
        if isinstance(measurement, StepMeasurement) and measurement.group == group
    ]


def with_runtime(
    model: CostModel, name: str | None, runtime: RuntimeModel
) -> CostModel:
    """Return a cost model with another runtime of a name (None: the default)."""
    if name is None:
        return model.replace(runtime=runtime)
    return model.replace(runtimes={**model.runtimes, name: runtime})


def errors(measured: Sequence[StepMeasurement], **values: float) -> Floats:
    """Return relative errors with other values of a runtime's coefficients."""
    found = []
    for step in measured:
        plan = measured_plan(step)
        model, name = plan.inputs.cost_model, step.system.runtime
        runtime = model.runtime_named(name)
        changes = {
            key: getattr(runtime, key).replace(value=value)
            for key, value in values.items()
        }
        inputs = Inputs(
            workload=plan.inputs.workload,
            topology=plan.inputs.topology,
            cost_model=with_runtime(model, name, runtime.replace(**changes)),
        )
        settings = SimulationSettings(runtime=name, input_copy=step.input_copy)
        other = plan.model_copy(update={"inputs": inputs})
        found.append(simulate(other, settings).step_time_s / step.step_s - 1.0)
    return np.array(found)


def fit_graph() -> float:
    """Return the overhead of a step with CUDA graphs [s]."""
    measured = steps("mlperf-dcnv2")

    def residuals(x: Floats) -> Floats:
        return errors(measured, step_overhead_s=float(x[0]) * 1e-3)

    return float(least_squares(residuals, [0.3], diff_step=0.1).x[0]) * 1e-3


def fit_tensorflow() -> tuple[float, float]:
    """Return the overhead [s] and the passes of lookups of TensorFlow 2 with XLA."""
    measured = steps("tensorflow")

    def residuals(x: Floats) -> Floats:
        return errors(
            measured, step_overhead_s=float(x[0]) * 1e-3, lookup_passes=float(x[1])
        )

    overhead, passes = least_squares(residuals, [2.0, 2.0], diff_step=0.05).x
    return float(overhead) * 1e-3, float(passes)


def main() -> None:
    """Print every fitted coefficient."""
    overhead, passes = fit_tensorflow()
    sys.stdout.write(f"graph step_overhead_s: {fit_graph():.3g}\n")
    sys.stdout.write(f"tf2-xla step_overhead_s: {overhead:.3g}\n")
    sys.stdout.write(f"tf2-xla lookup_passes: {passes:.3g}\n")


if __name__ == "__main__":
    main()
