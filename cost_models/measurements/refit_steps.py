"""Refit the overheads of the runtimes from measured steps.

Run it to print the values; `tests/catalogues/test_refit.py` compares them with the
committed files. Errors are relative, so that short and long steps count alike.
"""

from __future__ import annotations

import sys

import numpy as np

from shardplan.validation import load_measurements
from shardplan.validation.fitting import FITTED, Fit, decides
from shardplan.validation.predict import predict
from shardplan.validation.records import StepMeasurement

ROUNDS = 6
"""Gauss-Newton steps; the last one changes less than a percent."""


def steps(group: str) -> list[StepMeasurement]:
    """Return the measured steps of a group that decide constants, ranges none."""
    return [
        step
        for step in load_measurements()
        if isinstance(step, StepMeasurement)
        and step.group == group
        and decides(step)
        and predict(step)[0].range is None
    ]


def fit(group: str) -> dict[str, float]:
    """Return the constants that the steps of a group decide, by name."""
    found = Fit.of(steps(group))
    for _ in range(ROUNDS):
        everything = np.ones(len(found.steps), dtype=bool)
        found = Fit.of(found.steps, found.refitted(everything))
    names = [constant.name for constant in FITTED[group]]
    return dict(zip(names, found.values.tolist(), strict=True))


def main() -> None:
    """Print every fitted coefficient."""
    for group in FITTED:
        for name, value in fit(group).items():
            sys.stdout.write(f"{group} {name}: {value:.3g}\n")


if __name__ == "__main__":
    main()
