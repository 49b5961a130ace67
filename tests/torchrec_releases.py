"""Run the tests of the bridge with every TorchRec that it takes.

`make test-torchrec` runs this, with the standard library alone. Each pair of TorchRec
and FBGEMM has an environment of its own under ``build/torchrec``, 2 GB, or 6 with torch
for GPUs. Where that cannot be installed, it is only said.
``--here`` installs the pair of `make test` for the Python that runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "torchrec"
NEEDS = ("tensordict", "torchmetrics", "pyre-extensions", "iopath", "tqdm")
"""What TorchRec needs besides torch and FBGEMM; its own pins ask for GPUs."""


class Pair(NamedTuple):
    """Releases that go together."""

    torch: str
    torchrec: str
    fbgemm: str


PAIRS = {
    "1.8": Pair("2.13.0+cpu", "1.8.0", "1.8.0"),
    "1.9": Pair("2.13.0+cpu", "1.9.2", "1.8.0"),
    "1.9-full": Pair("2.14.1", "1.9.2", "1.9.0"),
}
USUAL, OPTIONAL = "1.9", ("1.9-full",)
"""The pair of `make test`, and those that need not be there."""


def main() -> int:
    """Run the pairs that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PAIRS)}; all if none")
    parser.add_argument("--here", action="store_true", help="install the usual pair")
    given = parser.parse_args()
    if given.here:
        return int(not install(sys.executable, PAIRS[USUAL]))
    unknown = set(given.names) - set(PAIRS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PAIRS)}")
    lines, is_wrong = [], False
    for name in given.names or PAIRS:
        began = time.monotonic()
        error = run(name, PAIRS[name])
        is_missing = error == "cannot be installed" and name in OPTIONAL
        is_wrong |= bool(error) and not is_missing
        lines.append(f"{name:9} {time.monotonic() - began:5.0f} s  {error or 'passed'}")
    for line in lines:
        say(line)
    return int(is_wrong)


def say(text: str) -> None:
    """Print at once, before what a child prints next."""
    print(text, flush=True)  # noqa: T201


def run(name: str, pair: Pair) -> str:
    """Make an environment and run its tests; return what went wrong, if anything."""
    say(f"\n{name}: TorchRec {pair.torchrec}, FBGEMM {pair.fbgemm}, torch {pair.torch}")
    folder = FOLDER / name
    python = str(folder / "bin" / "python")
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    own = _pip(python, "--editable", f"{ROOT}[dev]")
    if not (own and install(python, pair)):
        return "cannot be installed"
    if subprocess.run([python, "-W", "ignore", "-c", "import torchrec"]).returncode:
        return "does not load"  # its tests would only be left out
    tests = ["-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    tests += ["-p", "no:cacheprovider", "tests/integrations/torchrec"]
    # Tests start many processes; each would compile all that it imports.
    shared = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run([python, *tests], cwd=ROOT, env=shared)
    return f"tests ended with exit code {done.returncode}" if done.returncode else ""


def install(python: str, pair: Pair) -> bool:
    """Install a pair; whether that could be done."""
    names = (f"torchrec=={pair.torchrec}", f"fbgemm-gpu-cpu=={pair.fbgemm}")
    return (
        _pip(python, f"torch=={pair.torch}")
        and _pip(python, "--no-deps", *names)
        and _pip(python, *NEEDS)
    )


def newest() -> str | None:
    """Return the newest TorchRec that the index has, None if it has none."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
    command += ["--no-deps", "--ignore-installed", "--report", "-", "torchrec"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    (found,) = json.loads(done.stdout)["install"]
    return str(found["metadata"]["version"])


def run_newest() -> str:
    """Test a TorchRec that is newer than all pairs, with the usual FBGEMM and torch."""
    found = newest()
    if found is None:
        say("The index has no TorchRec: the newest one is not tested.")
        return ""
    if found in {pair.torchrec for pair in PAIRS.values()}:
        say(f"TorchRec {found} is the newest: `make test` and `make test-torchrec`.")
        return ""
    return run("newest", PAIRS[USUAL]._replace(torchrec=found))


def _pip(python: str, *what: str) -> bool:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return not subprocess.run([*command, *what]).returncode


if __name__ == "__main__":
    sys.exit(main())
