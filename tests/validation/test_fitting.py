"""Constants that are fitted to step times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.io.catalog import load_cost_model
from shardplan.records.cost_model import CostModel
from shardplan.validation import load_measurements
from shardplan.validation.fitting import FITTED, Constant, Fit, decides
from shardplan.validation.records import StepMeasurement

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats

STEPS = tuple(
    step
    for step in load_measurements()
    if isinstance(step, StepMeasurement)
    and step.group == "mlperf-dcnv2"
    and "1x" in step.id
    and "pcie" not in step.id
)[:3]


def test_constants_are_found_and_set() -> None:
    """Each is named as the file has it, and only it changes."""
    model = load_cost_model("a100")
    assert isinstance(model, CostModel)
    for constants in FITTED.values():
        for constant in constants:
            changed = constant.set(model, 2.0 * constant.value(model))
            assert constant.value(changed) == pytest.approx(2 * constant.value(model))
            assert constant.set(changed, constant.value(model)) == model
    assert Constant("runtime", "a").name == "runtime.a"
    assert Constant("runtimes.tf2-xla", "a").name == "runtimes.tf2-xla.a"


def shifted(seconds: float) -> list[StepMeasurement]:
    """Return steps that take as much longer than predicted, all the same."""
    fit = Fit.of(STEPS)
    times = zip(STEPS, fit.predicted, strict=True)
    return [step.replace(step_s=float(time) + seconds) for step, time in times]


def test_an_overhead_that_is_wrong_everywhere_is_fitted_away() -> None:
    """Each step is met by the constant of the others, which is 0.2 ms higher."""
    steps = shifted(2e-4)
    fit = Fit.of(steps)
    assert fit.slopes[:, 0] == pytest.approx(1.0, rel=1e-6)
    left_out = fit.leave_out(lambda step: step.id)
    assert left_out is not None
    assert left_out["mean_error"] == pytest.approx(0.0, abs=1e-6)
    assert list(left_out["errors"]) == [step.id for step in steps]
    for constants in left_out["constants"].values():
        overhead, l2 = constants.values()
        assert overhead == pytest.approx(fit.values[0] + 2e-4)
        assert l2 == pytest.approx(fit.values[1])


def test_a_system_that_is_left_out_does_not_move_the_fit() -> None:
    """One step that takes twice as long is missed by half: the others are met."""
    steps = shifted(0.0)
    odd = steps[0].replace(step_s=2.0 * steps[0].step_s)
    left_out = Fit.of([odd, *steps[1:]]).leave_out(lambda step: step.id)
    assert left_out is not None
    assert left_out["errors"][odd.id] == pytest.approx(-0.5, abs=1e-6)
    assert left_out["worst_error"] == max(left_out["errors"].values(), key=abs)
    assert left_out["means"][odd.id] == pytest.approx(0.5, abs=1e-6)


def test_fewer_steps_than_constants() -> None:
    """Without the only system there is nothing to fit to."""
    assert Fit.of(STEPS).leave_out(lambda _: "all") is None


def test_a_fit_again_finds_the_least_squares() -> None:
    """At the refitted constants the sum of squares is no longer falling."""
    fit = Fit.of(STEPS)
    best = fit.refitted(np.ones(len(STEPS), dtype=bool))

    def squares(values: Floats) -> float:
        predicted = fit.predicted + fit.slopes @ (values - fit.values)
        return float(((predicted / fit.measured - 1.0) ** 2).sum())

    for change in np.diag(1e-3 * best):
        assert squares(best) < min(squares(best - change), squares(best + change))


def test_steps_of_low_confidence_decide_nothing() -> None:
    """A step that is only shown moves no constant; one that is met badly does."""
    steps = shifted(0.0)
    odd = steps[0].replace(step_s=2.0 * steps[0].step_s, confidence="low")
    found = Fit.of([odd, *steps[1:]]).leave_out(lambda step: step.id)
    assert found is None  # one step is left for two constants
    wide = steps[1].replace(tolerance=steps[1].tolerance.replace(each=0.5))
    assert [decides(step) for step in (odd, steps[1], wide)] == [False, True, True]
