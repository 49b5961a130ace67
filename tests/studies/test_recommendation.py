"""Which cluster trains a workload at a wanted rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.io.catalog import load_topology
from shardplan.io.settings import parse_setting
from shardplan.studies.recommendation import recommend
from shardplan.studies.runner import run
from shardplan.studies.sizes import RATE, impossible_counts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where results of the module's tests are kept: nothing is run twice."""
    return tmp_path_factory.mktemp("results") / "study"


@pytest.mark.parametrize("rate", [7e6, 1.1e7, 1.2e7, 1.8e7, 2.6e7])
def test_the_answer_is_the_least(rate: float, folder: Path) -> None:
    """Every size is solved, and none below the answer reaches the rate."""
    topologies = ["dgx-h100", "dgx-a100-80"]
    every = run(
        {
            "schema_version": 1,
            "name": "every-size",
            "base": {"workload": "dlrm-dcnv2", "topology": "dgx-h100"},
            "axes": {"topology": topologies, "hosts": [1, 2, 3, 4, 5, 6]},
        },
        folder,
    )
    found = recommend("dlrm-dcnv2", topologies, rate, hosts_max=6, directory=folder)
    for sizes in found.sizes:
        enough = [
            row.values["hosts"]
            for row in every.rows
            if row.values["topology"] == sizes.topology and row.values[RATE] >= rate
        ]
        smallest = sizes.smallest
        least = None if smallest is None else smallest.values["hosts"]
        assert least == min(enough, default=None)
    reaching = [sizes for sizes in found.sizes if sizes.smallest is not None]
    ranks = [s.smallest.values["world_size"] for s in reaching if s.smallest]
    assert ranks == sorted(ranks)
    assert found.best is (reaching[0] if reaching else None)


def test_neighbours(folder: Path) -> None:
    """One size smaller and one larger are known, with what they mean."""
    found = recommend("dlrm-dcnv2", ["dgx-h100"], 2e7, hosts_max=6, directory=folder)
    (sizes,) = found.sizes
    assert sizes.smallest is not None
    assert sizes.smaller is not None
    assert sizes.larger is not None
    hosts = [r.values["hosts"] for r in (sizes.smaller, sizes.smallest, sizes.larger)]
    assert hosts == [1, 2, 3]
    assert "too slow" in sizes.why_not(sizes.smaller)
    gain = sizes.larger.values[RATE] - sizes.smallest.values[RATE]
    assert sizes.gain_per_host == pytest.approx(gain)
    assert found.global_batch_size == 65_536
    frame = found.to_frame()
    assert frame["hosts"].tolist() == [2]
    assert frame.attrs["units"]["gain_per_host"] == "samples/s/host"


def test_too_full(folder: Path) -> None:
    """A condition beside the rate is named where it is missed."""
    found = recommend(
        *("dlrm-dcnv2", ["dgx-h100"], 1.0),
        hosts_max=6,
        hbm_fill=0.3,
        directory=folder,
    )
    (sizes,) = found.sizes
    assert sizes.smaller is not None
    assert sizes.why_not(sizes.smaller) == "misses hbm_fill <= 0.3"


def test_infeasible_one_size_smaller() -> None:
    """Without plan there is no rate: the answer is the first size that has one."""
    settings = [parse_setting('topology.host_groups.*.device.hbm_bytes="20 GB"')]
    settings += [
        parse_setting(f"topology.host_groups.*.host.{tier}=0")
        for tier in ("ddr_bytes", "ssd_bytes")
    ]
    found = recommend("dlrm-dcnv2", ["dgx-h100"], 1.0, hosts_max=4, settings=settings)
    (sizes,) = found.sizes
    assert sizes.smallest is not None
    assert sizes.smallest.values["hosts"] == 2
    assert sizes.smaller is not None
    assert sizes.why_not(sizes.smaller).startswith("nothing fits (proven): hbm lacks")


def test_the_bound_excludes_a_size(folder: Path) -> None:
    """Said of the objective alone, for the simulated step is something else."""
    found = recommend("dlrm-dcnv2", ["dgx-h100"], 1e9, hosts_max=2, directory=folder)
    assert found.best is None
    (sizes,) = found.sizes
    why = sizes.why_not(sizes.nearest)
    assert "no plan has an objective below" in why
    assert "(proven)" in why
    assert sizes.nearest.values["hosts"] == 2
    assert "dgx-h100 with 2 hosts: too slow" in found.refusal


def test_cheapest(folder: Path) -> None:
    """Prices turn the order round; without them there is no cheapest."""
    topologies = ["dgx-h100", "dgx-a100-80"]
    prices = {"dgx-h100": 100.0, "dgx-a100-80": 20.0}  # made up
    found = recommend(
        *("dlrm-dcnv2", topologies, 1.2e7),
        hosts_max=6,
        directory=folder,
        prices=prices,
        cheapest=True,
    )
    assert [sizes.topology for sizes in found.sizes] == ["dgx-a100-80", "dgx-h100"]
    costs = [s.smallest.values["cost_per_hour"] for s in found.sizes if s.smallest]
    assert costs == sorted(costs)
    assert found.runner_up is found.sizes[1]


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    """Racks are whole beyond the first, and a mixed cluster has one size only."""
    rack = load_topology("gb200-nvl72")
    assert list(impossible_counts(rack, 40)) == [*range(19, 36), *range(37, 41)]
    group = rack.host_groups[0].replace(num_hosts=18)
    other = group.replace(name="other")
    mixed = rack.replace(name="mixed", host_groups=(group, other))
    file = tmp_path / "mixed.json"
    file.write_text(mixed.model_dump_json(exclude_unset=True))
    with pytest.raises(InputError, match="mixed cluster has no single host count"):
        recommend("dlrm-dcnv2", [file], 1.0)


def test_goes_on_in_its_folder(folder: Path) -> None:
    """The journal is that of a study: the same question runs nothing anew."""
    arguments = ("dlrm-dcnv2", ["dgx-h100"], 2e7)
    first = recommend(*arguments, hosts_max=6, directory=folder)
    journal = (folder / "journal.jsonl").read_text()
    again = recommend(*arguments, hosts_max=6, directory=folder)
    assert (folder / "journal.jsonl").read_text() == journal
    assert again.to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topologies": []}, "needs at least one"),
        ({"topologies": ["dgx-h100", "dgx-h100"]}, "is given twice"),
        ({"topologies": ["dgx-h100:4"]}, "leave the number after ':' out"),
        ({"topologies": ["dgx-h10"]}, "did you mean 'dgx-h100'"),
        ({"throughput": 0.0}, "above 0"),
        ({"throughput": float("nan")}, "above 0"),
        ({"hosts_max": 0}, "from 1 to"),
        ({"hbm_fill": 1.5}, "at most 1"),
        ({"prices": {"dgx-h10": 1.0}}, "did you mean 'dgx-h100'"),
        ({"prices": {"dgx-h100": -1.0}}, "at least 0"),
        ({"cheapest": True}, "without a price for dgx-h100"),
        ({"solver": "auto"}, "work_limit"),
        ({"settings": [parse_setting("workload.tables+=1")]}, "whole list"),
        (
            {"settings": [parse_setting("topology.host_groups[0].num_hosts=2")]},
            "host counts are searched",
        ),
        ({"settings": [parse_setting("workload.x=2")]}, "unknown key"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], message: str) -> None:
    """Each is refused before anything is run, with what to do."""
    arguments = {
        "workload": "dlrm-dcnv2",
        "topologies": ["dgx-h100"],
        "throughput": 1e6,
        **changes,
    }
    with pytest.raises(InputError, match=message):
        recommend(**arguments)
