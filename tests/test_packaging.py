"""The wheel carries the catalogues and works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from shardplan.io import catalog

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel once, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run(
        [*command, "--outdir", str(folder), str(ROOT)], check=True, capture_output=True
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_the_catalogues_and_nothing_else(wheel: Path) -> None:
    """Data files are inside the package; raw measurements and scripts are not."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "shardplan/library/topologies/zionex.toml" in names
    assert "shardplan/library/workloads/merlin-colossal.csv" in names
    assert "shardplan/py.typed" in names
    assert "shardplan/library/measurements/mlperf-dcnv2.json" in names
    assert not [name for name in names if "cost_models/measurements/" in name]
    tops = {name.split("/")[0] for name in names}
    assert tops == {"shardplan", f"shardplan-{_version()}.dist-info"}


def test_an_installed_wheel_lists_and_solves(wheel: Path, tmp_path: Path) -> None:
    """In a fresh virtual environment, from another directory."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    site = next(environment.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    # Dependencies come from this environment; shardplan itself must not.
    dependencies = next(p for p in sys.path if (Path(p) / "numpy").is_dir())
    (site / "dependencies.pth").write_text(dependencies + "\n", encoding="utf-8")
    python = environment / "bin" / "python"

    def run(*arguments: str) -> str:
        return subprocess.run(
            [str(python), "-m", "shardplan", *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
        ).stdout

    listed = run("topology", "list", "--format", "json")
    assert all(f'"{name}"' in listed for name in catalog.names("topologies"))
    run(
        "solve", "criteo-kaggle", "--topology", "dgx-a100-40", "--solver", "greedy",
        "-o", "plan.json",
    )  # fmt: skip
    assert "valid" in run("check", "plan.json")


def test_the_checkout_holds_no_copy_of_the_catalogues() -> None:
    """The folder that only a wheel has must never exist in the source tree."""
    assert not (ROOT / "shardplan" / "library").exists()


def _version() -> str:
    from shardplan.version import VERSION

    return VERSION


def test_versions_agree() -> None:
    """The version in pyproject.toml is the one that plans carry."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{_version()}"' in text
