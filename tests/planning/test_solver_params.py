"""Files of solver parameters: read, refused, and noted in the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InfeasibleError, InputError
from shardplan.planning.solver_params import changed_params, load_params
from shardplan.plans.plan_file import format_plan
from shardplan.solvers.params import DEFAULTS, SolverParams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Instance

    PlugIn = Callable[..., Path]

TEXT = """
[auto]
ldm = false

[search.anneal]
descent = false
recut = true
"""


def test_an_empty_file_is_the_defaults(tmp_path: Path, two_tables: Instance) -> None:
    """Nothing said is nothing changed: the same record, and the same plan."""
    (tmp_path / "params.toml").write_text("", encoding="utf-8")
    params = load_params(tmp_path / "params.toml")
    assert params == SolverParams() == DEFAULTS == load_params({}) == load_params(None)
    assert changed_params(params) == {}
    plans = [
        format_plan(two_tables.solve(work_limit=1e3, params=given).plan)
        for given in (None, tmp_path / "params.toml")
    ]
    assert plans[0] == plans[1]
    assert "params" not in plans[0]


def test_a_file(tmp_path: Path, two_tables: Instance) -> None:
    """What differs from the defaults is in the plan, by dotted name, and only that."""
    (tmp_path / "params.toml").write_text(TEXT, encoding="utf-8")
    params = load_params(str(tmp_path / "params.toml"))
    assert not params.auto.ldm
    assert not params.search.anneal.descent
    plan = two_tables.solve(work_limit=1e3, params=params).plan
    changed = {"auto.ldm": False, "search.anneal.descent": False}
    assert plan.outcome.params == changed
    assert load_params({"auto": {"ldm": False}}).auto == params.auto


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"autoo": {}}, r"params: autoo = {}: unknown key; did you mean 'auto'\?"),
        ({"auto": {"ldmm": False}}, r"auto.ldmm = false: .* did you mean 'ldm'\?"),
        ({"auto": {"ldm": 0}}, "auto.ldm = 0: must be true or false"),
        ({"auto": False}, "auto = false: must be a group of keys and values: greedy"),
        ({"search": {"anneal": {"x": 1}}}, r"search\.anneal\.x = 1: unknown key"),
        (7, "solve: params = '7': must be a path, a mapping"),
    ],
)
def test_what_is_refused(data: Any, message: str) -> None:
    """Unknown sections and keys, and wrong values, with the key path."""
    with pytest.raises(InputError, match=message):
        load_params(data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """No file, and no TOML."""
    with pytest.raises(InputError, match="no such file"):
        load_params(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("[auto", encoding="utf-8")
    with pytest.raises(InputError, match="not TOML"):
        load_params(tmp_path / "broken.toml")


SWITCHES = (
    *("greedy", "ldm", "uniform", "exact_first", "shelf", "pack", "search"),
    *("neighbourhoods", "exact"),
)


TUNED = """\
    from shardplan.solvers import Record
    from shardplan.solvers.greedy import Greedy

    class Params(Record):
        last: bool = False
        depth: int = 3
        share: float = 0.5

    class Tuned(Greedy):
        Params = Params

        def __init__(self, params):
            super().__init__()
"""


def test_sections_of_plugins(plug_in: PlugIn, two_tables: Instance) -> None:
    """A section named as a plug-in is read by its `Params`, and is in the plan."""
    plug_in("solvers", "first-fit = theirs:Tuned", TUNED)
    data = {"first-fit": {"last": True}, "auto": {"ldm": False}}
    assert not load_params(data).auto.ldm
    plan = two_tables.solve(solver="first-fit", params=data).plan
    assert plan.outcome.params == {"auto.ldm": False, "first-fit.last": True}
    with pytest.raises(InputError, match=r"first-fit\.last = 2: must be true or false"):
        load_params({"first-fit": {"last": 2}})
    for wrong in ({"last": "yes"}, {"last": 1}, {"depth": True}, {"share": "0.25"}):
        with pytest.raises(InputError, match=f"first-fit.{next(iter(wrong))} = "):
            load_params({"first-fit": wrong})
    assert load_params({"first-fit": {"share": 1}}).__dict__["first-fit"].share == 1.0


def test_plugins_without_parameters(plug_in: PlugIn) -> None:
    """A section for a solver that takes none is an error."""
    source = "from shardplan.solvers.greedy import Greedy"
    plug_in("solvers", "first-fit = theirs:Greedy", source)
    with pytest.raises(InputError, match="first-fit: solver first-fit has no param"):
        load_params({"first-fit": {}})


def test_no_plan_with_all_parts_off(two_tables: Instance) -> None:
    """Memory is not at fault where greedy finds a plan: no advice to buy more of it."""
    parts = dict.fromkeys(SWITCHES, False)
    with pytest.raises(InfeasibleError, match="solver greedy finds a plan") as caught:
        two_tables.solve(params={"auto": parts})
    assert "any one of these" not in str(caught.value)
    assert caught.value.relaxations == ()
