"""Run the tests with the newest and the lowest dependencies, on all Pythons found.

`make test-versions` runs this, with the standard library alone. It makes an
environment per Python and end under ``build/versions``: ``newest`` has the newest
releases that ``pyproject.toml`` allows, resolved anew each time; ``lowest`` the lowest
that it declares and that have a wheel for the Python, on the first and the last one if
not named. They run the part of the tests that touches dependencies; `make test` has run
all of them with the newest releases on the Python that runs this, which are left out
here if not named. They do so on the first Python with the lowest releases and on the
last one with the newest; what is between runs less. The newest Python with these, named
as ``RUNS=3.13-newest``, runs all but the slow ones.
``torchrec`` runs those of the bridge where the index has a TorchRec newer than known.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests import torchrec_releases

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "versions"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ENDS = {"newest": "highest", "lowest": "lowest-direct"}
"""Names of both ends, and uv's of how to resolve them."""
TORCHREC = "torchrec"
PART = (
    "tests/cli/test_catalogues.py",
    "tests/cli/test_console.py",
    "tests/cli/test_contract.py",
    "tests/cli/test_help.py",
    "tests/cli/test_progress.py",
    "tests/costs/communication/test_graph.py",
    "tests/costs/communication/test_routing.py",
    "tests/exporters",
    "tests/io/test_broken_files.py",
    "tests/plans/test_plan_file.py",
    "tests/plans/test_schemas.py",
    "tests/io/test_table_file.py",
    "tests/io/test_toml.py",
    "tests/report",
    "tests/solvers/test_ilp.py",
    "tests/solvers/test_linear_choice.py",
    "tests/statistics/test_ids.py",
    "tests/statistics/test_measure.py",
    "tests/studies/codesign/test_proposals.py",
    "tests/studies/codesign/test_hypervolume.py",
    "tests/test_api.py",
    "tests/plans/test_frames.py",
    "tests/certify/test_highs.py",
    "tests/records/test_records.py",
)
"""What touches click, highspy, moocore, networkx, optuna, pandas, pulp, pyarrow,
pydantic, rich, scipy: once each, in real processes where that matters."""
LITTLE = (
    "tests/certify/test_highs.py",
    "tests/io/test_table_file.py",
    "tests/plans/test_frames.py",
    "tests/solvers/test_ilp.py",
    "tests/statistics/test_ids.py",
    "tests/studies/codesign/test_hypervolume.py",
    "tests/test_api.py",
)
"""What shows that all of these can be installed and used, where Pythons before and
after run more."""


class Run(NamedTuple):
    """What became of one environment."""

    name: str
    error: str
    seconds: float


def main() -> int:
    """Run all environments, or those that are named; say what is missing."""
    parser = argparse.ArgumentParser(description="Test with both ends of dependencies.")
    parser.add_argument("names", nargs="*", help="such as 3.13-lowest; all if none")
    wanted = parser.parse_args().names
    found = {version: path for version in PYTHONS if (path := find_python(version))}
    for version in PYTHONS:
        if version not in found:
            say(f"Python {version} is missing: not tested.")
    names = [f"{version}-{end}" for version in found for end in ENDS] + [TORCHREC]
    unknown = set(wanted) - set(names)
    if unknown or not found:
        say(f"Unknown: {', '.join(unknown)}. Known: {', '.join(names)}.")
        return 2
    whole = f"{max(found, key=PYTHONS.index)}-newest"
    uv = install_uv()
    runs = []
    for name in wanted or [n for n in names if n not in spared(list(found))]:
        began = time.monotonic()
        if name == TORCHREC:
            error = torchrec_releases.run_newest()
        else:
            version, _, end = name.partition("-")
            some: tuple[str, ...] = PART if name in wanted else part_of(name, found)
            tests = () if name == whole and name in wanted else some
            error = test(uv, name, found[version], ENDS[end], tests)
        runs.append(Run(name, error, time.monotonic() - began))
    for run in runs:
        say(f"{run.name:12} {run.seconds:5.0f} s  {run.error or 'passed'}")
    return int(any(run.error for run in runs))


def spared(found: list[str]) -> set[str]:
    """Return what is not run unless it is named, of Pythons in their order.

    Those are the lowest between both ends, and what `make test` has.
    """
    newest_here = "{}.{}-newest".format(*sys.version_info)
    return {f"{version}-lowest" for version in found[1:-1]} | {newest_here}


def part_of(name: str, found: Iterable[str]) -> tuple[str, ...]:
    """Return what is run in an environment that is not named."""
    known = sorted(found, key=PYTHONS.index)
    ends = (f"{known[0]}-lowest", f"{known[-1]}-newest")
    return PART if name in ends else LITTLE


def say(text: str) -> None:
    """Print at once, before what a child prints next."""
    print(text, flush=True)  # noqa: T201


def find_python(version: str) -> str | None:
    """Return a Python of a version that works, on the PATH or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [shutil.which(f"python{version}")]
    places += sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))
    for place in filter(None, places):
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([place, "-c", code], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return place
    return None


def install_uv() -> str:
    """Install uv, which resolves to the lowest versions; pip cannot."""
    folder = FOLDER / "uv"
    uv = folder / "bin" / "uv"
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", "uv"], check=True)
    return str(uv)


def test(
    uv: str, name: str, python: str, resolution: str, tests: tuple[str, ...]
) -> str:
    """Make an environment and run tests there, all if none are given.

    Returns
    -------
    str
        What went wrong, if anything.
    """
    folder = FOLDER / name
    say(f"\n{name}")
    pins = resolve(uv, folder, python, resolution)
    if pins is None:
        return "cannot be resolved"
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", python, folder], check=True)
    to = ["--quiet", "--python", str(folder)]
    steps = [
        [uv, "pip", "sync", *to, "--only-binary", ":all:", str(pins)],
        [uv, "pip", "install", *to, "--no-deps", "--editable", str(ROOT)],
    ]
    if any(subprocess.run(step, cwd=ROOT).returncode for step in steps):
        return "cannot be installed"
    pytest = ["-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    pytest += [
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow and not benchmark and not long",
    ]
    # Tests start many processes; each would compile all that it imports.
    shared = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [folder / "bin" / "python", *pytest, *tests], cwd=ROOT, env=shared
    )
    return f"tests ended with exit code {done.returncode}" if done.returncode else ""


def resolve(uv: str, folder: Path, python: str, resolution: str) -> Path | None:
    """Write the versions of everything to install, and show those declared.

    The ends are of the package's own dependencies; tools of the tests are the newest.
    """
    own, pins = Path(f"{folder}.own.txt"), Path(f"{folder}.txt")
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [uv, "pip", "compile", "--quiet", "--refresh", "--no-header"]
    command += ["--python", python, "--only-binary", ":all:", "pyproject.toml"]
    first = ["--extra", "parquet", "--no-annotate", "--resolution", resolution]
    second = ["--extra", "dev", "--constraint", str(own)]
    for rest, path in ((first, own), (second, pins)):
        path.unlink(missing_ok=True)  # uv keeps the versions of a file that is there
        done = subprocess.run([*command, *rest, "-o", path], cwd=ROOT)
        if done.returncode:
            return None
    say(" ".join(own.read_text(encoding="utf-8").split()))
    return pins


if __name__ == "__main__":
    sys.exit(main())
