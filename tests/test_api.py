"""The public names are what the package promises, and importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import shardplan


@pytest.mark.parametrize("name", shardplan.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each name in ``__all__`` can be imported and, unless a value, is documented."""
    value = getattr(shardplan, name)
    assert isinstance(value, str) or value.__doc__


def test_unknown_names_are_refused() -> None:
    """A typo gives Python's own error."""
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        shardplan.slove  # noqa: B018


def test_type_checkers_see_the_names_that_users_see() -> None:
    """The lazy table and the names declared for type checkers agree."""
    assert shardplan.__file__ is not None
    source = Path(shardplan.__file__).read_text(encoding="utf-8")
    declared = {
        line.rsplit(" as ", 1)[1]
        for line in source.splitlines()
        if line.startswith("    from shardplan")
    }
    assert declared | {"__version__"} == set(shardplan.__all__)


def test_import_is_light() -> None:
    """Importing the package, and asking for help, loads no heavy library."""
    heavy = ["numpy", "pandas", "pydantic", "networkx", "rich", "pulp", "highspy"]
    for command in ("import shardplan", "import shardplan.cli.main"):
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
