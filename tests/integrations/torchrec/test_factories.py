"""Functions of a user's module are called, or it is said why they cannot be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError, PluginError
from shardplan.integrations.torchrec import factories, versions

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import sys

VALUE = 3

def plain():
    return [1]

def named(*, device):
    return [device]

def optional(device="cuda", other=2, *rest, **more):
    return [device, other]

def needy(path, device):
    return []

def broken():
    raise ValueError("no such file")

def leaving():
    sys.exit(0)

class Builders:
    @staticmethod
    def make():
        return ["nested"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with modules of a user; forget them afterwards."""
    (tmp_path / "own_model.py").write_text(MODULE)
    (tmp_path / "own_bad.py").write_text("import nothing_like_this")
    (tmp_path / "own_typo.py").write_text("def make(:")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("own_model", "own_bad", "own_typo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("plain", [1]),
        ("named", ["meta"]),
        ("optional", ["meta", 2]),
        ("Builders.make", ["nested"]),
    ],
)
def test_factories_get_what_they_have_a_name_for(name: str, made: list[object]) -> None:
    """The current folder is searched, though the command is elsewhere."""
    assert factories.build(f"own_model:{name}", list, {"device": "meta"}) == made


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        ("own_model", "must be given as MODULE:FACTORY"),
        (":make", "must be given as MODULE:FACTORY"),
        ("own_model.py:plain", "is a file: give the name of its module"),
        ("./own_model:plain", "is a file: give the name of its module"),
        ("own_modle:plain", "no module 'own_modle' in "),
        ("own_model.inner:plain", "no module 'own_model.inner'"),
        ("own_model:plane", "no attribute 'plane'; did you mean 'plain'?"),
        ("own_model:VALUE", "is a int, not a function that makes one"),
        ("own_model:needy", "needs path; it is called without arguments"),
        ("own_model:sys", "is a module, not a function"),
    ],
)
def test_what_cannot_be_called(place: str, rule: str) -> None:
    """Each with what to do."""
    with pytest.raises((InputError, PluginError)) as caught:
        factories.build(place, list, {"device": "meta"})
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("own_model:broken", "own_model:broken: raised ValueError: no such file"),
        ("own_model:leaving", "own_model:leaving: raised SystemExit: 0"),
        ("own_bad:make", "importing it raised ModuleNotFoundError: No module named"),
        ("own_typo:make", "importing it raised SyntaxError"),
    ],
)
def test_their_own_faults_are_theirs(place: str, text: str) -> None:
    """With the line of their code, and the cause for a traceback."""
    with pytest.raises(PluginError) as caught:
        factories.build(place, list)
    assert text in str(caught.value)
    assert caught.value.__cause__ is not None


def test_something_else_is_refused() -> None:
    """A list is no dict."""
    with pytest.raises(
        InputError, match="own_model:plain = 'list': must return a dict"
    ):
        factories.build("own_model:plain", dict)


def test_torch_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed, or not loadable: both say where to look."""

    def fail(_: str) -> None:
        raise ImportError("libfbgemm.so")

    monkeypatch.setattr(factories, "import_module", fail)
    with pytest.raises(InputError, match=r"libfbgemm\.so; see docs/guides/install"):
        factories.require_torch()

    def lack(_: str) -> str:
        raise versions.PackageNotFoundError

    monkeypatch.setattr(versions, "version", lack)
    with pytest.raises(InputError, match="is not installed; see docs/guides/install"):
        factories.require_torch()
