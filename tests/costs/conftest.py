"""Small clusters and a cost model with round numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.costs.cluster import Cluster
from shardplan.records.cost_model import CostModel
from shardplan.records.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Callable


def _number(value: float, unit: str = "fraction") -> dict[str, Any]:
    return {"value": value, "unit": unit, "source": "made up for tests"}


def _link(efficiency: float) -> dict[str, Any]:
    return {
        "latency_s": _number(1e-5, "s"),
        "bw_efficiency": _number(efficiency),
        "exponent": _number(0.6, "exponent"),
    }


@pytest.fixture
def cost_model() -> CostModel:
    """Efficiencies: all-to-all 0.8 inside and 0.5 outside, reduce 0.9 and 0.6."""
    return CostModel.model_validate(
        {
            "schema_version": 1,
            "name": "round-numbers",
            "lookup": {
                "forward_efficiency": _number(0.9),
                "backward_efficiency": _number(0.8),
                "sort_s_per_id": _number(2.5e-10, "s/id"),
                "forward_floor_s": _number(2e-5, "s"),
                "backward_floor_s": _number(6e-5, "s"),
            },
            "host_memory": {
                "uvm_forward_efficiency": _number(0.9),
                "uvm_backward_efficiency": _number(0.6),
                "cache_upkeep_s_per_id": _number(2.8e-9, "s/id"),
                "miss_efficiency": _number(0.5),
                "ddr_efficiency": _number(0.8),
                "ssd_block_bytes": _number(4096, "bytes"),
                "ssd_efficiency": _number(0.9),
            },
            "collectives": {
                "all_to_all_scale_up": _link(0.8),
                "all_to_all_scale_out": _link(0.5),
                "reduce_scale_up": _link(0.9),
                "reduce_scale_out": _link(0.6),
            },
            "dense": {
                "gemm_efficiency": _number(0.5),
                "gemm_tile": _number(128, "count"),
                "gemm_launch_s": _number(1e-6, "s"),
                "memory_efficiency": _number(0.5),
            },
            "runtime": {
                "step_overhead_s": _number(3e-4, "s"),
                "overlap_slowdown_scale_up": _number(0.15),
                "overlap_slowdown_scale_out": _number(0.02),
            },
            "memory": {
                "hbm_reserve_fraction": _number(0.1),
                "hbm_reserve_bytes": _number(1e9, "bytes"),
                "ddr_reserve_fraction": _number(0.1),
                "cache_metadata_bytes_per_row": _number(4, "bytes"),
                "cache_metadata_bytes_per_slot": _number(16, "bytes"),
                "split_metadata_bytes_per_row": _number(4, "bytes"),
            },
        }
    )


def _group(name: str = "gpu", **changes: Any) -> dict[str, Any]:
    """Four ranks on one switch of 100 GB/s, four NICs of 10 GB/s."""
    device = {
        "name": "gpu",
        "hbm_bytes": 80_000_000_000,
        "hbm_bw": 2e12,
        "num_sms": 100,
        "peak_flops": {"fp32": 1e13, "bf16": 1e14},
    }
    group = {
        "name": name,
        "num_hosts": 2,
        "local_world_size": 4,
        "device": device,
        "host": {
            "ddr_bytes": 10**12,
            "ddr_bw": 4e11,
            "pcie_bw": 2e10,
            "ranks_per_pcie_link": 2,
        },
        "scale_up": {
            "kind": "switch",
            "domain_size": 4,
            "bw": 1e11,
            "latency_s": 2e-6,
        },
        "scale_out": {"nics_per_host": 4, "nic_bw": 1e10, "latency_s": 6e-6},
    }
    return {**group, **changes}


@pytest.fixture
def group() -> Callable[..., dict[str, Any]]:
    """Return a maker of host groups: four ranks per host, with changes."""
    return _group


@pytest.fixture
def make_cluster() -> Callable[..., Cluster]:
    """Return a maker of clusters from host groups, or from changes to one."""

    def make(
        *groups: dict[str, Any], fabric: dict[str, Any] | None = None, **changes: Any
    ) -> Cluster:
        topology = {
            "schema_version": 1,
            "name": "small",
            "host_groups": list(groups) or [_group(**changes)],
            "fabric": fabric or {},
        }
        return Cluster.of(Topology.model_validate(topology))

    return make


NO_SCALE_UP = {"kind": "none"}


@pytest.fixture
def shapes(make_cluster: Callable[..., Cluster]) -> dict[str, Cluster]:
    """Return one cluster per way that ranks can be joined."""
    mesh = {"kind": "mesh", "domain_size": 4, "bw": 9e10}
    pairs = {"kind": "switch", "domain_size": 2, "bw": 1e11}
    wide = {"kind": "switch", "domain_size": 8, "bw": 1e11}
    cpu = {"name": "cpu", "kind": "cpu"}
    old = _group("old", scale_out={"nics_per_host": 4, "nic_bw": 1e9})
    leafs = {"hosts_per_leaf": 2, "oversubscription": 4.0}
    return {
        "switch": make_cluster(),
        "one_host": make_cluster(num_hosts=1, scale_out={}),
        "mesh": make_cluster(scale_up=mesh),
        "pairs": make_cluster(scale_up=pairs),
        "pcie": make_cluster(scale_up=NO_SCALE_UP),
        "wide": make_cluster(num_hosts=5, scale_up=wide),
        "leafs": make_cluster(num_hosts=4, fabric=leafs),
        "uneven_leafs": make_cluster(num_hosts=5, fabric=leafs),
        "cpu": make_cluster(device=cpu, scale_up=NO_SCALE_UP),
        "mixed": make_cluster(_group("new"), old),
    }
