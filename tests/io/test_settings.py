"""Inputs changed by dotted paths: what paths mean, and what a bad one is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.io.settings import (
    Setting,
    changed,
    format_path,
    parse_path,
    parse_setting,
)
from shardplan.planning.planner import load_inputs
from shardplan.records.fingerprint import fingerprint
from shardplan.records.sharding import ShardingType
from shardplan.records.workload import Workload
from tests.helpers import COST_MODEL, MIXED, workload

if TYPE_CHECKING:
    from shardplan.records.inputs import Inputs

MODEL = workload(
    {"name": "user.id"},
    {"name": "user_age", "constraints": {"ranks": [1]}},
    {"name": "item"},
    constraints={"forbidden_ranks": [3]},
)


def inputs(*texts: str) -> Inputs:
    """Change the three inputs by settings as text."""
    settings = [parse_setting(text) for text in texts]
    return load_inputs(MODEL, MIXED, COST_MODEL, settings=settings)


def tables(*texts: str) -> dict[str, object]:
    return {table.name: table for table in inputs(*texts).workload.tables}


def test_values_of_all_inputs() -> None:
    """A key, an index, a name, nested records and text with a unit."""
    found = inputs(
        "workload.comm_dtypes.forward=fp16",
        "topology.host_groups[1].num_hosts=5",
        "topology.host_groups.new.scale_out.nic_bw=200 Gb/s",
        "cost_model.lookup.forward_floor_s.value=20 us",
        "cost_model.collectives.all_to_all_scale_up.latency_s.value = 2e-6",
    )
    assert found.workload.comm_dtypes.forward == "fp16"
    assert [group.num_hosts for group in found.topology.host_groups] == [1, 5]
    assert found.topology.host_groups[0].scale_out.nic_bw == 25e9
    assert found.topology.host_groups[1].scale_out.nic_bw == 1e10
    assert found.cost_model.lookup.forward_floor_s.value == 2e-5  # type: ignore[union-attr]


def test_nothing_set_changes_nothing() -> None:
    """Without settings the very records come back."""
    assert inputs().workload is MODEL
    assert fingerprint(inputs("workload.name=toy").workload) == fingerprint(MODEL)


def test_entries_by_name_number_and_wildcard() -> None:
    """Names with dots are quoted; ``*`` is all of a list or a part of a name."""
    found = inputs(
        'workload.tables."user.id".embedding_dim=16',
        "workload.tables[2].embedding_dim=32",
        "workload.tables.user*.pooling_factor=3",
        "workload.tables[*].dtype=fp16",
    ).workload.tables
    assert [table.embedding_dim for table in found] == [16, 128, 32]
    assert [table.pooling_factor for table in found] == [3, 3, 1]
    assert {table.dtype for table in found} == {"fp16"}


def test_a_name_is_taken_before_a_pattern() -> None:
    """A table whose name has a star is meant by that name."""
    model = workload({"name": "a*"}, {"name": "ab"})
    setting = Setting(("workload", "tables", "a*", "embedding_dim"), 8)
    found = changed(model, "workload", [setting])
    assert [table.embedding_dim for table in found.tables] == [8, 128]


def test_settings_that_need_each_other() -> None:
    """The record is looked at after all of them, in their order; the last one wins."""
    found = inputs(
        "workload.access.kind=zipf",
        "workload.access.alpha=1.1",
        "workload.index_bytes=4",
        "workload.index_bytes=8",
    ).workload
    assert found.access.kind == "zipf"
    assert found.index_bytes == 8


def test_one_batch_size_takes_the_place_of_the_other() -> None:
    """A workload has one of two batch sizes: setting one takes the other away."""
    found = inputs("workload.batch_size=64 Ki").workload
    assert (found.batch_size, found.global_batch_size) == (65_536, None)


def test_adding_to_lists() -> None:
    """``+=`` adds to a list, to the inherited default where a table has none."""
    path = "constraints.forbidden_ranks+=[0, 2]"
    found = inputs(f"workload.tables.*.{path}", "workload.sources+=a talk").workload
    assert {t.constraints.forbidden_ranks for t in found.tables} == {(3, 0, 2)}
    assert found.tables[1].constraints.ranks == (1,)
    assert found.sources == ("a talk",)


def test_factors_of_the_inputs_own_numbers() -> None:
    """Each entry keeps its ratio; whole numbers stay whole, defaults count as well."""
    found = inputs(
        "workload.tables.*.num_embeddings *= 1.5",
        "workload.tables.item.pooling_factor*=3",
        "topology.host_groups.*.scale_out.nic_bw*=0.5",
    )
    for table, own in zip(found.workload.tables, MODEL.tables, strict=True):
        assert table.num_embeddings == round(own.num_embeddings * 1.5)
    assert found.workload.tables[2].pooling_factor == 3 * MODEL.tables[2].pooling_factor
    for group, was in zip(found.topology.host_groups, MIXED.host_groups, strict=True):
        assert group.scale_out.nic_bw == 0.5 * was.scale_out.nic_bw


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("workload.dense.interaction*=2", "is no number: a factor does not apply"),
        ("workload.dense.top_mlp*=2", "is no number"),
        ("topology.cost_model*=2", "a factor does not apply"),
        ("workload.batch_size*=2", "has no value: a factor does not apply"),
        ("workload.index_bytes*=two", "a factor must be a number above 0, not 'two'"),
        ("workload.index_bytes*=0", "a factor must be a number above 0, not 0"),
        ("workload.index_bytes*=inf", "a factor must be a number above 0, not inf"),
        ("workload.index_bytes*=true", "a factor must be a number above 0, not True"),
        ("workload.index_bytes*=3", "must be 4 or 8|one of 4, 8"),
    ],
)
def test_factors_of_what_is_no_number(text: str, rule: str) -> None:
    """A factor needs a number to apply to, and its product must fit the field."""
    with pytest.raises(InputError, match=rule):
        inputs(text)


def test_a_star_before_the_sign_is_a_step() -> None:
    """`a.*=1` sets all of a; only behind a key is the star part of the sign."""
    assert parse_setting("workload.tables.*=1").steps == ("workload", "tables", "*")
    assert not parse_setting("workload.tables[*]=1").scales
    assert parse_setting("workload.tables.*.key_bytes*=2").scales


def test_values_as_in_toml() -> None:
    """Lists, tables and flags are TOML; what is none is text."""
    found = inputs(
        "workload.tables.item.is_pooled=false",
        "workload.colocate=[['item', 'user_age']]",
        "workload.access={ kind = 'zipf', alpha = 1.2 }",
        "workload.description=a = b # c",
    ).workload
    assert not found.tables[2].is_pooled
    assert found.colocate == (("item", "user_age"),)
    assert found.access.alpha == 1.2  # type: ignore[union-attr]
    assert found.description == "a = b # c"


@pytest.mark.parametrize(
    ("text", "key", "rule"),
    [
        ("wrkload.name=x", "wrkload.name", "did you mean 'workload'?"),
        ("workload=x", "workload", "begins with workload, topology, cost_model and"),
        ("workload.nam=x", "workload.nam", "unknown key; did you mean 'name'?"),
        (
            "topology.host_groups[0].count=4",
            "topology.host_groups[0].count",
            "unknown key; known: name, num_hosts",
        ),
        (
            "topology.host_groups[9].num_hosts=4",
            "topology.host_groups[9]",
            "there are 2, numbered from 0",
        ),
        (
            "workload.tables.itme.dtype=fp16",
            "workload.tables.itme",
            "did you mean 'item'?",
        ),
        (
            "workload.tables.x*.dtype=fp16",
            "workload.tables.x*",
            "no entry has this name",
        ),
        ("workload.name.first=x", "workload.name.first", "workload.name has no keys"),
        ("workload.name+=x", "workload.name", "is no list: use '=' in place of '+='"),
        (
            "cost_model.runtimes.eager.lookup_passes=x",
            "cost_model.runtimes.eager",
            "unknown key; known: none",
        ),
        (
            "workload.tables.item.embedding_dim=0",
            "workload.tables[2].embedding_dim",
            "must be >= 1",
        ),
        (
            "topology.host_groups.old.scale_out.nic_bw=200",
            "topology.host_groups[1].scale_out.nic_bw",
            'did you mean "200 Gb/s" = 25e9',
        ),
    ],
)
def test_bad_settings(text: str, key: str, rule: str) -> None:
    """The error names the path up to where it fails, and the nearest known key."""
    with pytest.raises(InputError) as caught:
        inputs(text)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("setting", key)
    assert rule in problem.rule


@pytest.mark.parametrize(
    "text", ["", "=", "workload.name", ".a=1", "a..b=1", "a[b]=1", 'a."b=1', "a[1=1"]
)
def test_what_is_no_setting(text: str) -> None:
    """Text without a path or a value is refused."""
    with pytest.raises(ValueError, match="must"):
        parse_setting(text)


names = st.text(st.characters(codec="utf-8", exclude_characters='"'), min_size=1)


@given(st.lists(st.integers(0, 10**6) | names, min_size=1).filter(lambda p: p[0] != 0))
def test_paths_read_back(steps: list[int | str]) -> None:
    """Any path is the same after writing and reading, whatever names it has."""
    if isinstance(steps[0], int):
        steps.insert(0, "workload")
    assert parse_path(format_path(steps)) == tuple(steps)


@given(st.text(max_size=40))
def test_any_text_is_a_setting_or_a_value_error(text: str) -> None:
    """Whatever is typed, there is a setting, a ValueError or an InputError."""
    try:
        setting = parse_setting(text)
        changed(MODEL, "workload", [Setting(("workload", *setting.steps), 1)])
    except (ValueError, InputError):
        pass


def test_plans_carry_the_changed_inputs() -> None:
    """A type that a setting forbids is in the plan's inputs, with a fingerprint."""
    path = 'workload.tables."user.id".constraints.sharding_types=["row_wise"]'
    found = inputs(path).workload
    assert isinstance(found, Workload)
    assert found.tables[0].constraints.sharding_types == (ShardingType.ROW_WISE,)
    assert fingerprint(found) != fingerprint(MODEL)
