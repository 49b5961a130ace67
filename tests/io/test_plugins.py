"""What foreign code may do wrong before and while it runs, and who gets the blame."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError, PluginError
from shardplan.io.plugins import Plugin, Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    PlugIn = Callable[..., Path]

THEIRS = "solver plug-in 'mine' (their-package 1.2, {})"
BUILT_IN = {"greedy": "shardplan.solvers.greedy:Greedy"}
SOLVERS = Registry("solver", BUILT_IN)


def test_names_without_imports(plug_in: PlugIn) -> None:
    """Built-in names come first, each name once; the code of plug-ins is not run."""
    plug_in("solvers", "mine = theirs:X\ngreedy = theirs:X\nher = theirs:X", "1 / 0")
    assert SOLVERS.names() == ["greedy", "her", "mine"]


def test_a_plug_in_that_comes_later(plug_in: PlugIn, tmp_path: Path) -> None:
    """Names that were listed before do not hide it, nor outlive it."""
    assert SOLVERS.names() == ["greedy"]
    site = plug_in("solvers", "mine = theirs:X")
    assert SOLVERS.names() == ["greedy", "mine"]
    (site / "their_package-1.2.dist-info").rename(tmp_path / "gone")
    assert SOLVERS.names() == ["greedy"]


def test_the_code_of_a_plug_in(plug_in: PlugIn) -> None:
    """The attribute of the module, also inside a class; extras are left out."""
    source = "class Outer:\n    class Inner:\n        pass"
    plug_in("solvers", "mine = theirs : Outer.Inner [fast]", source)
    found, plugin = SOLVERS.load("mine")
    assert found.__qualname__ == "Outer.Inner"
    assert str(plugin) == THEIRS.format("theirs : Outer.Inner [fast]")


def test_a_built_in(plug_in: PlugIn) -> None:
    """It is no plug-in."""
    from shardplan.solvers.greedy import Greedy

    assert SOLVERS.load("greedy") == (Greedy, None)


def test_an_unknown_name() -> None:
    """The message lists the known ones, and the nearest."""
    with pytest.raises(InputError) as caught:
        SOLVERS.load("gredy")
    rule = "must be one of: greedy; did you mean 'greedy'?"
    assert str(caught.value) == f"- solver: name = 'gredy': {rule}"


def test_a_built_in_name_is_not_taken(plug_in: PlugIn) -> None:
    """The built-in one is used, and a warning says so; other names are quiet."""
    plug_in("solvers", "greedy = theirs:X\nmine = theirs:X", "class X: pass")
    theirs = r"solver plug-in 'greedy' \(their-package 1.2, theirs:X\)"
    with pytest.warns(UserWarning, match=rf"^{theirs} is not used: 'greedy' is built"):
        found, plugin = SOLVERS.load("greedy")
    assert (found.__name__, plugin) == ("Greedy", None)
    SOLVERS.load("mine")


def test_a_name_of_two_plug_ins(plug_in: PlugIn) -> None:
    """Neither is used; the error names both."""
    plug_in("solvers", "mine = theirs:X", "class X: pass")
    plug_in("solvers", "mine = others:Y", name="other-package")
    with pytest.raises(InputError) as caught:
        SOLVERS.load("mine")
    assert "2 plug-ins have this name, uninstall all but one" in str(caught.value)
    assert "(their-package 1.2, theirs:X)" in str(caught.value)
    assert "(other-package 1.2, others:Y)" in str(caught.value)


def test_a_distribution_without_metadata(plug_in: PlugIn) -> None:
    """Its plug-ins work; messages cannot name it."""
    site = plug_in("solvers", "mine = theirs:X", "class X: pass")
    (site / "their_package-1.2.dist-info" / "METADATA").unlink()
    assert str(SOLVERS.load("mine")[1]) == (
        "solver plug-in 'mine' (unknown distribution, theirs:X)"
    )


def test_an_entry_point_that_is_listed_twice(plug_in: PlugIn) -> None:
    """It is one."""
    plug_in("solvers", "mine = theirs:X\nmine = theirs:X", "class X: pass")
    assert SOLVERS.load("mine")[0].__name__ == "X"


@pytest.mark.parametrize(
    ("entry", "source", "fault"),
    [
        (
            "theirs:Mine",
            None,
            "importing theirs raised ModuleNotFoundError: No module named 'theirs'",
        ),
        (
            "theirs:Mine",
            "import torch_of_theirs",
            "importing theirs raised ModuleNotFoundError: No module named "
            "'torch_of_theirs' (theirs.py:1)",
        ),
        (
            "theirs:Mine",
            "def f(:",
            "importing theirs raised SyntaxError: invalid syntax (theirs.py, line 1)",
        ),
        (
            "theirs:Mine",
            "import sys\n\nsys.exit()",
            "importing theirs raised SystemExit (theirs.py:3)",
        ),
        (
            "theirs:Mine",
            "class Min: pass",
            "theirs has no attribute 'Mine'; did you mean 'Min'?",
        ),
        (
            "theirs:Min.solver",
            "class Min: pass",
            "theirs.Min has no attribute 'solver'",
        ),
        (
            "theirs:Mine",
            "def __getattr__(name):\n    raise OSError(name)",
            "importing Mine of theirs raised OSError: Mine (theirs.py:2)",
        ),
        ("theirs", "", "must be given as `module:attribute`"),
        (":Mine", "", "must be given as `module:attribute`"),
    ],
)
def test_what_cannot_be_imported(
    plug_in: PlugIn, entry: str, source: str | None, fault: str
) -> None:
    """One line with the name, the distribution, the place and the words of Python."""
    plug_in("solvers", f"mine = {entry}", source)
    with pytest.raises(PluginError) as caught:
        SOLVERS.load("mine")
    assert str(caught.value) == f"{THEIRS.format(entry)}: {fault}"
    assert caught.value.exit_code == 1


PLUGIN = Plugin("solver", "mine", "theirs:Mine", "their-package 1.2")


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError("two\nlines\x1b[2J"), r"ValueError: two\nlines\x1b[2J"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 297}..."),
        (Silent(), "Silent: (its text cannot be shown)"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_blame(error: BaseException, words: str) -> None:
    """What is raised is quoted with its line, kept as the cause, and safe to print."""
    with pytest.raises(PluginError) as caught, PLUGIN.blamed("`solve`"):
        raise error
    line = traceback.extract_tb(error.__traceback__)[-1].lineno
    theirs = THEIRS.format("theirs:Mine")
    own = f"{theirs}: `solve` raised {words} (test_plugins.py:{line})"
    assert str(caught.value) == own
    assert caught.value.__cause__ is error


def test_the_line_is_that_of_foreign_code() -> None:
    """Not of this package, where what is called with a wrong argument fails."""
    from shardplan.units import plural

    with pytest.raises(PluginError, match=r"\(test_plugins\.py:\d+\)$"):  # noqa: SIM117
        with PLUGIN.blamed("`solve`"):
            plural("many", 3)  # type: ignore[arg-type]


def test_what_is_not_blamed() -> None:
    """Ctrl-C is the user's, and some errors are allowed."""
    with pytest.raises(KeyboardInterrupt), PLUGIN.blamed("`solve`"):
        raise KeyboardInterrupt
    with pytest.raises(InputError), PLUGIN.blamed("`solve`", let=(InputError,)):
        raise InputError.single("objective", "", None, "must be step")


def test_calls() -> None:
    """What cannot be called in the right way is refused before it is."""
    theirs = THEIRS.format("theirs:Mine")

    def refused(call: object, *needed: tuple[str, ...]) -> str:
        with pytest.raises(PluginError) as caught:
            PLUGIN.require_call(call, "it", *needed)
        assert str(caught.value).startswith(f"{theirs}: ")
        return str(caught.value).removeprefix(f"{theirs}: ")

    assert refused(3) == "it is a int, must be called with ()"
    assert refused(None) == "it is missing, must be called with ()"
    assert refused(lambda a: a, ("plan", "to")) == (
        "it takes (a), must be called with (plan, to): too many positional arguments"
    )
    assert refused(lambda a, b: a, ("plan",)) == (
        "it takes (a, b), must be called with (plan): missing a required argument: 'b'"
    )
    assert refused(lambda a: a, (), ("params",)) == (
        "it takes (a), must be called with (params=params): "
        "missing a required argument: 'a'"
    )
    PLUGIN.require_call(lambda *a, **k: a, "it", ("plan",), ("params",))
    PLUGIN.require_call(max, "it", ("plan",))  # tells no signature
