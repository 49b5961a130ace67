"""Many mutants, each of its own seed: count what became of them, and time them."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Try = Callable[[Random, Path], str]

MOST_S = 10.0
"""Processor time that no mutant may take [s]."""


@dataclass
class Tally:
    """What became of the mutants.

    Attributes
    ----------
    outcomes : Counter
        How many had which outcome.
    failures : list of str
        Number of the mutant, and the traceback or time that it should not have.
    slowest_s : float
        Processor time of the slowest [s].
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def __str__(self) -> str:
        """Show counts and the slowest."""
        lines = [f"{n:9,} {name}" for name, n in sorted(self.outcomes.items())]
        lines.append(f"slowest: {self.slowest_s:.2f} s")
        lines.append(f"failures: {len(self.failures)}")
        return "\n".join(lines)


def run_campaign(try_mutant: Try, numbers: Iterable[int], seed: int) -> Tally:
    """Try mutants and say at once what fails; number n of a seed never changes."""
    tally = Tally()

    def fail(text: str) -> None:
        tally.failures.append(text)
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            rng, start = Random(f"{seed}-{number}"), time.process_time()
            try:
                tally.outcomes[try_mutant(rng, Path(folder))] += 1
            except Exception:
                fail(f"mutant {number}:\n{traceback.format_exc()}")
            taken = time.process_time() - start
            tally.slowest_s = max(tally.slowest_s, taken)
            if taken > MOST_S:
                fail(f"mutant {number}: {taken:.1f} s")
    return tally
