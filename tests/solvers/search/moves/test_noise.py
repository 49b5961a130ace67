"""Noise for drawing from the Boltzmann distribution."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.solvers.search.moves.noise import Noise


def test_noise_is_gumbel() -> None:
    """Mean and spread are those of the standard Gumbel distribution."""
    noise = Noise(np.random.default_rng(0)).draw((1000, 1000))
    assert float(noise.mean()) == pytest.approx(np.euler_gamma, abs=0.01)
    assert float(noise.std()) == pytest.approx(np.pi / np.sqrt(6), abs=0.01)
