"""Run tests on a changed module, in a process of its own."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import resource
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 150
"""Processor time after which a mutant counts as one that runs for ever [s]."""
HEAVY = ("numpy", "pandas", "pydantic", "scipy.optimize", "scipy.sparse")
"""Imported once, before the first mutant."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    ENDLESS = "endless"


def fate(module: str, source: str, tests: Sequence[str]) -> Fate:
    """Run tests with the module's source replaced.

    Parameters
    ----------
    module : str
        For example ``shardplan.costs.access``; not imported yet.
    tests : sequence of str
        Test files, those that fail first in front.
    """
    assert not any(name.startswith("shardplan.") for name in sys.modules)
    child = os.fork()
    if child == 0:
        os._exit(_run(module, source, tests))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Fate.ENDLESS
    return Fate.SURVIVED if os.WEXITSTATUS(status) == 0 else Fate.KILLED


def _run(module: str, source: str, tests: Sequence[str]) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.meta_path.insert(0, _Changed(module, source))
    options = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    return int(pytest.main([*options, *tests]))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module and loads other code for it."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(
        self, fullname: str, path: object, target: object = None
    ) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        file = ROOT.joinpath(*fullname.split(".")).with_suffix(".py")
        return importlib.util.spec_from_file_location(fullname, file, loader=self)

    def exec_module(self, module: object) -> None:
        code = compile(self.source, self.module, "exec")
        exec(code, module.__dict__)
