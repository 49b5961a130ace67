"""A network that wrote the times is found again in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shardplan.calibration.nccl_tests import read_all
from shardplan.calibration.network_fit import fit_network
from shardplan.calibration.network_text import network_toml
from shardplan.errors import InputError
from shardplan.io.catalog import load_network
from shardplan.simulation.collective_times import Bench
from tests.calibration.written import write

if TYPE_CHECKING:
    from pathlib import Path

    from shardplan.calibration.network_fit import Calibration
    from shardplan.records.network import LinkModel
    from shardplan.simulation.collective_times import Collective

INSIDE = load_network("nvlink4")


def hosts(number: int) -> Bench:
    return Bench(number, 8, 50e9, INSIDE)


def domain(ranks: int) -> Bench:
    return Bench(1, ranks, 450e9, INSIDE)


def coefficients(link: LinkModel) -> dict[str, float]:
    found = {
        name: getattr(link, name)
        for name in ("latency_s", "hop_s", "bw_efficiency", "exponent")
    }
    return {name: one.value for name, one in found.items() if one is not None}


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """A fit of what `infiniband-rail` predicts for 2 and 4 hosts."""
    folder = tmp_path_factory.mktemp("hosts")
    files: list[tuple[str, int, Collective]] = [
        ("a2a.json", 2, "all_to_all"),
        ("ar2.txt", 2, "all_reduce"),
        ("ar4.json", 4, "all_reduce"),
        ("ag.json", 4, "all_gather"),
    ]
    specs = [
        write(folder, name, "infiniband-rail", hosts(number), collective)
        for name, number, collective in files
    ]
    return fit_network("mine", read_all(specs), load_network("ethernet-400"), 50e9)


def test_a_network_between_hosts_comes_back(between: Calibration) -> None:
    """Every coefficient within 2 %, and inside its range, which is narrow."""
    truth = load_network("infiniband-rail")
    for operation in ("all_to_all", "reduce"):
        found = coefficients(getattr(between.network, operation))
        expected = coefficients(getattr(truth, operation))
        assert found == pytest.approx(expected, rel=0.02)
        for name, (low, high) in between.operations[operation].ranges.items():
            assert low < expected[name] < high < 1.3 * low
    assert between.operations["reduce"].kept == ("latency_s",)
    errors = [abs(e.value) for found in between.errors.values() for e in found]
    assert max(errors) < 0.02


def test_sources_name_files_version_and_ranges(between: Calibration) -> None:
    """What was fitted says so; what was kept has the source of its parent."""
    latency = between.network.all_to_all.latency_s
    assert "a2a.json" in latency.source
    assert "NCCL 2.28.8" in latency.source
    assert "95 %" in latency.source
    assert str(latency.date) == "2026-10-05"
    kept = between.network.reduce.latency_s
    assert kept == load_network("ethernet-400").reduce.latency_s


def test_the_file_is_the_network(between: Calibration, tmp_path: Path) -> None:
    """What is written is valid, and predicts the same."""
    path = tmp_path / "mine.toml"
    path.write_text(network_toml(between.network, ["a comment"]), encoding="utf-8")
    again = load_network(path)
    assert again.name == "mine"
    for operation in ("all_to_all", "reduce"):
        assert coefficients(getattr(again, operation)) == pytest.approx(
            coefficients(getattr(between.network, operation)), rel=1e-3
        )


def test_a_domain_gets_curves_by_ranks(tmp_path: Path) -> None:
    """Measured times are the network's own; what was not measured is the parent's."""
    specs = [
        write(tmp_path, f"{ranks}.json", "nvlink4", domain(ranks), "all_to_all")
        for ranks in (2, 8)
    ]
    parent = load_network("nvlink5")
    found = fit_network("mine", read_all(specs), parent, 450e9)
    network = found.network
    assert [curve.num_ranks for curve in network.all_to_all.curves] == [2, 8]
    assert max(abs(error.value) for error in found.errors["all_to_all"]) < 0.02
    assert (network.reduce, network.all_reduce) == (parent.reduce, parent.all_reduce)
    path = tmp_path / "mine.toml"
    path.write_text(network_toml(network), encoding="utf-8")
    assert load_network(path).all_reduce == parent.all_reduce
    assert load_network(path).latency_growth == parent.latency_growth


def test_small_messages_tell_no_bandwidth(tmp_path: Path) -> None:
    """What times do not tell is kept from the parent, or asked for."""
    path = tmp_path / "small.json"
    write(tmp_path, path.name, "infiniband-rail", hosts(2), "all_to_all")
    data = json.loads(path.read_text())
    kept = [entry for entry in data["results"] if entry["size"] <= 2**14]
    sizes = [2**power for power in range(8, 10)]
    for size in sizes:
        kept.append({**kept[0], "size": size, "out_of_place": {**ZERO}})
        kept[-1]["out_of_place"]["time"] = kept[0]["out_of_place"]["time"]
    path.write_text(json.dumps({**data, "results": kept}))
    parent = load_network("ethernet-400")
    found = fit_network("mine", read_all([str(path)]), parent, 50e9)
    operation = found.operations["all_to_all"]
    assert "bw_efficiency" in operation.kept
    assert found.network.all_to_all.bw_efficiency == parent.all_to_all.bw_efficiency
    assert operation.link.latency_s.value == pytest.approx(29e-6, rel=0.1)


ZERO = {"alg_bw": 0.0, "bus_bw": 0.0, "nwrong": 0.0}


def test_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    """Line rate, parent, and no mixture of inside and between hosts."""
    outside = write(tmp_path, "out.json", "infiniband-rail", hosts(2), "all_to_all")
    inside = write(tmp_path, "in.json", "nvlink4", domain(2), "all_to_all")
    parent = load_network("infiniband-rail")
    for specs, like, line_bw, message in (
        ([outside], parent, None, "--line-bw: is needed"),
        ([outside], None, 50e9, "--like: is needed: the network to keep reduce from"),
        ([inside, outside], parent, 50e9, "two networks, fitted one by one"),
        ([outside], parent, 50e9 / 8, "--line-bw = '6.25e+09': is slower than"),
        ([inside], parent, 450e9 / 8, "is slower than what a rank sends"),
    ):
        with pytest.raises(InputError) as caught:
            fit_network("mine", read_all(specs), like, line_bw)
        assert message in str(caught.value)
