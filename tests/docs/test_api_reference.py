"""The Python reference is made from the source and leaves nothing public out."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import griffe
import pytest

import shardplan
import shardplan.exporters
import shardplan.solvers

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "docs"))
import api_reference  # noqa: E402  a script of docs/, which is no package

sys.path.pop(0)
PAGES = {name: (REFERENCE / f"{name}.md").read_text() for name in api_reference.PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_generated_parts_are_current(page: str) -> None:
    """They say what the source says: run `python docs/api_reference.py`."""
    assert api_reference.updated(PAGES[page]) == PAGES[page]


def test_every_public_name_has_a_part() -> None:
    """Names of the package; its version is only text."""
    names = {f"shardplan.{name}" for name in shardplan.__all__}
    parts = set(api_reference.names(PAGES["python-api"]))
    assert parts == names - {"shardplan.__version__"}


def test_every_name_for_plugins_has_a_part() -> None:
    """Names of both packages for plug-ins, without those of the package itself."""
    names = {
        f"{module.__name__}.{name}"
        for module in (shardplan.exporters, shardplan.solvers)
        for name in module.__all__
        if name not in shardplan.__all__
    }
    assert set(api_reference.names(PAGES["plugin-api"])) == names


def test_the_page_has_every_parameter_of_solve() -> None:
    """With its default in the call and its meaning below."""
    part = api_reference.render("shardplan.solve")
    call, _, meanings = part.partition("```\n\n")
    for name in inspect.signature(shardplan.solve).parameters:
        assert re.search(rf"^    {name}: .*,$", call, re.MULTILINE), name
        assert re.search(rf"^- `{name}` \(.+\): \S", meanings, re.MULTILINE), name


def test_the_page_names_every_solver() -> None:
    """A solver that `solver` takes is in its meaning."""
    from shardplan.solvers.registry import SOLVERS

    part = api_reference.render("shardplan.solve")
    line = re.search(r"^- `solver` .*$", part, re.MULTILINE)
    assert line is not None
    assert set(SOLVERS) <= set(re.findall(r"`(\w+)`", line[0]))


def test_a_parameter_without_a_meaning_is_refused(tmp_path: Path) -> None:
    """The generator names the function and the parameter."""
    source = '"""A."""\ndef f(x: int) -> None:\n    """Do."""\n'
    (tmp_path / "bare.py").write_text(source, encoding="utf-8")
    function = griffe.load("bare", search_paths=[tmp_path])["f"]
    with pytest.raises(KeyError, match=r"document x in bare\.f"):
        api_reference.parameters(function)


def test_an_unknown_name_is_refused() -> None:
    """A page cannot keep a part for what is gone."""
    page = PAGES["python-api"].replace(
        "<!-- api shardplan.solve:", "<!-- api shardplan.slove:"
    )
    with pytest.raises(KeyError, match="slove"):
        api_reference.updated(page)
