"""The optimiser: better than chance, and the same again from the same trials."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.errors import InputError
from shardplan.studies.codesign.hypervolume import hypervolume
from shardplan.studies.codesign.proposals import DesignTrial, propose
from shardplan.studies.codesign.space import DesignSpace, DesignVariable

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.studies.codesign.space import Coordinates

    Judge = Callable[[Coordinates], DesignTrial]

SPACE = DesignSpace(
    (
        DesignVariable("hosts", low=1, high=16, step=1),
        DesignVariable("memory_bw", low=1.0, high=10.0, is_log=True, step=0.1),
        DesignVariable("network_bw", (0.25, 0.5, 1.0, 2.0)),
        DesignVariable("wire", ("fp32", "fp16")),
    )
)
POINTS, BATCH, SEEDS = 48, 8, 4


def rate_and_price(design: Coordinates) -> tuple[float, float]:
    """A roofline: tables are read by all hosts, and remote rows cross the network."""
    values = SPACE.values(design)
    hosts, memory, network, wire = values.values()
    remote = (hosts - 1) / hosts * (1.0 if wire == "fp32" else 0.5)
    step = 8.0 / (hosts * memory) + remote / (hosts * network) + 0.05 + 0.01 * hosts
    return 1.0 / step, hosts * (1.0 + 0.5 * memory + network)


def cheapest(design: Coordinates) -> DesignTrial:
    """The lowest price of 2.5 steps a second."""
    rate, price = rate_and_price(design)
    return DesignTrial(design, (price,), max(0.0, 1.0 - rate / 2.5))


def both(design: Coordinates) -> DesignTrial:
    """Price against rate."""
    rate, price = rate_and_price(design)
    return DesignTrial(design, (price, -rate), 0.0)


def search(
    judge: Judge, num_objectives: int, seed: int, count: int = POINTS
) -> list[DesignTrial]:
    """Trials of the optimiser."""
    trials: list[DesignTrial] = []
    while len(trials) < count:
        trials += map(judge, propose(SPACE, trials, BATCH, num_objectives, seed))
    return trials


def chance(judge: Judge, seed: int) -> list[DesignTrial]:
    """As many trials, drawn evenly."""
    rng = np.random.default_rng(seed)
    hosts, memory, network, wire = SPACE.variables
    found = []
    for _ in range(POINTS):
        raw = (
            rng.uniform(*hosts.bounds),
            np.exp(rng.uniform(*np.log(memory.bounds))),
            float(rng.integers(len(network.choices))),
            float(rng.integers(len(wire.choices))),
        )
        found.append(judge(SPACE.settle(raw)))
    return found


def best(trials: list[DesignTrial]) -> float:
    """The lowest price of those that are fast enough."""
    return min((t.objectives[0] for t in trials if not t.violation), default=200.0)


def test_one_objective_beats_chance() -> None:
    """The cheapest design that meets the condition is cheaper on average."""
    ours = np.mean([best(search(cheapest, 1, seed)) for seed in range(SEEDS)])
    theirs = np.mean([best(chance(cheapest, seed)) for seed in range(SEEDS)])
    assert ours < 0.95 * theirs


def test_two_objectives_beat_chance() -> None:
    """The front dominates more on average."""

    def area(trials: list[DesignTrial]) -> float:
        return hypervolume([t.objectives for t in trials], (100.0, 0.0))

    ours = np.mean([area(search(both, 2, seed)) for seed in range(SEEDS)])
    theirs = np.mean([area(chance(both, seed)) for seed in range(SEEDS)])
    assert ours > 1.01 * theirs


def test_no_design_twice() -> None:
    """A point is worth running once."""
    designs = [trial.design for trial in search(cheapest, 1, 0)]
    assert len(set(designs)) == POINTS


def test_only_the_trials_matter() -> None:
    """Whoever goes on from a batch proposes what one that never stopped would."""
    trials = search(both, 2, 3)
    assert search(both, 2, 3) == trials
    for done in (0, 8, 24, 40):
        known = trials[:done]
        again = propose(SPACE, known, BATCH, 2, 3)
        assert again == [trial.design for trial in trials[done : done + BATCH]]


def test_seeds_differ() -> None:
    """Another seed begins elsewhere."""
    assert propose(SPACE, [], BATCH, 1, 0) != propose(SPACE, [], BATCH, 1, 1)


def test_a_space_ends() -> None:
    """What is left is proposed, and then nothing."""
    space = DesignSpace(
        (
            DesignVariable("a", (1, 2, 3)),
            DesignVariable("b", ("x", "y")),
        )
    )
    trials: list[DesignTrial] = []
    for count in (4, 2, 0):
        found = propose(space, trials, 4, 1, 0)
        assert len(found) == count
        trials += [DesignTrial(design, (sum(design),), 0.0) for design in found]


def test_all_trials_may_be_infeasible() -> None:
    """Then those that miss by least lead on."""
    trials = [
        DesignTrial(trial.design, (0.0,), 1.0 + trial.objectives[0])
        for trial in search(cheapest, 1, 1, 32)
    ]
    assert len(propose(SPACE, trials, BATCH, 1, 1)) == BATCH


def test_the_terminal_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """A library of the search says nothing by itself."""
    propose(SPACE, [], BATCH, 1, 0)
    assert capfd.readouterr() == ("", "")


def test_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        InputError, match=r"optuna: pip install 'shardplan\[codesign\]'"
    ):
        propose(SPACE, [], BATCH, 1, 0)
