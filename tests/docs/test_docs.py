"""The documentation says what is true: examples, links, generated parts, coverage."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import shardplan
from shardplan.cli.main import cli
from shardplan.io.catalog import (
    load_cost_model,
    load_network,
    load_topology,
    load_workload,
)
from shardplan.plans.plan import Plan
from shardplan.records.fingerprint import fingerprints
from shardplan.records.inputs import Inputs
from shardplan.studies import load_spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINKING = [
    *PAGES,
    ROOT / "CONTRIBUTING.md",
    *(
        ROOT / kind / "README.md"
        for kind in ("topologies", "cost_models", "workloads", "measurements")
    ),
]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(name: str) -> ModuleType:
    """Import a script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate, examples, rooms = load("generate"), load("examples"), load("rooms")
RUNNABLE = [
    path
    for path in PAGES
    if re.search(r"^```(console|pycon|python)", path.read_text(), re.MULTILINE)
]


def first_block(page: str, kind: str) -> str:
    text = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    block = re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1]


LONG_PAGES = {
    DOCS / "guides" / "what-if-studies.md",
    DOCS / "development" / "add-a-solver.md",
    DOCS / "development" / "add-a-sharding-type.md",
}
"""Pages that solve or test for most of a minute, which `make test-long` runs."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] * (path in LONG_PAGES))
        for path in RUNNABLE
    ],
    ids=name_of,
)
def test_examples_print_what_is_shown(path: Path, tmp_path: Path) -> None:
    """Every example runs; if this fails, `python docs/generate.py` writes it anew."""
    text = path.read_text(encoding="utf-8")
    assert examples.mask(examples.rerun(text, tmp_path)) == examples.mask(text)


def test_readme_names_both_commands() -> None:
    """The set-up is `make demo` and `make test`, and the README is short."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text
    assert len(text.splitlines()) <= 120


def test_rooms_are_current() -> None:
    """The table is that of the layers and docstrings: run `python docs/generate.py`."""
    assert rooms.updated() == rooms.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", generate.PAGES)
def test_generated_parts_are_current(page: str) -> None:
    """The field tables are those of the records: run `python docs/generate.py`."""
    path = DOCS / "reference" / f"{page}.md"
    assert generate.updated(page) == path.read_text(encoding="utf-8")


def write_example(folder: Path, page: str) -> str:
    path = folder / f"{page}.toml"
    path.write_text(first_block(page, "toml"), encoding="utf-8")
    return str(path)


def test_example_files_load(tmp_path: Path) -> None:
    """The examples of the file pages are valid files."""
    assert load_topology(write_example(tmp_path, "topology-file")).world_size == 8
    assert load_cost_model(write_example(tmp_path, "cost-model-file")).name
    assert load_network(write_example(tmp_path, "network-file")).reduce.hop_s
    assert len(load_workload(write_example(tmp_path, "workload-file")).tables) == 3


def test_example_tables_load(tmp_path: Path) -> None:
    """The example of a CSV file is a valid list of tables."""
    path = tmp_path / "tables.csv"
    path.write_text(first_block("workload-file", "csv"), encoding="utf-8")
    workload = tmp_path / "workload.toml"
    head = (
        'schema_version = 1\nname = "w"\nbatch_size = 1\ntables_file = "tables.csv"\n'
    )
    workload.write_text(head, encoding="utf-8")
    assert len(load_workload(workload).tables) == 2


def test_example_plan_is_legal(tmp_path: Path) -> None:
    """The example of a plan is legal for the examples of the other pages."""
    from shardplan.checking import check

    inputs = Inputs(
        workload=load_workload(write_example(tmp_path, "workload-file")),
        topology=load_topology(write_example(tmp_path, "topology-file")),
        cost_model=load_cost_model("a100"),
    )
    data = json.loads(first_block("plan-file", "json"))
    plan = Plan(**data, inputs=inputs, fingerprints=fingerprints(inputs))
    claims = {"objective", "gap", "bound"}
    assert {violation.rule for violation in check(plan)} <= claims


STUDIES = sorted((ROOT / "examples" / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", STUDIES, ids=name_of)
def test_shipped_studies(path: Path) -> None:
    """Each is valid, nothing in it is without effect, and a page is about it."""
    spec = load_spec(path)
    assert spec.file.name == path.stem
    assert not spec.warnings
    assert any(name_of(path) in page.read_text(encoding="utf-8") for page in PAGES)


def test_pages_have_studies_as_they_are_shipped() -> None:
    """A page writes the file that it runs: it is the one in examples/studies."""
    block = re.compile(r"^```toml (examples/studies/\S+)\n(.*?)^```$", re.M | re.S)
    shown = [b for page in PAGES for b in block.findall(page.read_text("utf-8"))]
    assert len(shown) >= 4
    for name, text in shown:
        assert text == (ROOT / name).read_text(encoding="utf-8"), name


def slugs(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", LINKING, ids=name_of)
def test_links_resolve(path: Path) -> None:
    """Every link inside the repository leads to a file, and to a heading in it."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name_of(path)}: {link}"
        if anchor:
            assert anchor in slugs(file), f"{name_of(path)}: {link}"


@pytest.mark.parametrize("path", PAGES[1:], ids=name_of)
def test_pages_are_reachable(path: Path) -> None:
    """Every page is linked from the index."""
    index = DOCS / "index.md"
    linked = re.findall(r"\]\(([^)#\s]+)", index.read_text(encoding="utf-8"))
    targets = {index, *((DOCS / link).resolve() for link in linked)}
    assert path in targets, f"add a link to {name_of(path)} to docs/index.md"


@pytest.mark.parametrize("name", shardplan.__all__)
def test_public_names_are_documented(name: str) -> None:
    """Every public name has a section in the Python reference."""
    assert name in slugs(DOCS / "reference" / "python-api.md") or name.lower() in slugs(
        DOCS / "reference" / "python-api.md"
    )


def command_paths(command: click.Command, path: str) -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from command_paths(inner, f"{path}-{name}")


@pytest.mark.parametrize("path", list(command_paths(cli, "shardplan")))
def test_commands_are_documented(path: str) -> None:
    """Every command has a section in the command line reference."""
    assert path in slugs(DOCS / "reference" / "cli.md")
