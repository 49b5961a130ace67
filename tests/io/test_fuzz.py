"""Mutated files: a valid record or an `InputError`, never anything else."""

from __future__ import annotations

import copy
import datetime
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.io.catalog import load_topology
from shardplan.io.validate import validate
from shardplan.plans.plan import Plan
from shardplan.plans.schemas import KINDS
from shardplan.records.fingerprint import fingerprint

if TYPE_CHECKING:
    from shardplan.records.record import Record

VALID = Path(__file__).parent.parent / "data" / "valid"


def valid_data(kind: str) -> Any:
    if kind == "plan":
        return json.loads((VALID / "plan.json").read_text())
    return tomllib.loads((VALID / f"{kind.replace('-', '_')}.toml").read_text())


DATA = {kind: valid_data(kind) for kind in KINDS}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10),
    st.sampled_from([10**30, -(10**400), 2**4000, 5e-324, -0.0, 1e308]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["cdf", "kind", "0-7", "7-0", "-", "0-", ",", "\ud800", "é"]),
    st.binary(max_size=4),
    st.dates(),
    st.just(datetime.datetime(2025, 1, 1)),
    st.just(datetime.time(1, 2)),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, kind: str) -> Any:
    """Change one to three places of a valid file's data."""
    data = copy.deepcopy(DATA[kind])
    for _ in range(draw(st.integers(1, 3))):
        place: Any = data
        while True:
            if not isinstance(place, (dict, list)) or not place:
                break
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 4)):
                place = inner
                continue
            change(draw, place, key)
            break
    return data


def change(draw: st.DrawFn, place: Any, key: Any) -> None:
    match draw(st.sampled_from(["set", "set", "delete", "rename", "add", "double"])):
        case "set":
            place[key] = draw(values)
        case "delete":
            del place[key]
        case "rename" if isinstance(place, dict):
            place[f"{key}{draw(st.text(max_size=2))}"] = place.pop(key)
        case "add" if isinstance(place, dict):
            place[draw(st.text(max_size=8))] = draw(values)
        case _ if isinstance(place, list):
            place.append(place[key])


def record_or_error(kind: str, data: Any) -> Record | InputError:
    try:
        return validate(KINDS[kind], data, "file")
    except InputError as error:
        return error


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutations_are_valid_or_input_errors(kind: str, data: st.DataObject) -> None:
    """Each problem has a rule and is printable; a valid record has a fingerprint."""
    outcome = record_or_error(kind, data.draw(mutated(kind)))
    if isinstance(outcome, InputError):
        assert outcome.problems
        assert all(problem.rule for problem in outcome.problems)
        assert len(str(outcome).split("\n")) == len(outcome.problems)
    else:
        assert fingerprint(outcome)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Garbage in a file is an input error of every reader."""
    folder = tmp_path_factory.mktemp("garbage")
    for name, read in (("a.toml", load_topology), ("a.json", Plan.load)):
        (folder / name).write_bytes(content)
        with pytest.raises(InputError):
            read(folder / name)
