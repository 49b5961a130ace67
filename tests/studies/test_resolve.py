"""From points to inputs, options and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.errors import InputError
from shardplan.records.fingerprint import fingerprint, fingerprints
from shardplan.studies.expand import PointMaker, expand
from shardplan.studies.resolve import ResolvedPoint, Resolver
from shardplan.studies.spec import StudySpec
from tests.studies.conftest import STUDY

if TYPE_CHECKING:
    from shardplan.studies.sources import Sources

NIC = "topology.host_groups.*.scale_out.nic_bw"


def resolved(study: dict[str, Any], inputs: Sources) -> list[ResolvedPoint]:
    """All points of a study, resolved."""
    spec = StudySpec.of(study, sources=inputs)
    resolver = Resolver(spec)
    return [resolver.resolve(point) for point in expand(spec)]


def test_overrides_come_before_axes(study: dict[str, Any], inputs: Sources) -> None:
    """All tables, then one: the later change is on top of the earlier one."""
    study["overrides"] = {
        "int8": {
            "workload.tables.*.dtype": "int8",
            "workload.tables.*.num_embeddings": {"scale": 0.5},
            "hosts": 2,
        }
    }
    study["scenarios"] = {"cheap": ["int8"]}
    study["axes"] = {"workload.tables.cat_0.dtype": ["fp16"], NIC: {"scale": [2]}}
    (found,) = resolved(study, inputs)
    own = inputs.workloads["dlrm-dcnv2"].tables
    tables = found.inputs.workload.tables
    assert [t.dtype.value for t in tables] == ["fp16", *["int8"] * (len(own) - 1)]
    assert [t.num_embeddings for t in tables] == [
        round(t.num_embeddings * 0.5) for t in own
    ]
    assert found.inputs.topology.num_hosts == 2
    group = found.inputs.topology.host_groups[0]
    was = inputs.topologies["dgx-h100"].host_groups[0]
    assert group.scale_out.nic_bw == 2 * was.scale_out.nic_bw


def test_points_share_records(study: dict[str, Any], inputs: Sources) -> None:
    """The same workload is the same object, and so are clusters and cost models."""
    study["axes"] = {
        "workload.global_batch_size": [1024, 2048],
        "hosts": [1, 2, 4],
        "solver": ["greedy", "ldm"],
    }
    points = [point.inputs for point in resolved(study, inputs)]
    for name, count in (("workload", 2), ("topology", 3), ("cost_model", 1)):
        assert len({id(getattr(one, name)) for one in points}) == count
        assert len({fingerprint(getattr(one, name)) for one in points}) == count


def test_options(study: dict[str, Any], inputs: Sources) -> None:
    """They are the arguments of a solve; a seed comes from the key unless given."""
    study["base"] |= {"solver": "auto", "work_limit": "2 k", "objective": "max-rank"}
    study["axes"] = {"solver.greedy.most_scores": [7, 2_500_000], "gap": [0.0, 0.1]}
    first, *others = resolved(study, inputs)
    options = first.options.arguments()
    assert options.pop("params").greedy.most_scores == 7
    assert options == {
        "target": "any",
        "objective": "max-rank",
        "solver": "auto",
        "seed": int(first.key[:8], 16),
        "work_limit": 2000,
        "gap": 0.0,
        "rounds": 0,
    }
    assert len({one.options.seed for one in (first, *others)}) == 4
    study["base"]["seed"] = 5
    seeded = resolved(study, inputs)
    assert {one.options.seed for one in seeded} == {5}
    assert not {one.key for one in seeded} & {first.key, *(one.key for one in others)}


def test_parameter_servers(study: dict[str, Any], inputs: Sources) -> None:
    """Points of that kind have workers and servers, which axes change."""
    study["base"]["kind"] = "parameter-servers"
    with pytest.raises(InputError, match=r"needs a section \[parameter_servers\]"):
        StudySpec.of(study, sources=inputs)
    study["parameter_servers"] = {"batch_size": "1 k"}
    study["axes"] = {"parameter_servers.workers": [4, 8]}
    found = resolved(study, inputs)
    assert [one.servers and one.servers.workers for one in found] == [4, 8]
    assert found[0].key != found[1].key


CHANGES: dict[str, list[Any]] = {
    "hosts": [None, 1, 2],
    "workload.global_batch_size": [65536, 32768, "32 Ki"],
    "workload.tables.*.pooling_factor": [1, 1.0, 2],
    NIC: ["400 Gb/s", "50 GB/s", 5e10, 25e9],
    "cost_model": [None, "h100"],
    "gap": [0, 0.0, 0.1],
}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({k: st.sampled_from(v) for k, v in CHANGES.items()}),
        min_size=2,
        max_size=4,
    )
)
def test_keys_are_equal_if_and_only_if_the_work_is(
    inputs: Sources, many: list[dict[str, Any]]
) -> None:
    """Whatever the units, and whether a default is written out or not."""
    spec = StudySpec.of(STUDY, sources=inputs)
    maker, resolver = PointMaker(spec), Resolver(spec)
    found = []
    for values in many:
        given_values = {k: v for k, v in values.items() if v is not None}
        one = resolver.resolve(maker.make(0, given_values))
        work = (fingerprints(one.inputs), one.options.gap)
        found.append((one.key, work))
    for key, work in found:
        for other_key, other in found:
            assert (key == other_key) == (work == other)


def test_an_error_names_the_path_and_the_point(
    study: dict[str, Any], inputs: Sources
) -> None:
    """What only fails together is found when the point is resolved."""
    study["axes"] = {
        "topology.host_groups.*.local_world_size": [8, 12, 16],
        "topology.host_groups.*.scale_up.domain_size": [8, 4, 3],
    }
    size, domain = study["axes"]
    study["exclude"] = [{size: 12, domain: 8}, {size: 8, domain: 3}]
    spec = StudySpec.of(study, sources=inputs)
    resolver = Resolver(spec)
    wrong = []
    for point in expand(spec):
        try:
            resolver.resolve(point)
        except InputError as error:
            wrong.append((point.number, str(error)))
    assert [number for number, _ in wrong] == [6]
    assert (
        "- study: topology.host_groups[0]: scale_up.domain_size must div"
        in (wrong[0][1])
    )
    assert "(point 6: topology.host_groups.*.local_world_size = 16, " in wrong[0][1]


def test_one_problem_of_many_tables_is_told_once(
    study: dict[str, Any], inputs: Sources
) -> None:
    """It says in how many more it is."""
    spec = StudySpec.of(study, sources=inputs)
    point = PointMaker(spec).make(0, {"workload.tables.*.embedding_dim": 0})
    with pytest.raises(InputError) as caught:
        Resolver(spec).resolve(point)
    (problem,) = caught.value.problems
    assert problem.key == "workload.tables[0].embedding_dim"
    assert "must be >= 1 (here and in 25 more)" in problem.rule
