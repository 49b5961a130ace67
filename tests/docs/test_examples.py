"""Pages that write or change code do so where it is run, and nowhere else."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def examples() -> ModuleType:
    """Import docs/examples.py, which is in no package."""
    path = ROOT / "docs" / "examples.py"
    spec = importlib.util.spec_from_file_location("docs_examples", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_changes(examples: ModuleType) -> None:
    """Lines come and go where their neighbours are; several changes in one block."""
    text = "a\nb\n\nc\nd\n"
    assert examples.changed(text, " a\n+new\n b\n") == "a\nnew\nb\n\nc\nd\n"
    assert examples.changed(text, " b\n\n-c\n d\n") == "a\nb\n\nd\n"
    both = "-a\n+A\n@@ below\n-d\n+D\n"
    assert examples.changed(text, both) == "A\nb\n\nc\nD\n"


@pytest.mark.parametrize("body", [" a\n+new\n", " b\n-c\n", "-a\n+A\n", "+new\n b\n"])
def test_a_change_is_made_once(examples: ModuleType, body: str) -> None:
    """Where it has been made already, nothing happens."""
    once = examples.changed("a\nb\nc\n", body)
    assert once != "a\nb\nc\n"
    assert examples.changed(once, body) == once


@pytest.mark.parametrize("body", [" e\n+new\n", " a\n c\n", " \n+new\n"])
def test_a_change_has_one_place(examples: ModuleType, body: str) -> None:
    """A page that the code has moved away from fails."""
    with pytest.raises(ValueError, match="times"):
        examples.changed("a\nb\n\nc\n\n", body)


def test_a_package_of_a_page_is_found(examples: ModuleType, tmp_path: Path) -> None:
    """Its own and the one that it changes; the checkout stays as it is."""
    page = '''\
```toml pyproject.toml
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "theirs"
version = "1.0"
[project.entry-points."shardplan.exporters"]
number = "theirs:export"
```
```python theirs.py
def export(plan):
    from shardplan.version import CHANGED

    return {"changed": CHANGED}
```
```diff shardplan/version.py
 """The version of shardplan, written into every plan."""
+CHANGED = 7
```
```console
$ pip install .
$ shardplan solve movielens-ncf --topology dgx-a100-40 --solver greedy -o p.json
$ shardplan export p.json --to number
wrong
$ shardplan export p.json --to numbers
wrong
$ echo $?
0
```
'''
    made = examples.rerun(page, tmp_path)
    assert 'p.json --to number\n{\n "changed": 7\n}\n' in made
    assert "must be one of: torchrec, hugectr, manifest, sbp, number; did" in made
    assert "$ echo $?\n1\n" in made
    assert "CHANGED" not in (ROOT / "shardplan" / "version.py").read_text()


def test_a_part_of_an_output(examples: ModuleType, tmp_path: Path) -> None:
    """Its first lines or its last ones, as many as the page has."""
    page = """\
```console
$ shardplan show nowhere.json --mode
{shown}
$ echo $?
2
```
"""
    begins = examples.rerun(page.format(shown="old\n..."), tmp_path)
    ends = examples.rerun(page.format(shown="...\nold"), tmp_path)
    assert "--mode\nUsage: shardplan show [OPTIONS] PLAN\n...\n$" in begins
    assert re.search(r"--mode\n\.\.\.\nError: No such option.*--mode.*\n\$", ends)
