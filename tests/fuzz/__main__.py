"""Fuzz plans or input files: ``python -m tests.fuzz plans --count 100000``."""

from __future__ import annotations

import argparse
import sys
import warnings

from tests.fuzz import inputs, plans
from tests.fuzz.campaign import run_campaign

KINDS = {"plans": plans.try_mutant, "inputs": inputs.try_mutant}


def main() -> None:
    """Run what the command line asks for; exit code 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("error")  # as in all tests
    numbers = range(args.first, args.first + args.count)
    tally = run_campaign(KINDS[args.kind], numbers, args.seed)
    print(tally)  # noqa: T201
    sys.exit(bool(tally.failures))


if __name__ == "__main__":
    main()
