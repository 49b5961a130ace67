"""A cost model says what differs from its parent; the rest is the parent's."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardplan.errors import InputError
from shardplan.io.catalog import cost_model_origins, load_cost_model, shipped_files
from shardplan.io.inheritance import origin
from shardplan.records.cost_model import CostModel

VALID = Path(__file__).parents[1] / "data" / "valid" / "cost_model.toml"
OWN = '{ value = 0.5, unit = "fraction", source = "measured here", date = 2026-11-30 }'
CHILD = f"""
schema_version = 1
name = "child"
inherits = "base.toml"
[lookup]
forward_efficiency = {OWN}
narrow_rows = []
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a whole cost model, `base.toml`."""
    (tmp_path / "base.toml").write_text(VALID.read_text(encoding="utf-8"))
    return tmp_path


def child(folder: Path, text: str = CHILD, name: str = "child.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def loaded(path: Path) -> CostModel:
    model = load_cost_model(path)
    assert isinstance(model, CostModel)
    return model


def problem(path: Path) -> tuple[str, str, str]:
    with pytest.raises(InputError) as caught:
        load_cost_model(path)
    (found,) = caught.value.problems
    return found.where, found.key, found.rule


def test_what_differs_is_the_childs(base: Path) -> None:
    """Coefficients are merged one by one; lists are replaced whole."""
    parent, model = loaded(base / "base.toml"), loaded(child(base))
    assert model.name == "child"
    assert model.lookup.forward_efficiency.value == 0.5
    assert model.lookup.forward_efficiency.source == "measured here"
    assert model.lookup.narrow_rows == ()
    lent = model.lookup.backward_efficiency
    assert lent.value == parent.lookup.backward_efficiency.value
    assert model.memory.hbm_reserve_bytes.value == parent.memory.hbm_reserve_bytes.value


def test_what_is_lent_was_not_measured_here(base: Path) -> None:
    """A source of the parent says whose it is; an assumption stays one."""
    text = VALID.read_text(encoding="utf-8")
    text = text.replace('source = "assumed', 'source = "measured')
    (base / "base.toml").write_text(text, encoding="utf-8")
    parent, model = loaded(base / "base.toml"), loaded(child(base))
    was = parent.lookup.backward_efficiency.source
    assert was.startswith("measured")
    expected = f"assumed: as on {parent.name}: {was}"
    assert model.lookup.backward_efficiency.source == expected
    grandchild = child(base, CHILD.replace("base.toml", "child.toml"), "third.toml")
    assert loaded(grandchild).lookup.backward_efficiency.source == expected


def test_long_sources_are_cut(base: Path) -> None:
    """What a parent says at most, 200 characters, can still be inherited."""
    text = VALID.read_text(encoding="utf-8")
    long = text.replace('source = "assumed', f'source = "{"x" * 190}')
    (base / "base.toml").write_text(long, encoding="utf-8")
    source = loaded(child(base)).lookup.backward_efficiency.source
    assert len(source) == 200
    assert source.endswith("x...")


def test_a_part_lends_facts(base: Path) -> None:
    """A parent without a name is no device: its sources stay as they are."""
    part = VALID.read_text(encoding="utf-8").split("\n")
    text = "\n".join(line for line in part if not line.startswith("name"))
    text = text.replace('source = "assumed', 'source = "measured')
    (base / "base.toml").write_text(text, encoding="utf-8")
    source = loaded(child(base)).lookup.backward_efficiency.source
    assert source.startswith("measured")
    third = child(base, CHILD.replace("base.toml", "child.toml"), "third.toml")
    model = loaded(third)
    assert model.lookup.backward_efficiency.source == source


def test_shipped_names_are_parents(tmp_path: Path) -> None:
    """A shipped name works from every folder."""
    text = 'schema_version = 1\nname = "mine"\ninherits = "h100"\n[dense]\n' + (
        f"memory_efficiency = {OWN}\n"
    )
    model, parent = loaded(child(tmp_path, text)), load_cost_model("h100")
    assert isinstance(parent, CostModel)
    assert model.dense.memory_efficiency.value == 0.5
    assert model.dense.gemm_efficiency.value == parent.dense.gemm_efficiency.value


def test_networks_are_beside_the_file_that_names_them(base: Path) -> None:
    """A path is relative to the parent, wherever the child lies."""
    ethernet = shipped_files("networks", "ethernet-100")["ethernet-100.toml"]
    text = VALID.read_text(encoding="utf-8")
    start = text.index("[collectives")
    end = text.index("[dense]")
    named = '[networks]\nscale_up = "./mine.toml"\nscale_out = "./mine.toml"\n\n'
    (base / "mine.toml").write_text(ethernet, encoding="utf-8")
    (base / "base.toml").write_text(text[:start] + named + text[end:], encoding="utf-8")
    (base / "below").mkdir()
    path = child(base / "below", CHILD.replace("base.toml", "../base.toml"))
    networks = loaded(path).networks
    assert networks is not None
    assert networks.scale_out.name == "ethernet-100"


def test_origins(base: Path) -> None:
    """Every key that is not the file's own has its parent's name, also through two."""
    path = child(base, CHILD.replace("base.toml", "child.toml"), "third.toml")
    text = CHILD.replace("narrow_rows = []\n", "")
    child(base, text)
    origins = cost_model_origins(path)
    assert "lookup.forward_efficiency" not in origins
    assert origins["lookup.backward_efficiency"] == loaded(base / "base.toml").name
    assert origin("lookup.narrow_rows[0].ratio", origins) is None
    above = cost_model_origins(base / "child.toml")
    assert (
        origin("lookup.narrow_rows[0].ratio", above) == origins["lookup.sort_s_per_id"]
    )
    assert cost_model_origins("torchrec") == {}


def test_changed_parents_are_noticed(base: Path) -> None:
    """A child that is loaded again has what its parent says now."""
    path = child(base)
    before = loaded(path).lookup.sort_s_per_id.value
    text = (base / "base.toml").read_text(encoding="utf-8")
    here = text.index("sort_s_per_id")
    start = text.index("value = ", here) + len("value = ")
    end = text.index(",", start)
    text = f"{text[:start]}7e-9{text[end:]}"
    (base / "base.toml").write_text(text, encoding="utf-8")
    assert before != 7e-9
    assert loaded(path).lookup.sort_s_per_id.value == 7e-9


def test_circles(base: Path) -> None:
    """Two files that inherit from each other are told, with the key."""
    child(base, CHILD, "base.toml")
    where, key, rule = problem(base / "base.toml")
    assert (where, key) == (str(base / "base.toml"), "inherits")
    assert "must stand on its own" in rule
    child(base, CHILD.replace("base.toml", "./b.toml"), "a.toml")
    b = child(base, CHILD.replace("base.toml", "a.toml"), "b.toml")
    where, key, _ = problem(b)
    assert (where, key) == (str(base / "a.toml"), "inherits")


@pytest.mark.parametrize(
    ("parent", "rule"),
    [
        ('"h10"', "did you mean 'h100'?"),
        ('"other.toml"', "a path is relative to its file"),
        ('"other/h100"', "a path is relative to its file"),
        ("3", "must name a shipped cost model"),
        ('""', "must name a shipped cost model"),
    ],
)
def test_unknown_parents(base: Path, parent: str, rule: str) -> None:
    """A parent that is not there is told with the file, the key and what to do."""
    path = child(base, CHILD.replace('"base.toml"', parent))
    where, key, said = problem(path)
    assert (where, key) == (str(path), "inherits")
    assert rule in said


def test_faults_of_a_parent_are_the_parents(base: Path) -> None:
    """A wrong value that is inherited is told of the file that has it."""
    text = (base / "base.toml").read_text(encoding="utf-8")
    text = text.replace("[host_memory]\n", '[host_memory]\nformula = "magic"\n')
    (base / "base.toml").write_text(text, encoding="utf-8")
    where, key, _ = problem(child(base))
    assert (where, key) == (str(base / "base.toml"), "host_memory.formula")


def test_faults_of_a_child_are_its_own(base: Path) -> None:
    """A misspelt key of the child is told of the child."""
    path = child(base, CHILD.replace("forward_eff", "forwrd_eff"))
    where, key, rule = problem(path)
    assert (where, key) == (str(path), "lookup.forwrd_efficiency")
    assert "forward_efficiency" in rule
