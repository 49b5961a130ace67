"""A module imports only from lower layers; heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "shardplan"

# Lowest first; a name stands for a module or a package of shardplan.
LAYERS = [
    ["printable"],
    ["brief", "errors", "highs", "interrupts", "memo", "units", "version"],
    ["quantity", "sharding"],
    ["record"],
    ["hardware"],
    ["certificate"],
    ["torchrec_table"],
    ["tables"],
    ["contradictions", "torchrec_modules"],
    ["topology", "workload", "cost_model"],
    ["optimizers"],
    ["targets", "torchrec_cost_model"],
    ["cluster", "plan"],
    ["costs", "fingerprint"],
    ["rectangles", "cache_groups"],
    ["loads", "options", "prepared"],
    ["bundling", "io"],
    ["catalog", "pins", "problem", "evaluation", "settings"],
    ["bounds", "realize"],
    ["certify"],
    ["checking"],
    ["solvers"],
    ["deadline", "diagnosis", "refusal"],
    ["planner", "simulation", "shard_matrix", "feedback"],
    ["quick_plan"],
    ["padding"],
    ["notices", "validation", "studies"],
    ["frames", "exporters"],
    ["integrations"],
    ["report"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Conveniences of the public API that reach up on purpose, inside a function.
REACHES_UP = {("plan", "io"), ("plan", "frames")}

ROOMS = {
    "pulp": {"solvers"},
    "highspy": {"highs"},
    "click": {"cli"},
    "rich": {"report", "cli"},
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
        assert (own, other) in REACHES_UP or LEVEL[other] <= LEVEL[own], (
            f"{own} (layer {LEVEL[own]}) imports {name} (layer {LEVEL[other]})"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """Solver, terminal and deep-learning libraries are used in one place each."""
    for name in imports(path):
        library = name.split(".")[0]
        if library in ROOMS:
            assert room_of(path) in ROOMS[library], f"{path} imports {library}"
