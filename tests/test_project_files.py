"""Files that other programs read about the project: citation and commit hooks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
HOOKS = ROOT / ".pre-commit-config.yaml"


def read(path: Path) -> dict[str, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    return read(ROOT / "CITATION.cff")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert isinstance(project, dict)
    return project


def test_citation_has_what_the_format_requires(citation: dict[str, Any]) -> None:
    """The keys that version 1.2.0 of the Citation File Format requires."""
    assert citation["cff-version"] == "1.2.0"
    assert all(isinstance(citation[key], str) for key in ("message", "title"))
    assert citation["type"] == "software"
    assert citation["authors"] == [{"name": "The shardplan developers"}]


def test_citation_is_of_this_release(
    citation: dict[str, Any], project: dict[str, Any]
) -> None:
    """Name, version, licence and keywords are those of pyproject.toml."""
    assert citation["title"] == project["name"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["keywords"] == project["keywords"]


def test_citation_names_neo(citation: dict[str, Any]) -> None:
    """The paper that the models of clusters and tables started from, with its DOI."""
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)  # what a reference requires
    assert paper["doi"] == "10.48550/arXiv.2104.05158"
    for author in paper["authors"]:
        assert set(author) in ({"name"}, {"family-names", "given-names"})


def test_commits_run_the_linters_of_make_lint() -> None:
    """The hook has no versions or options of its own, so it cannot disagree."""
    repos = {repo["repo"]: repo for repo in read(HOOKS)["repos"]}
    (lint,) = repos.pop("local")["hooks"]
    assert (lint["entry"], lint["language"]) == ("make lint", "system")
    assert lint["pass_filenames"] is False
    assert {"python", "toml"} <= set(lint["types_or"])
    assert not any("ruff" in url or "mypy" in url for url in repos)
    for url, repo in repos.items():
        assert re.fullmatch(r"v\d+\.\d+\.\d+", repo["rev"]), url


def test_hooks_are_read_by_pre_commit() -> None:
    """The file is valid for the program that reads it."""
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(HOOKS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
