"""Import paths of release 0.1 give what is at the new place, with a warning."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shardplan import errors
from shardplan.imports import MOVED, home_of

if TYPE_CHECKING:
    from pathlib import Path


def fresh(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own: modules are imported once per process."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_path_gives_new_names(old: str) -> None:
    """Every public name of the new module is found at the old path, the same object."""
    sys.modules.pop(f"shardplan.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"shardplan.{MOVED[old]} now"):
        module = importlib.import_module(f"shardplan.{old}")
    new = importlib.import_module(f"shardplan.{MOVED[old]}")
    public = [name for name in vars(new) if not name.startswith("_")]
    assert all(getattr(module, name) is getattr(new, name) for name in public)


def test_names_of_split_modules() -> None:
    """What left a module is still found under its old path."""
    code = """if True:
        from shardplan.plan import Inputs, Outcome, Plan, TablePlacement, dump
        from shardplan.plan import parse_ranks
        from shardplan.io.plan_file import format_plan, read_plan
        from shardplan.options.arrays import Options
        from shardplan.sharding import Scope, ShardingType
        import shardplan.problem
        print(TablePlacement.__module__, Inputs.__module__, Options.__module__)
        print(shardplan.problem.Problem.__module__, read_plan == Plan.load)
        print(Scope.__module__, int(Scope.HOST))
    """
    done = fresh(code)
    assert done.stdout.split() == [
        "shardplan.records.placement",
        "shardplan.records.inputs",
        "shardplan.problems.options.arrays",
        "shardplan.problems.problem",
        "True",
        "shardplan.costs.scopes",
        "1",
    ]


def test_warning_names_the_importing_line() -> None:
    """A plug-in's author sees which line to change, and to what."""
    done = fresh("\n\nimport shardplan.problem", "-W", "always")
    assert "<string>:3: DeprecationWarning: shardplan.problem is" in done.stderr
    assert "shardplan.problems.problem now" in done.stderr


@pytest.mark.parametrize(
    "path",
    ["shardplan.solve", "shardplan.solvers.base", "shardplan.integrations.torchrec"],
)
def test_paths_that_stay(path: str) -> None:
    """They are not on the list."""
    assert home_of(path) is None


def test_missing_module_is_missing() -> None:
    """What never was there fails as any import does."""
    sys.modules.pop("shardplan.options", None)
    old = pytest.warns(DeprecationWarning, match=r"shardplan\.options is")
    with old, pytest.raises(ModuleNotFoundError):
        importlib.import_module("shardplan.options.nothing")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shardplan.nothing")
    sys.modules.pop("shardplan.loads", None)
    old = pytest.warns(DeprecationWarning, match=r"shardplan\.loads is")
    with old, pytest.raises(ImportError, match="nothing"):
        exec("from shardplan.loads import nothing")


def test_files_left_behind_are_not_used(tmp_path: Path) -> None:
    """After an upgrade over an old release its files may still lie there."""
    code = f"""if True:
        import shardplan
        from pathlib import Path
        shardplan.__path__.insert(0, {str(tmp_path)!r})
        Path({str(tmp_path)!r}, "plan.py").write_text("Plan = None")
        from shardplan.plan import Plan
        print(Plan)
    """
    assert "shardplan.plans.plan.Plan" in fresh(code).stdout


def test_renamed_class() -> None:
    """A fault of an input is no planning problem."""
    with pytest.warns(DeprecationWarning, match=r"errors\.Fault"):
        assert errors.Problem is errors.Fault
    with pytest.raises(AttributeError, match="nothing"):
        _ = errors.nothing


def test_old_path_runs_as_a_module(tmp_path: Path) -> None:
    """``python -m`` asks for the code, and does not import."""
    command = [sys.executable, "-W", "always", "-m", "shardplan.io.schema"]
    done = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "shardplan.plans.schemas now" in done.stderr
    assert (tmp_path / "plan.json").exists()


def test_planning_needs_no_graphs() -> None:
    """What takes long to import is left to the few problems that need it."""
    code = "import sys, shardplan.planning.planner; print('networkx' in sys.modules)"
    assert fresh(code).stdout.split() == ["False"]
