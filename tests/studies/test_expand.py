"""From a study to its points."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.studies.expand import PointMaker, axis_names, expand
from shardplan.studies.spec import StudySpec
from tests.studies.conftest import STUDY

if TYPE_CHECKING:
    from shardplan.studies.sources import Sources


def test_points_come_as_from_nested_loops(study: dict[str, Any]) -> None:
    """Scenarios outermost, then axes and zips in the file's order."""
    study["axes"] = {"hosts": [1, 2], "solver": ["greedy", "ldm"]}
    study["zip"] = {"io": {"gap": [0, 0.1], "rounds": [0, 1]}}
    study["overrides"] = {"low": {"workload.tables.*.dtype": "int8"}}
    study["scenarios"] = {"today": [], "cheap": ["low"]}
    spec = StudySpec.of(study)
    points = expand(spec)
    assert axis_names(spec) == ("scenario", "hosts", "solver", "gap", "rounds")
    assert [tuple(point.values.values()) for point in points] == [
        (scenario, hosts, solver, gap, rounds)
        for scenario in ("today", "cheap")
        for hosts in (1, 2)
        for solver in ("greedy", "ldm")
        for gap, rounds in ((0, 0), (0.1, 1))
    ]
    assert [point.number for point in points] == list(range(16))
    assert len({point.id for point in points}) == 16
    assert [s.path for s in points[-1].settings] == ["workload.tables.*.dtype"]


AXES: dict[str, list[Any]] = {
    "hosts": [1, 2, 4],
    "solver": ["greedy", "ldm"],
    "workload.global_batch_size": [16384, 32768, "64 Ki"],
    "workload.tables.*.dtype": ["fp32", "fp16"],
    "topology.host_groups.*.scale_out.nic_bw": ["200 Gb/s", "400 Gb/s"],
}


@st.composite
def products(draw: st.DrawFn) -> dict[str, Any]:
    """Some axes in some order, and excludes of some of their values."""
    names = draw(st.permutations(sorted(AXES)))[: draw(st.integers(0, len(AXES)))]
    axes = {
        name: draw(st.lists(st.sampled_from(AXES[name]), min_size=1, unique=True))
        for name in names
    }
    excludes = []
    for _ in range(draw(st.integers(0, 2)) if names else 0):
        chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        entry = {}
        for name in chosen:
            value = draw(st.sampled_from(AXES[name]))
            entry[name] = [value, "other"] if draw(st.booleans()) else value
        excludes.append(entry)
    return {"axes": axes, "exclude": excludes}


@settings(max_examples=60, deadline=None)
@given(products())
def test_any_product(inputs: Sources, parts: dict[str, Any]) -> None:
    """The order is that of nested loops; ids differ as points do, and stay the same."""
    study = {**STUDY, **parts}
    wanted = [
        dict(zip(parts["axes"], row, strict=True))
        for row in product(*parts["axes"].values())
    ]
    kept = [
        values
        for values in wanted
        if not any(
            all(
                values.get(key) == one or (one == [values.get(key), "other"])
                for key, one in entry.items()
            )
            for entry in parts["exclude"]
        )
    ]
    known = all(key in parts["axes"] for entry in parts["exclude"] for key in entry)
    if not known or not kept:
        with pytest.raises(InputError, match="exclude"):
            StudySpec.of(study, sources=inputs)
        return
    spec = StudySpec.of(study, sources=inputs)
    points = expand(spec)
    assert [point.values for point in points] == kept
    assert len({point.id for point in points}) == len(points)
    assert [p.id for p in expand(StudySpec.of(study, sources=inputs))] == [
        point.id for point in points
    ]
    maker = PointMaker(spec)
    for point in points[:5]:
        assert maker.make(point.number, point.values) == point


def test_ids_say_what_a_point_rests_on(study: dict[str, Any], inputs: Sources) -> None:
    """Another base, input or server does; prices, names and descriptions do not."""

    def ids(**changes: Any) -> str:
        return expand(StudySpec.of({**study, **changes}, sources=inputs))[0].id

    own = ids()
    assert own == ids(description="x", name="y", pareto={"x": "gap", "y": "hosts"})
    assert own == ids(prices={"dgx-h100": {"per_host_hour": 3}})
    assert own == ids(failures={"mtbf_hours_per_host": 9, "checkpoint_bw": 1e9})
    assert own != ids(base={**study["base"], "gap": 0.1})
    assert own != ids(base={**study["base"], "cost_model": "a100"})
    other = inputs.workloads["dlrm-dcnv2"].replace(index_bytes=8)
    changed = replace(inputs, workloads={"dlrm-dcnv2": other})
    assert expand(StudySpec.of(study, sources=changed))[0].id != own


def test_many_points_are_cheap(study: dict[str, Any], inputs: Sources) -> None:
    """Ten thousand have their ids without any input being changed."""
    study["axes"] = {
        "seed": {"linear": [0, 99], "step": 1},
        "workload.tables.*.pooling_factor": {"scale": [i / 7 for i in range(1, 11)]},
        "topology.host_groups.*.scale_out.nic_bw": {"scale": list(range(1, 11))},
    }
    spec = StudySpec.of(study, sources=inputs)
    with patch("shardplan.io.settings.applied", side_effect=AssertionError):
        assert len({point.id for point in expand(spec)}) == 10_000
