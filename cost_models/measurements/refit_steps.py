"""Refit the overheads of the runtimes from measured steps.

Run it to print the values; `tests/catalogues/test_refit.py` compares them with the
committed files. Errors are relative, so that short and long steps count alike.
"""

from __future__ import annotations

import sys

import numpy as np

from shardplan.validation import load_measurements
from shardplan.validation.fitting import FITTED, Fit
from shardplan.validation.records import StepMeasurement

ROUNDS = 3
"""Gauss-Newton steps; the second changes less than a percent."""


def steps(group: str) -> list[StepMeasurement]:
    """Return the measured steps of a group that are to be met."""
    return [
        step
        for step in load_measurements()
        if isinstance(step, StepMeasurement)
        and step.group == group
        and step.confidence != "low"
        and step.tolerance.each is not None
        and step.tolerance.each <= WORST
    ]


WORST = 0.3
"""Steps with a wider tolerance than this take no part."""


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
