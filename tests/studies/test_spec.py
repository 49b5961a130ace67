"""What a study file may not say, and what of it is only pointless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.studies.expand import expand
from shardplan.studies.spec import StudySpec, load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.studies.sources import Sources

NIC = "topology.host_groups.*.scale_out.nic_bw"


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"axes": {"hosts": [1, 1]}}, "axes.hosts[1]: is the same as axes.hosts[0]"),
        ({"axes": {"hosts": [1, 1.0]}}, "axes.hosts[1]: is the same as axes.hosts[0]"),
        (
            {"axes": {NIC: ["400 Gb/s", 5e10]}},
            f'axes."{NIC}"[1] = 50000000000.0: leads to the same inputs as '
            f'axes."{NIC}"[0]',
        ),
        ({"axes": {"hots": [1]}}, "axes.hots: is neither a field of [base] nor a path"),
        ({"axes": {"hots": [1]}}, "did you mean 'hosts'?"),
        (
            {"axes": {"workload.": [1]}},
            "axes.\"workload.\": 'workload.' must be a path",
        ),
        ({"axes": {"plan.x": [1]}}, "which begins with workload, topology, cost_model"),
        ({"axes": {"scenario": ["x"]}}, "axes.scenario: is neither a field of [base]"),
        (
            {"axes": {"workload.tables.cat_99.dtype": ["int8"]}},
            "no entry has this name or number; did you mean 'cat_9'?",
        ),
        (
            {"axes": {"workload.dense.interaction": {"scale": [2]}}},
            "scale[0] = 2.0: is no number: a factor does not apply",
        ),
        (
            {"axes": {"workload.batch_size": {"scale": [2]}}},
            "has no value: a factor does not apply",
        ),
        (
            {"axes": {"hosts": {"scale": [2]}}},
            "axes.hosts.scale[0] = 2.0: [base] has no number hosts to which a factor",
        ),
        (
            {"axes": {"workload.tables.*.embedding_dim": [64.5]}},
            "[0] = 64.5: workload.tables[0].embedding_dim: must be a whole number "
            "(here and in 25 more)",
        ),
        (
            {"axes": {"solver": ["quick"]}},
            "[0] = 'quick': must be one of: auto, greedy",
        ),
        ({"axes": {"solver": ["auto"]}}, "axes.solver[0] = 'auto': needs work_limit"),
        (
            {"zip": {"z": {"hosts": [1, 2], "gap": [0.1]}}},
            "zip.z: lists that move together are equally long: hosts has 2, gap has 1",
        ),
        (
            {"zip": {"z": {"hosts": [1, 1], "gap": [0.1, 0.1]}}},
            "zip.z[1]: is the same as zip.z[0]",
        ),
        (
            {"axes": {"hosts": [1]}, "zip": {"z": {"hosts": [2]}}},
            "hosts is changed by axes.hosts[0]",
        ),
        (
            {
                "axes": {"workload.optimizer": ["sgd"]},
                "overrides": {"o": {"workload.optimizer": "adam"}},
                "scenarios": {"s": ["o"]},
            },
            "workload.optimizer is changed by scenarios.s",
        ),
        (
            {"scenarios": {"s": ["o"]}, "overrides": {"oo": {"hosts": 1}}},
            "scenarios.s = 'o': is no override",
        ),
        (
            {"scenarios": {"a": [], "b": []}},
            "scenarios.b: is the same as scenarios.a",
        ),
        ({"overrides": {"": {}}}, "overrides.'': the name must not be empty"),
        (
            {"overrides": {"o": {"workload.tabels.*.dtype": "int8"}}},
            None,
        ),
        (
            {
                "overrides": {"o": {"workload.tabels.*.dtype": "int8"}},
                "scenarios": {"s": ["o"]},
            },
            "scenarios.s = 's': workload.tabels: unknown key; did you mean 'tables'?",
        ),
        (
            {"exclude": [{"hosts": 1}]},
            "exclude[0].hosts: hosts is no axis of the study",
        ),
        (
            {"axes": {"hosts": [1]}, "exclude": [{"hosts": [1, 2]}]},
            "exclude: leaves no point",
        ),
        ({"search": {"minimise": "hosts"}}, "search.minimise: hosts is no axis"),
        ({"subject_to": ["gap < x"]}, "subject_to[0] = 'gap < x': gap: must be"),
        ({"pareto": {"x": "gap", "y": "cost"}}, "pareto.y = 'cost': is no column"),
        ({"pareto": {"x": "gap", "y": "status"}}, "pareto.y = 'status': has no better"),
        (
            {"prices": {"dgx-h100": {"per_host_hour_per": {"topology.x": 1}}}},
            'per_host_hour_per."topology.x": is no field',
        ),
        (
            {
                "axes": {"hosts": [1]},
                "codesign": {
                    "points": 1,
                    "minimise": ["gap"],
                    "knobs": {NIC: {"low": "1 Gb", "high": 1e10}},
                },
            },
            f"codesign.knobs.\"{NIC}\".low = '1 Gb': ",
        ),
        (
            {
                "axes": {"hosts": [1]},
                "codesign": {"points": 1, "minimise": ["gap"], "knobs": {"gap": {}}},
            },
            "codesign.knobs.gap = {}: needs low and high",
        ),
    ],
)
def test_what_is_wrong_is_told_by_key(
    study: dict[str, Any],
    inputs: Sources,
    sections: dict[str, Any],
    problem: str | None,
) -> None:
    """File, key, value, rule, and what to do."""
    if problem is None:
        StudySpec.of({**study, **sections}, sources=inputs)
        return
    with pytest.raises(InputError) as caught:
        StudySpec.of({**study, **sections}, where="s.toml", sources=inputs)
    assert problem in str(caught.value)
    assert all(p.where == "s.toml" for p in caught.value.problems)


def test_sections_that_cannot_be_read_hide_no_other(
    study: dict[str, Any], inputs: Sources
) -> None:
    """Values of axes are tried where other sections are wrong."""
    study["axes"] = {"hosts": [0], "gap": {"linear": [0, 1]}, NIC: ["1 GB"]}
    study["pareto"] = {"x": "gap"}
    with pytest.raises(InputError) as caught:
        StudySpec.of(study, sources=inputs)
    assert sorted(p.key for p in caught.value.problems) == [
        f'axes."{NIC}"[0]',
        "axes.gap",
        "axes.hosts[0]",
        "pareto.y",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"minimize": 3}, ["exclude[0].hots", "minimize", "subject_to[0]"]),
        ({"name": 3}, ["exclude[0].hots", "name", "subject_to[0]"]),
        ({"zip": 3}, ["subject_to[0]", "zip"]),
        ({"overrides": 3}, ["overrides", "subject_to[0]"]),
        ({"search": {"minimise": 3}}, ["exclude[0].hots", "search.minimise"]),
        (
            {"base": {"workload": "dlrm-dcnv2", "topology": "dgx-h100", "hots": 1}},
            ["base.hots", "subject_to[0]"],
        ),
        ({"base": {"workload": "dlrm-dcnv2", "topology": 3}}, ["base.topology"]),
    ],
)
def test_a_misspelt_key_hides_no_condition(
    study: dict[str, Any], inputs: Sources, wrong: dict[str, Any], told: list[str]
) -> None:
    """What names something in a section that cannot be read is not called wrong."""
    study |= {"subject_to": ["hbm_fil <= 1"], "axes": {"hosts": [1, 2]}}
    study |= {"scenarios": {"s": []}, "exclude": [{"hots": 1}], **wrong}
    with pytest.raises(InputError) as caught:
        StudySpec.of(study, sources=inputs)
    keys = {problem.key for problem in caught.value.problems}
    assert keys >= set(told)
    assert keys <= {*told, "subject_to[0]"}


def test_a_study_that_is_no_table_is_refused() -> None:
    """From Python anything may come."""
    wrong: Any = [1]
    with pytest.raises(InputError, match="study"):
        StudySpec.of(wrong)


def test_a_value_may_need_others(study: dict[str, Any], inputs: Sources) -> None:
    """What fails alone is no error where it is right in its points."""
    study["axes"] = {"solver": ["greedy", "auto"], "work_limit": [1000, 2000]}
    assert len(expand(StudySpec.of(study, sources=inputs))) == 4
    study["axes"] = {"topology": ["dgx-h100:2", "dgx-h100"], "hosts": [2, 4]}
    with pytest.raises(InputError) as caught:
        StudySpec.of(study)
    assert str(caught.value) == (
        "- study: axes.hosts[1] = 4: topology = 'dgx-h100:2': contradicts hosts = 4: "
        "leave one of them out (with topology dgx-h100:2)"
    )
    study["exclude"] = [{"topology": "dgx-h100:2", "hosts": 4}]
    assert len(expand(StudySpec.of(study))) == 3


def test_zips_may_repeat_a_value(study: dict[str, Any], inputs: Sources) -> None:
    """Only a whole row that is there twice is an error."""
    study["zip"] = {"z": {"gap": [0.1, 0.1], "rounds": [0, 1]}}
    assert len(expand(StudySpec.of(study, sources=inputs))) == 2


def test_what_has_no_effect_is_a_warning(
    study: dict[str, Any], inputs: Sources
) -> None:
    """Excludes that match nothing, unused overrides, prices of nothing."""
    study["axes"] = {"hosts": [1, 2]}
    study["exclude"] = [{"hosts": 3}, {"hosts": 2}]
    study["overrides"] = {"o": {"gap": 0.1}}
    study["prices"] = {"dgx-h100": {}, "dgx-a100": {}}
    assert StudySpec.of(study, where="s.toml", sources=inputs).warnings == [
        "s.toml: exclude[0] matches no point",
        "s.toml: overrides.o is in no scenario and changes nothing",
        "s.toml: prices.dgx-a100 is for no topology of the study; did you mean "
        "'dgx-h100'?",
    ]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Inputs beside the study are found from anywhere; what is missing is named."""
    from shardplan.io.catalog import shipped_files

    (text,) = shipped_files("topologies", "dgx-h100").values()
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    file = tmp_path / "study.toml"
    head = 'schema_version = 1\nname = "x"\n[base]\nworkload = "dlrm-dcnv2"\n'
    file.write_text(head + 'topology = "mine.toml:2"\n', encoding="utf-8")
    spec = load_spec(file)
    assert spec.sources.topologies["mine.toml:2"].num_hosts == 2
    file.write_text(head + 'topology = "yours.toml"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"base\.topology = yours\.toml: no such"):
        load_spec(file)
    kept = type(spec.sources)(
        spec.sources.workloads,
        {"yours.toml": spec.sources.topologies["mine.toml:2"]},
        spec.sources.cost_models,
    )
    assert load_spec(file, kept).sources.topologies.keys() == {"yours.toml"}


def test_networks_are_named_or_beside_the_file(tmp_path: Path) -> None:
    """An axis names networks; those in files go along with the packed study."""
    from shardplan.io.catalog import shipped_files
    from shardplan.studies.packing import pack, unpack
    from shardplan.studies.resolve import Resolver

    (text,) = shipped_files("networks", "ethernet-100").values()
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    file = tmp_path / "study.toml"
    head = 'schema_version = 1\nname = "x"\n[base]\nworkload = "dlrm-dcnv2"\n'
    head += 'topology = "dgx-h100:2"\n[axes]\n"topology.fabric.network" = '
    file.write_text(head + '["roce-2021", "./mine.toml"]\n', encoding="utf-8")
    packed = pack(load_spec(file))
    (tmp_path / "mine.toml").unlink()
    spec = unpack(json.loads(packed), "packed")
    resolver = Resolver(spec)
    inputs = [resolver.resolve(point).inputs for point in expand(spec)]
    found = [one.topology.fabric.network for one in inputs]
    assert [network.name for network in found if network] == [
        *("roce-2021", "ethernet-100")
    ]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        (
            "topology.fabric.network",
            "infiniband-rial",
            "is not a shipped network; did you mean 'infiniband-rail'?",
        ),
        (
            "topology.host_groups.*.scale_up.network",
            "nvlink44",
            "is not a shipped network; did you mean 'nvlink4'?",
        ),
        ("cost_model.networks.scale_out", "./none.toml", "no such file"),
    ],
)
def test_a_wrong_network_is_told_by_key(
    study: dict[str, Any], inputs: Sources, key: str, value: str, problem: str
) -> None:
    """The axis, the value, and the nearest name."""
    study["axes"] = {key: [value]}
    with pytest.raises(InputError) as caught:
        StudySpec.of(study, sources=inputs)
    (line,) = caught.value.problems
    assert line.key == f'axes."{key}"[0]'
    assert value in str(line)
    assert problem in str(line)
