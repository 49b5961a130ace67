"""Run tests on a changed module, in a process of its own."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import resource
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "pandas", "pydantic", "scipy.optimize", "scipy.sparse")
"""Imported once, before the first mutant."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    ENDLESS = "endless"


class Run(NamedTuple):
    """What became of a mutant, and the processor time of its tests [s]."""

    fate: Fate
    taken_s: float


def run_tests(module: str, source: str, tests: Sequence[str], limit_s: int) -> Run:
    """Run tests with the module's source replaced.

    Parameters
    ----------
    module : str
        For example ``shardplan.costs.memory.access``; not imported yet.
    tests : sequence of str
        Test files, those that fail first in front.
    limit_s : int
        Processor time after which the mutant counts as one that runs for ever [s].
    """
    assert not any(name.startswith("shardplan.") for name in sys.modules)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
        os._exit(_run(module, source, tests))
    _, status, usage = os.wait4(child, 0)
    taken_s = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        return Run(Fate.ENDLESS, taken_s)
    passed = os.WEXITSTATUS(status) == 0
    return Run(Fate.SURVIVED if passed else Fate.KILLED, taken_s)


def _run(module: str, source: str, tests: Sequence[str]) -> int:
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
