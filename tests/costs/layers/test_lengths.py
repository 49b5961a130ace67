"""Pairs of tokens from moments, against sums over samples."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.layers.lengths import (
    length_deviation,
    pairs,
    square_deviation,
    tokens,
)
from shardplan.records.layers import SequenceAxis

NUM_SAMPLES = 100_000


def lengths(law):
    """Lengths as data sets have them: even, long-tailed, cut off, or all alike."""
    random = np.random.default_rng(7)
    drawn = {
        "uniform": random.integers(4, 4096, NUM_SAMPLES),
        "zipf": np.minimum(random.zipf(1.3, NUM_SAMPLES) + 3, 8192),
        "log-normal": np.clip(random.lognormal(5, 1.2, NUM_SAMPLES), 4, 4096),
        "full": np.full(NUM_SAMPLES, 2048),
    }
    return drawn[law].astype(np.int64)


def axis(sample, targets=0):
    """The axis with the moments of a sample of lengths."""
    length = sample.astype(float)
    return SequenceAxis(
        name="history",
        mean=length.mean(),
        mean_square=(length**2).mean(),
        mean_fourth=(length**4).mean(),
        max=int(sample.max()),
        targets=targets,
    )


@pytest.mark.parametrize("law", ["uniform", "zipf", "log-normal", "full"])
@pytest.mark.parametrize("targets", [0, 1, 3])
def test_pairs_are_sums_over_samples(law, targets):
    """Within 0.1 % of counting what every token of 100,000 samples sees."""
    sample = lengths(law)
    history = sample - targets
    # Tokens of the history see 1, 2, ..., h; each target all of them and itself.
    causal = (history * (history + 1) // 2 + targets * (history + 1)).sum()
    found = axis(sample, targets)
    assert pairs("causal", found) * NUM_SAMPLES == pytest.approx(causal, rel=1e-3)
    full = (sample**2).sum()
    assert pairs("full", found) * NUM_SAMPLES == pytest.approx(full, rel=1e-3)
    cross = (targets * history).sum()
    assert pairs("cross", found) * NUM_SAMPLES == pytest.approx(cross, rel=1e-3)


def test_one_short_sample_by_hand():
    """Four tokens, one of them a target: 1 + 2 + 3 pairs, and 3 + 1 of the target."""
    four = SequenceAxis(name="s", mean=4, mean_square=16, max=4, targets=1)
    assert pairs("causal", four) == 6 + 4
    assert tokens("s", four) == 4
    assert tokens("s.targets", four) == 1
    assert tokens("samples", None) == 1


def test_mean_length_is_not_enough():
    """A long tail has many times the pairs of samples that are as long as its mean."""
    found = axis(lengths("zipf"))
    assert pairs("full", found) > 10 * found.mean**2


@pytest.mark.parametrize("law", ["uniform", "zipf", "log-normal"])
def test_deviations_are_those_of_samples(law):
    """Standard deviations over means, of tokens and of their squares."""
    sample = lengths(law).astype(float)
    found = axis(lengths(law))
    expected = sample.std() / sample.mean()
    assert length_deviation(found) == pytest.approx(expected, rel=1e-6)
    square = sample**2
    assert square_deviation(found) == pytest.approx(square.std() / square.mean())


def test_deviation_of_squares_without_a_fourth_moment():
    """That of a normal law: 100,000 draws agree within 1 %."""
    drawn = np.random.default_rng(3).normal(2663, 320, NUM_SAMPLES)
    known = SequenceAxis(name="s", mean=2663, mean_square=2663**2 + 320**2, max=4096)
    square = drawn**2
    expected = square.std() / square.mean()
    assert square_deviation(known) == pytest.approx(expected, rel=0.01)
    alike = SequenceAxis(name="s", mean=10, mean_square=100, max=10)
    assert (length_deviation(alike), square_deviation(alike)) == (0.0, 0.0)
