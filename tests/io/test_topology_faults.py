"""Files of topologies that are valid records and yet make no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import Fault, InputError
from shardplan.io.catalog import load_cost_model, load_topology
from shardplan.io.topology_faults import require_cost_model
from shardplan.records.topology import Topology

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
schema_version = 1
name = "mine"
{top}
[[host_groups]]
name = "a"
local_world_size = 4
device = {{ name = "gpu", hbm_bytes = 80e9, hbm_bw = 2e12 }}
host = {{ ddr_bytes = 1e12, ddr_bw = 4e11, pcie_bw = 3.15e10 }}
scale_up = {scale_up}
"""
SWITCH = '{ kind = "switch", domain_size = 4, bw = 300e9 }'


def problems(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        load_topology(path)
    return caught.value.problems


def written(folder: Path, scale_up: str = SWITCH, top: str = "") -> Path:
    path = folder / "mine.toml"
    path.write_text(TEXT.format(top=top, scale_up=scale_up), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["switch", "mesh"])
def test_links_need_a_domain(tmp_path: Path, kind: str) -> None:
    """A rank alone in its domain would have links to nobody, and use PCIe unsaid."""
    path = written(tmp_path, f'{{ kind = "{kind}", bw = 300e9 }}')
    (fault,) = problems(path)
    assert (fault.where, fault.key) == (
        str(path),
        "host_groups[0].scale_up.domain_size",
    )
    assert "bw needs a domain of several: 4 for all ranks of a host" in fault.rule


def test_domains_that_make_sense(tmp_path: Path) -> None:
    """A domain of some ranks is right, and so is none."""
    for scale_up in (SWITCH, SWITCH.replace("= 4", "= 2"), '{ kind = "none" }'):
        assert load_topology(written(tmp_path, scale_up)).world_size == 4


def test_records_of_plans_still_load() -> None:
    """A record that was once made is not refused, so that its plan is readable."""
    group = load_topology("dgx-h100").host_groups[0]
    alone = group.scale_up.replace(domain_size=1)
    topology = Topology(
        schema_version=1,
        name="old",
        host_groups=(group.replace(scale_up=alone),),
    )
    assert topology.world_size == 8


def test_unknown_cost_model(tmp_path: Path) -> None:
    """The topology loads, for another cost model may be asked for; a check tells."""
    path = written(tmp_path, top='cost_model = "h10"')
    topology = load_topology(path)
    with pytest.raises(InputError) as caught:
        require_cost_model(topology, "mine.toml", load_cost_model)
    (fault,) = caught.value.problems
    assert (fault.where, fault.key, fault.value) == ("mine.toml", "cost_model", "'h10'")
    assert "did you mean 'h100'?" in fault.rule


def test_known_cost_models(tmp_path: Path) -> None:
    """A shipped name, and no name at all, are right."""
    for top in ('cost_model = "h100"', ""):
        topology = load_topology(written(tmp_path, top=top))
        require_cost_model(topology, "mine.toml", load_cost_model)
