"""Tests lie where the code lies: a folder per room, a file per module or topic."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_layers import PACKAGE

TESTS = Path(__file__).resolve().parent

APART = {"benchmarks", "browser", "catalogues", "docs", "fuzz", "mutants"}
"""Folders of tests about something else than the package."""

TOPICS = {
    "certify": {"memory_proofs", "mutations", "slowest_rank"},
    "checking": {"fbgemm", "tampered"},
    "cli": {
        "contract",
        "help",
        "hostile_text",
        "interrupts",
        "output",
        "plugins",
        "process",
        "topology_graph",
        "widths",
    },
    "costs": {"divided_hosts"},
    "costs/communication": {"fluid_oracle", "link_oracle"},
    "costs/memory": {"spread_ids"},
    "integrations/torchrec": {
        "cache_groups",
        "cost_model",
        "example",
        "import",
        "plans",
        "replicated_training",
        "training",
    },
    "io": {"broken_files", "fuzz", "hostile"},
    "planning": {"new_scope"},
    "simulation": {"adversarial", "properties", "shared_links", "speed"},
    "solvers": {"ilp_time", "sliced"},
    "statistics": {"bounds", "oracles", "real"},
    "studies": {"killed"},
}
"""What is tested of a room as a whole; a test of one module has that module's name."""

FILES = sorted(
    path
    for path in TESTS.rglob("test_*.py")
    if path.parent != TESTS and path.relative_to(TESTS).parts[0] not in APART
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_file_names_what_it_tests(path: Path) -> None:
    """The name is that of a module or package beside it, of the room, or a topic."""
    room = path.parent.relative_to(TESTS).as_posix()
    name = path.stem.removeprefix("test_")
    at = PACKAGE / room / name
    is_room = name == path.parent.name
    assert (is_room or at.is_dir() or at.with_suffix(".py").exists()) != (
        name in TOPICS.get(room, ())
    ), f"no such module in {room}, and no topic"


def test_topics_are_tested() -> None:
    """A topic without its file must go."""
    named = {
        f"{room}/test_{name}.py" for room, names in TOPICS.items() for name in names
    }
    assert not [name for name in named if not (TESTS / name).exists()]


ROOMS = sorted(
    path.parent.relative_to(PACKAGE)
    for path in PACKAGE.rglob("__init__.py")
    if path.parent != PACKAGE and len(list(path.parent.glob("*.py"))) > 1
)


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_every_room_has_tests(room: Path) -> None:
    """A package has a folder of tests, or a small one a file of its name."""
    folder = list((TESTS / room).glob("test_*.py"))
    assert folder or (TESTS / room.parent / f"test_{room.name}.py").exists()
