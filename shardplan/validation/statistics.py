"""What errors of single points do not show: ranking, scaling, and fitting."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.validation.predict import Value

Pair = tuple[float, float]
"""A predicted and a measured value."""
_GAIN = 1.05  # per doubling: less than this counts as nothing


def kendall_tau(pairs: Sequence[Pair]) -> float:
    """Return how well predictions rank systems.

    Notes
    -----
    Tau-b: ``(concordant - discordant) / sqrt(p q)`` with p and q the pairs of systems
    that differ in prediction and in measurement: 1 for the same order, -1 for the
    reverse. Boxes of one description have one prediction, and no order.

    References
    ----------
    Kendall 1945, The treatment of ties in ranking problems, Biometrika 33.
    """
    signs = [
        (np.sign(p - q), np.sign(m - n)) for (p, m), (q, n) in combinations(pairs, 2)
    ]
    predicted = np.array([one for one, _ in signs])
    measured = np.array([other for _, other in signs])
    ordered = np.sqrt(np.abs(predicted).sum() * np.abs(measured).sum())
    return float(predicted @ measured / ordered) if ordered else 1.0


def scaling(throughputs: Mapping[str, Pair]) -> list[dict[str, Any]]:
    """Return every system's throughput relative to the slowest measured one.

    Parameters
    ----------
    throughputs : mapping of name to (predicted, measured)
        [samples/s].
    """
    slowest = min(throughputs.values(), key=lambda pair: pair[1])
    ordered = sorted(throughputs.items(), key=lambda item: item[1][1])
    return [
        {
            "id": name,
            "predicted": predicted / slowest[0],
            "measured": measured / slowest[1],
        }
        for name, (predicted, measured) in ordered
    ]


class Sized(NamedTuple):
    """A measured step with the size of its system.

    Attributes
    ----------
    family : str
        Systems of the same machines, model and software.
    ranks, hosts : int
    throughput : (predicted, measured) [samples/s]
    """

    id: str
    family: str
    ranks: int
    hosts: int
    throughput: Pair


def scaling_shape(steps: Sequence[Sized]) -> list[dict[str, Any]]:
    """Return what more ranks of the same machines bring, predicted and measured.

    Notes
    -----
    For every two systems of a family, from n to at least 2 n ranks with a speed-up s:
    ``s^(1 / log2(ratio of ranks))`` per doubling; 2 is perfect, 1 brings nothing.
    Predictions have the right shape where both are on the same side of 1.05.
    """
    found = []
    ordered = sorted(steps, key=lambda step: (step.family, step.ranks, step.hosts))
    for small, large in combinations(ordered, 2):
        ratio = large.ranks / small.ranks
        if small.family != large.family or ratio < 2:
            continue
        predicted, measured = (
            (after / before) ** (1.0 / np.log2(ratio))
            for before, after in zip(small.throughput, large.throughput, strict=True)
        )
        found.append(
            {
                "from": small.id,
                "to": large.id,
                "ranks": [small.ranks, large.ranks],
                "hosts": [small.hosts, large.hosts],
                "predicted_per_doubling": float(predicted),
                "measured_per_doubling": float(measured),
                "error": float(predicted / measured - 1.0),
                "same_shape": bool((predicted > _GAIN) == (measured > _GAIN)),
            }
        )
    return found


def generation_bias(
    steps: Sequence[tuple[str, Value]],
) -> dict[str, dict[str, float]]:
    """Return number, mean signed error and mean absolute error of each generation.

    Parameters
    ----------
    steps : sequence of (generation, Value)
    """
    members: dict[str, list[float]] = {}
    for name, value in steps:
        members.setdefault(name, []).append(value.error)
    return {
        name: {
            "steps": len(errors),
            "bias": float(np.mean(errors)),
            "mean_error": float(np.abs(errors).mean()),
        }
        for name, errors in sorted(members.items())
    }
