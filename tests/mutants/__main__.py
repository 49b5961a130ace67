"""Mutation run; see docs/development/testing.md and ``--help``."""

from __future__ import annotations

import argparse
import math
import random
import sys
import tomllib
from collections import Counter
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

from tests.mutants.operators import Mutant, mutants
from tests.mutants.process import HEAVY, ROOT, Fate, run_tests

SETTINGS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
LONGEST_S = 600
"""Processor time that tests may take on unchanged code [s]."""
TIMES_AS_LONG, SLACK_S = 3, 5
"""How many times that, and how much more, a mutant's tests may take [s]."""


def main() -> None:
    """Try random mutants; exit code 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules whose name contains this")
    args = parser.parse_args()
    pool = [
        (module, mutant)
        for module in modules()
        if (args.only in module if args.only else not is_search(module))
        for mutant in mutants(path_of(module).read_text(encoding="utf-8"))
        if not is_equivalent(module, mutant)
    ]
    chosen = random.Random(args.seed).sample(pool, min(args.count, len(pool)))
    for name in HEAVY:
        import_module(name)
    fates: Counter[Fate] = Counter()
    limits: dict[tuple[str, ...], int] = {}
    for module, mutant in chosen:
        tests = files_for(module)
        if tests not in limits:
            limits[tests] = _limit_s(module, tests)
        end = run_tests(module, mutant.source, tests, limits[tests]).fate
        fates[end] += 1
        print(f"{end:9}{module}:{mutant.line}: {mutant.change}", flush=True)  # noqa: T201
    print(", ".join(f"{n} {end}" for end, n in fates.items()), f"of {len(pool)}")  # noqa: T201
    sys.exit(bool(fates[Fate.SURVIVED]))


def _limit_s(module: str, tests: tuple[str, ...]) -> int:
    """Return the processor time that tests may take on a mutant [s].

    Stops if they fail anyway: then they would kill every mutant.
    """
    source = path_of(module).read_text(encoding="utf-8")
    end, taken_s = run_tests(module, source, tests, LONGEST_S)
    if end is not Fate.SURVIVED:
        sys.exit(f"without a change these tests do not pass: {' '.join(tests)}")
    return SLACK_S + TIMES_AS_LONG * math.ceil(taken_s)


def modules() -> list[str]:
    """Return the modules that are changed, in order."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for pattern in SETTINGS["modules"]
        for path in (ROOT / "shardplan").glob(f"{pattern}.py")
        if path.stem != "__init__"
    )


def is_search(module: str) -> bool:
    """Whether what a module finds is verified by another one."""
    return module.rpartition(".")[2] in SETTINGS["searches"]


def path_of(module: str) -> Path:
    """Return the file of a module."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def files_for(module: str) -> tuple[str, ...]:
    """Return the test files of a module: those of the first pattern that fits."""
    short = module.removeprefix("shardplan.")
    return next(tuple(t) for p, t in SETTINGS["tests"].items() if fnmatch(short, p))


def is_equivalent(module: str, mutant: Mutant) -> bool:
    """Whether a mutant is known to do what the original does."""
    return any(excludes(entry, module, mutant) for entry in SETTINGS["equivalent"])


def excludes(entry: dict[str, str], module: str, mutant: Mutant) -> bool:
    """Whether an entry is about this change of this line."""
    if not module.endswith(entry["module"]) or mutant.change != entry["change"]:
        return False
    line = path_of(module).read_text(encoding="utf-8").splitlines()[mutant.line - 1]
    return line.strip() == entry["code"]


if __name__ == "__main__":
    main()
