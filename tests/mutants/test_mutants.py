"""The mutation run itself: what it changes, and what it runs."""

from __future__ import annotations

import ast
import textwrap

import pytest

from tests.mutants.__main__ import (
    SETTINGS,
    excludes,
    files_for,
    is_equivalent,
    is_search,
    modules,
    path_of,
)
from tests.mutants.operators import mutants
from tests.mutants.process import ROOT


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants(textwrap.dedent(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b <= c", ["a < b <= c  ->  a <= b <= c", "a < b <= c  ->  a < b < c"]),
        ("a + b * c", ["a + b * c  ->  a - b * c", "b * c  ->  b / c"]),
        ("a and b", ["a and b  ->  a or b"]),
        ("f(True)", ["True  ->  False"]),
        ("x = 3", ["3  ->  4"]),
        ("x = 0.5", ["0.5  ->  1.5", "0.5  ->  0.45"]),
        ("-x", ["-x  ->  +x"]),
        ("min(x)", ["min  ->  max"]),
        ("np.minimum(x)", ["np.minimum  ->  np.maximum"]),
        ("if a:\n    b()", ["if a:  ->  if not a:"]),
        ("x: int = f(a)", []),
        ("raise ValueError(1 + 2)", []),
        ("assert a < b", []),
        ("f'{a + b}'", []),
        ("'''Docs 1 + 2.'''", []),
        ("if TYPE_CHECKING:\n    x = 1 + 2", []),
        ("zip(a, strict=True)", []),
    ],
)
def test_what_is_changed(source: str, expected: list[str]) -> None:
    """Operators, numbers, conditions and names; no types, messages or assertions."""
    assert changes(source) == expected


def test_one_change_at_a_time() -> None:
    """Every mutant differs from the original, and from all others."""
    source = path_of("shardplan.costs.memory.row_bins").read_text(encoding="utf-8")
    found = [mutant.source for mutant in mutants(source)]
    assert len(set(found)) == len(found) > 100
    assert ast.unparse(ast.parse(source)) not in found


@pytest.mark.parametrize("module", modules())
def test_every_module_has_tests(module: str) -> None:
    """The files that the settings name are there."""
    names = [test.partition("::")[0] for test in files_for(module)]
    assert all((ROOT / name).exists() for name in names)


def test_equivalent_mutants_exist_and_say_why() -> None:
    """An exclusion that fits no mutant any more must go."""
    for entry in SETTINGS["equivalent"]:
        module = next(m for m in modules() if m.endswith(entry["module"]))
        found = mutants(path_of(module).read_text(encoding="utf-8"))
        assert any(excludes(entry, module, mutant) for mutant in found), entry
        assert entry["reason"]


def test_an_exclusion_is_about_one_line() -> None:
    """The same change elsewhere in the module is still tried."""
    module = "shardplan.certify.infeasible"
    found = mutants(path_of(module).read_text(encoding="utf-8"))
    same = [mutant for mutant in found if mutant.change == "0.0  ->  -1.0"]
    assert 0 < sum(is_equivalent(module, mutant) for mutant in same) < len(same)


def test_searches_are_modules_of_certify() -> None:
    """A name that fits no module any more must go; the verifier is no search."""
    found = [module for module in modules() if is_search(module)]
    assert len(found) == len(SETTINGS["searches"])
    assert all(module.startswith("shardplan.certify.") for module in found)
    assert "shardplan.certify.verify" not in found
