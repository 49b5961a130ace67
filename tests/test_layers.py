"""A module imports only from lower layers; heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import networkx as nx
import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "shardplan"

# Lowest first; a name stands for a module or a package of shardplan.
LAYERS = [
    ["printable", "imports"],
    ["errors", "units", "version"],
    ["records"],
    ["io", "workers"],
    ["costs"],
    ["steps"],
    ["problems"],
    ["plans"],
    ["certify"],
    ["checking"],
    ["solvers", "simulation"],
    ["planning"],
    ["calibration", "validation", "studies", "exporters", "statistics"],
    ["integrations"],
    ["report"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ALONE = {
    *("__init__", "__main__", "errors"),
    *("imports", "printable", "units", "version"),
}
"""Modules at the root: what every room needs; all else has a room."""

ROOMS = {
    "pulp": {"solvers"},
    "highspy": {"certify"},
    "click": {"cli"},
    "rich": {"report", "cli"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
    "PIL": {"report"},
    "matplotlib": {"report"},
    "torch": {"integrations"},
    "torchrec": {"integrations"},
}


def imports(path: Path) -> set[str]:
    """Names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    """First name below the package: a module or a subpackage."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """No module imports from its own layer's neighbours above it."""
    own = room_of(path)
    assert own in LEVEL, f"{own} has no layer: add it to LAYERS"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "shardplan" or len(parts) < 2 or parts[1] == own:
            continue
        other = parts[1]
        assert LEVEL[other] <= LEVEL[own], (
            f"{own} (layer {LEVEL[own]}) imports {name} (layer {LEVEL[other]})"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """Solver, terminal and deep-learning libraries are used in one place each."""
    for name in imports(path):
        library = name.split(".")[0]
        if library in ROOMS:
            assert room_of(path) in ROOMS[library], f"{path} imports {library}"


def test_nothing_loose_at_the_root() -> None:
    """A new module goes to the room that its layer names."""
    assert {path.stem for path in PACKAGE.glob("*.py")} == ALONE


MODULES = {
    ".".join(
        ("shardplan", *path.relative_to(PACKAGE).with_suffix("").parts)
    ).removesuffix(".__init__"): path
    for path in FILES
}


def imported(path: Path) -> set[str]:
    """Modules that a file needs to run: imports for types alone are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = names & MODULES.keys()
            found |= modules if len(modules) == len(names) else {node.module, *modules}
    return found & MODULES.keys()


def test_no_circles() -> None:
    """No module needs itself, through others and inside functions neither."""
    graph = nx.DiGraph(
        (name, other) for name, path in MODULES.items() for other in imported(path)
    )
    circles = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert circles == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_are_short(path: Path) -> None:
    """At most 400 lines a module, and 60 a function, its docstring aside."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            first = node.body[0]
            doc = ast.get_docstring(node, clean=False)
            words = (first.end_lineno or 0) - first.lineno + 1 if doc else 0
            assert node.end_lineno - node.lineno + 1 - words <= 60, node.name


def test_a_class_name_means_one_thing() -> None:
    """A reader who looks for a class finds one."""
    names = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
