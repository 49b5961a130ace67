"""Lines of kernels whose pressure a case limits."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.step.kernel_lines import kernel_lines
from shardplan.certify.step.least import EVERY, Span


def test_lines_of_a_kernel() -> None:
    """Without limits the kernel itself; with them as steep or flat as is asked for."""
    weights, alone = np.array([0.5]), [[0]]
    for slope in (0.0, 0.5, 1.0):
        lines = kernel_lines(
            np.array([slope]), weights, [Span(2.0, np.inf, runs=True)], alone
        )
        assert lines.slopes == pytest.approx([slope])
        assert lines.intercepts == pytest.approx([(1.0 - slope) * 2.0])
    steep = kernel_lines(np.array([4.0]), weights, [Span(0.0, 3.0, runs=False)], alone)
    assert steep.slopes == pytest.approx([4.0])
    assert steep.intercepts == pytest.approx([-9.0])
    free = kernel_lines(np.array([4.0]), weights, [EVERY], alone)
    assert (free.slopes.item(), free.intercepts.item()) == (1.0, 0.0)


@pytest.mark.parametrize("seed", range(200))
def test_no_phase_is_shorter(seed: int) -> None:
    """The slowest rank of each phase takes what its lines say, or more."""
    rng = np.random.default_rng(seed)
    ranks, kernels = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    loads = rng.exponential(size=(ranks, kernels)) * (
        rng.random((ranks, kernels)) < 0.7
    )
    weights, most = rng.uniform(0.1, 1.0, kernels), loads.max(axis=0)
    low = most * rng.choice([0.0, 0.5, 0.999], kernels)
    high = np.where(rng.random(kernels) < 0.5, np.inf, most * 1.001)
    spans = [Span(*span, runs=True) for span in zip(low, high, strict=True)]
    given = rng.choice([0.0, 0.4, 1.0, 2.5], kernels)
    cut = int(rng.integers(kernels + 1))
    phases = [part for part in (list(range(cut)), list(range(cut, kernels))) if part]
    lines = kernel_lines(given, weights, spans, phases)
    for phase in phases:
        takes = (loads * weights)[:, phase].sum(axis=1).max()
        says = (loads * weights * lines.slopes)[:, phase].sum(axis=1).max()
        says += (weights * lines.intercepts)[phase].sum()
        assert says <= takes * (1.0 + 1e-12)
