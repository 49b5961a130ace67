"""Is a co-design worth its optimiser? Its designs against as many drawn at random.

``make bench-codesign`` runs the shipped examples with several seeds. Points are kept
under ``build/bench-codesign``: a second call runs only what is new.
"""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import closing
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import numpy as np

from shardplan.studies.codesign.progress import history
from shardplan.studies.codesign.space import DesignSpace
from shardplan.studies.codesign.strategy import optimised_points
from shardplan.studies.directory import ResultFolder
from shardplan.studies.expand import PointMaker
from shardplan.studies.journal import JournalWriter
from shardplan.studies.pools.local import LocalPool
from shardplan.studies.session import Session
from shardplan.studies.spec import StudySpec, load_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.studies.codesign.space import Coordinates, DesignVariable
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.study import StudyRow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "studies"
NAMES = ("cheapest-dlrm", "merlin-price-of-speed")
SHARES = (1 / 3, 2 / 3, 1)


def main() -> None:
    """Print a table for each example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("-o", "--output", default="build/bench-codesign")
    options = parser.parse_args()
    for name in options.names:
        sys.stdout.write(compare(name, range(options.seeds), Path(options.output)))
        sys.stdout.write("\n\n")


def compare(name: str, seeds: Sequence[int], folder: Path) -> str:
    """Return a table of how far both come with the same numbers of points."""
    spec = load_spec(EXAMPLES / f"{name}.toml")
    codesign = spec.file.codesign
    assert codesign is not None
    counts = [math.ceil(codesign.points * share) for share in SHARES]
    found: dict[str, list[list[float]]] = {"optimiser": [], "random": []}
    for seed in seeds:
        changes = {"codesign": codesign.replace(seed=seed)}
        seeded = StudySpec.of(
            spec.file.replace(**changes),
            EXAMPLES,
            where=spec.where,
            sources=spec.sources,
        )
        for who, rows in both(seeded, folder / name).items():
            values = [history(seeded, rows[:count])[-1].best for count in counts]
            found[who].append([math.nan if v is None else v for v in values])
    is_area = len(codesign.minimise) + len(codesign.maximise) > 1
    what = "hypervolume" if is_area else (*codesign.minimise, *codesign.maximise)[0]
    lines = [
        f"{name}: {what} after points, {len(seeds)} seeds: mean ± deviation\n",
        "| points | optimiser | random | ratio of means | ratio per seed |",
        "|---|---|---|---|---|",
    ]
    for column, count in enumerate(counts):
        ours, theirs = ([run[column] for run in found[who]] for who in found)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        lines.append(
            f"| {count} | {spread(ours)} | {spread(theirs)} "
            f"| {mean(ours) / mean(theirs):.3f} "
            f"| {min(ratios):.3f} to {max(ratios):.3f} |"
        )
    return "\n".join(lines)


def both(spec: StudySpec, directory: Path) -> dict[str, Sequence[StudyRow]]:
    """Return the rows of the optimiser, and those of designs drawn at random."""
    folder = ResultFolder(directory)
    with folder.to_write():
        journal = folder.journal()
        with closing(JournalWriter(folder.journal_path, journal)) as writer:
            session = Session(spec, (), journal, writer, LocalPool)
            return {
                "optimiser": optimised_points(session),
                "random": session.rows(drawn_points(spec)),
            }


def drawn_points(spec: StudySpec) -> list[StudyPoint]:
    """Return as many different points, each knob drawn evenly by itself."""
    codesign = spec.file.codesign
    assert codesign is not None
    space, maker = DesignSpace.of(codesign), PointMaker(spec)
    rng = np.random.default_rng(codesign.seed)
    designs: dict[Coordinates, None] = {}
    while len(designs) < codesign.points:
        designs[space.settle([draw(v, rng) for v in space.variables])] = None
    return [maker.make(i, space.values(design)) for i, design in enumerate(designs)]


def draw(variable: DesignVariable, rng: np.random.Generator) -> float:
    """Return a coordinate."""
    if variable.choices:
        return float(rng.integers(len(variable.choices)))
    low, high = variable.bounds
    if variable.is_log:
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))
    return float(rng.uniform(low, high))


def spread(values: Sequence[float]) -> str:
    """Return mean and deviation."""
    return f"{mean(values):.4g} ± {stdev(values) if len(values) > 1 else 0:.2g}"


if __name__ == "__main__":
    main()
