"""What is declared about dependencies, and the run that holds it together."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests import versions

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((versions.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
DECLARED = [
    *PROJECT["project"]["dependencies"],
    *EXTRAS["parquet"],
    *EXTRAS["torchrec"],
]


@pytest.mark.parametrize("requirement", DECLARED)
def test_every_dependency_has_a_lowest_release(requirement: str) -> None:
    """Without one, installers may take a release that nobody has ever tried."""
    assert re.fullmatch(r"[a-z0-9-]+>=\d+(\.\d+)*(,<\d+(\.\d+)*)?", requirement)


def test_pythons_are_those_that_are_declared() -> None:
    """Each Python that the package says it supports is looked for."""
    kind = "Programming Language :: Python :: "
    declared = [c for c in PROJECT["project"]["classifiers"] if c.startswith(kind)]
    supported = {name.removeprefix(kind) for name in declared} - {"3"}
    assert supported <= set(versions.PYTHONS)


def test_tests_of_the_part_are_there() -> None:
    """The part of the suite that touches dependencies names files that exist."""
    names = {*versions.PART, *versions.LITTLE}
    assert not [name for name in names if not (versions.ROOT / name).exists()]
    assert set(versions.LITTLE) <= set(versions.PART)


def test_pythons_between_run_less() -> None:
    """The lowest of all and the newest of all run all that touches dependencies."""
    found = ["3.12", "3.13", "3.11"]
    newest = [versions.part_of(f"{v}-newest", found) for v in sorted(found)]
    assert newest == [versions.LITTLE, versions.LITTLE, versions.PART]
    lowest = [versions.part_of(f"{v}-lowest", found) for v in sorted(found)]
    assert lowest == [versions.PART, versions.LITTLE, versions.LITTLE]
    assert versions.part_of("3.13-newest", ["3.13"]) == versions.PART


def test_what_says_nothing_new_is_left_out() -> None:
    """The lowest releases run on both ends, the newest not where `make test` ran."""
    own = "{}.{}".format(*sys.version_info)
    assert versions.spared(["3.8", "3.9", own, "4.0"]) == {
        "3.9-lowest",
        f"{own}-lowest",
        f"{own}-newest",
    }


def test_pythons_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that works is found; one that fails, as pyenv's may, or lies is not."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / f"python{own}").symlink_to(sys.executable)
    for name, line in {"python3.97": "exit 1", "python3.98": "echo 3.11"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = {name: versions.find_python(name) for name in (own, "3.97", "3.98", "2.9")}
    working = str(tmp_path / f"python{own}")
    assert found == {own: working, "3.97": None, "3.98": None, "2.9": None}


def test_unknown_environment() -> None:
    """A name that is none of the environments is refused, with those there are."""
    command = [sys.executable, "-m", "tests.versions", "3.11-oldest"]
    done = subprocess.run(
        command, cwd=versions.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Unknown: 3.11-oldest. Known: " in done.stdout
