"""The public names are what the package promises, and importing it is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import shardplan
import shardplan.exporters
import shardplan.solvers

if TYPE_CHECKING:
    from types import ModuleType

FACES = [shardplan, shardplan.exporters, shardplan.solvers]
"""Packages that others import names from."""


@pytest.mark.parametrize("name", shardplan.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each name in ``__all__`` can be imported and, unless a value, is documented."""
    value = getattr(shardplan, name)
    assert isinstance(value, str) or value.__doc__


def test_unknown_names_are_refused() -> None:
    """A typo gives Python's own error."""
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        shardplan.slove  # noqa: B018


def declared(package: ModuleType) -> set[str]:
    """Names that a package imports for type checkers alone."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    return {
        alias.asname
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for line in ast.walk(block)
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
        if alias.asname
    }


@pytest.mark.parametrize("package", FACES, ids=lambda package: package.__name__)
def test_faces(package: ModuleType) -> None:
    """What users, and authors of plug-ins, import: all that is listed is there."""
    own = {name for name in vars(package) if name in package.__all__}
    assert declared(package) | own == set(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)


def test_import_is_light() -> None:
    """Importing the package, and asking for help, loads no heavy library."""
    heavy = ["numpy", "pandas", "pydantic", "networkx", "rich", "pulp", "highspy"]
    packages = [face.__name__ for face in FACES]
    for command in ("import shardplan.cli.main", f"import {', '.join(packages)}"):
        code = f"{command}; import sys; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == "[]", command


def test_the_core_needs_neither_torch_nor_dask() -> None:
    """Solving a model imports no deep-learning or cluster library."""
    code = (
        "import shardplan, sys;"
        "shardplan.solve('movielens-ncf', 'dgx-a100-40', solver='greedy');"
        "print([m for m in ('torch', 'dask', 'distributed') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_functions_are_not_hidden_by_modules() -> None:
    """Importing all modules, but those that need torch, hides no public function."""
    code = (
        "import pkgutil, importlib, shardplan\n"
        "path, skip = shardplan.__path__, ('__main__', '.integrations.')\n"
        "for module in pkgutil.walk_packages(path, 'shardplan.', lambda name: 0):\n"
        "    if not any(part in module.name for part in skip):\n"
        "        importlib.import_module(module.name)\n"
        "names = [n for n in shardplan.__all__ if n != '__version__']\n"
        "print([n for n in names if not callable(getattr(shardplan, n))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
