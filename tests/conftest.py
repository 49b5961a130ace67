"""Options and fixtures of all tests."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import helpers, plugged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.costs.scopes import Scope

os.environ.pop("COLUMNS", None)  # reports are as wide as it says

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites the golden files."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the files in tests/golden instead of comparing with them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a golden file, or write it with --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def two_tables() -> helpers.Instance:
    """A large and a small table on one host."""
    return helpers.two_tables()


@pytest.fixture
def one_host() -> helpers.Instance:
    """Six tables on four ranks."""
    return helpers.one_host()


@pytest.fixture
def two_hosts() -> helpers.Instance:
    """Six tables on two hosts of four ranks."""
    return helpers.two_hosts()


@pytest.fixture
def mixed_cluster() -> helpers.Instance:
    """Six tables on one fast host and two slow ones."""
    return helpers.mixed_cluster()


@pytest.fixture
def tiered() -> helpers.Instance:
    """Three tables that fill twice the HBM there is."""
    return helpers.tiered()


@pytest.fixture
def dlrm_like() -> helpers.Instance:
    """26 tables of very different sizes, and a dense part."""
    return helpers.dlrm_like()


@pytest.fixture
def half() -> Iterator[Scope]:
    """A scope of half a host each."""
    with helpers.added_scope("half", helpers.halves) as scope:
        yield scope


@pytest.fixture
def rack() -> Iterator[Scope]:
    """A scope of two hosts each."""
    with helpers.added_scope("rack", helpers.racks) as scope:
        yield scope


@pytest.fixture
def plug_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Path]]:
    """Install distributions for the time of a test; see `plugged.install`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    yield partial(plugged.install, site)
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
