"""What even collectives cost: by hand on tiny clusters, and against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.communication.networks import collectives_on
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.io import catalog
from shardplan.records.topology import Topology
from tests.costs.communication import closed_forms
from tests.costs.communication.link_oracle import LinkCapacities

SHAPES = [
    "switch",
    "one_host",
    "mesh",
    "pairs",
    "pcie",
    "wide",
    "leafs",
    "uneven_leafs",
    "cpu",
    "mixed",
]


def test_uniform_all_to_all_closed_forms(shapes, cost_model):
    """Seconds per byte sent, by hand, for each way to join ranks."""

    def cost(name):
        return Collectives.of(shapes[name], cost_model).all_to_all_s_per_byte()

    # Four of eight ranks are on the other host; a rank's NIC gives 10 GB/s * 0.5.
    nic = 0.5 / (1e10 * 0.5)
    np.testing.assert_allclose(cost("switch"), nic)
    np.testing.assert_allclose(cost("mesh"), nic)
    # One host: 3 of 4 parts leave over 100 GB/s * 0.8.
    np.testing.assert_allclose(cost("one_host"), 0.75 / 0.8e11)
    # Two of eight ranks in the host's other pair: half of 20 GB/s * 0.8.
    np.testing.assert_allclose(cost("pairs"), max(nic, 0.25 / 0.8e10))
    np.testing.assert_allclose(cost("pcie"), max(nic, 0.375 / 0.8e10))
    # 20 ranks, domains of 8, 8 and 4: 16 are outside of the last, 0.8 of the bytes.
    np.testing.assert_allclose(cost("wide"), 0.8 / (1e10 * 0.5))
    # 16 ranks, 8 per leaf: half the bytes cross, at a quarter of the NICs.
    np.testing.assert_allclose(cost("leafs"), 0.5 * 4 / (1e10 * 0.5))
    # 400 GB/s of host memory for four ranks, three of them peers.
    np.testing.assert_allclose(cost("cpu"), max(nic, 0.375 / (1e11 * 0.8)))
    # 16 ranks, 12 on other hosts; the old host's NICs have 1 GB/s each.
    np.testing.assert_allclose(cost("mixed"), [0.75 / 0.5e10, 0.75 / 0.5e9])


@pytest.mark.parametrize("name", SHAPES)
def test_even_bytes_give_the_uniform_cost(shapes, cost_model, name):
    """Summing every pair's bytes per link gives the class formula's worst rank."""
    cluster = shapes[name]
    ranks = cluster.world_size
    even = np.full((ranks, ranks), 1.0 / ranks)
    by_link = LinkCapacities.of(cluster, cost_model).all_to_all_v_bottleneck(even)
    by_class = Collectives.of(cluster, cost_model).all_to_all_s_per_byte().max()
    assert by_link == pytest.approx(by_class)


def test_reduce_scatter_closed_forms(shapes, cost_model):
    """Seconds per byte of the whole array, by hand."""

    def cost(name, scope):
        return Collectives.of(shapes[name], cost_model).reduce_s_per_byte(scope)

    # In a host of 4: 3/4 over 100 GB/s * 0.9. Between 2 hosts: 1/8 over 6 GB/s.
    inside, across = 0.75 / 0.9e11, 0.125 / 0.6e10
    np.testing.assert_allclose(cost("switch", Scope.HOST), inside)
    np.testing.assert_allclose(cost("switch", Scope.DOMAIN), inside)
    np.testing.assert_allclose(cost("switch", Scope.ALL), across)
    np.testing.assert_allclose(cost("one_host", Scope.ALL), inside)
    # Pairs of NVLink: 1/2 in the pair, but PCIe (10 GB/s each) in the host.
    np.testing.assert_allclose(cost("pairs", Scope.DOMAIN), 0.5 / 0.9e11)
    np.testing.assert_allclose(cost("pairs", Scope.HOST), 0.75 / 0.9e10)
    np.testing.assert_allclose(cost("pcie", Scope.HOST), 0.75 / 0.9e10)
    np.testing.assert_allclose(cost("pcie", Scope.DOMAIN), 0.0)
    np.testing.assert_allclose(cost("cpu", Scope.HOST), 0.75 / 0.9e11)
    # A domain of two hosts: 7/8 inside it.
    np.testing.assert_allclose(cost("wide", Scope.DOMAIN), 0.875 / 0.9e11)
    np.testing.assert_allclose(cost("wide", Scope.HOST), inside)
    # The last domain is a host of 4, where each rank has twice as much to exchange.
    np.testing.assert_allclose(cost("wide", Scope.ALL), (1 / 4 - 1 / 20) / 0.6e10)
    # Four hosts, two per leaf: 3/16 across; one host's flow leaves a leaf whose
    # uplink has 2 hosts / 4 = half of that.
    np.testing.assert_allclose(cost("leafs", Scope.ALL), 2 * 3 / 16 / 0.6e10)
    # All classes wait for the old NICs; inside a host they do not.
    np.testing.assert_allclose(cost("mixed", Scope.ALL), 3 / 16 / 0.6e9)
    np.testing.assert_allclose(cost("mixed", Scope.HOST), [inside, inside])


def test_cross_group_closed_forms(shapes, cost_model):
    """After a reduce-scatter in a group of g, 1/g of the array is sent on."""

    def cost(name, scope):
        return Collectives.of(shapes[name], cost_model).all_to_all_s_per_byte(scope)

    # A quarter of the array, half of it to the other host at 5 GB/s.
    np.testing.assert_allclose(cost("switch", Scope.HOST), 0.25 * 0.5 / 0.5e10)
    np.testing.assert_allclose(cost("one_host", Scope.HOST), 0.0)
    np.testing.assert_allclose(cost("one_host", Scope.ALL), 0.0)
    # From a pair: half the array, 2/8 over PCIe (8 GB/s), 4/8 over NICs (5 GB/s).
    np.testing.assert_allclose(cost("pairs", Scope.DOMAIN), 0.5 * 0.5 / 0.5e10)
    # From a host without a partner, which is a domain, too, to 16 of 20 ranks by NIC.
    for scope in (Scope.HOST, Scope.DOMAIN):
        np.testing.assert_allclose(cost("wide", scope), 0.25 * (16 / 20) / 0.5e10)


def test_cross_group_in_one_wide_domain_uses_scale_up(make_cluster, cost_model):
    """Hosts that share a domain exchange over it, not over NICs."""
    wide = {"kind": "switch", "domain_size": 8, "bw": 1e11}
    cluster = make_cluster(scale_up=wide, scale_out={})
    # A quarter of the array, 4 of 8 ranks outside of the host, 80 GB/s.
    cost = Collectives.of(cluster, cost_model).all_to_all_s_per_byte(Scope.HOST)
    np.testing.assert_allclose(cost, 0.25 * 0.5 / 0.8e11)


def test_table_wise_equals_row_wise_at_one_rank(make_cluster, cost_model):
    """With one rank nothing crosses any link."""
    cluster = make_cluster(num_hosts=1, local_world_size=1, scale_up={"kind": "none"})
    collectives = Collectives.of(cluster, cost_model)
    for scope in SCOPES:
        assert collectives.reduce_s_per_byte(scope) == 0.0
        assert collectives.all_to_all_s_per_byte(scope) == 0.0
    assert collectives.all_reduce_s_per_byte() == 0.0


def compare(cluster, cost_model):
    """Sums over routes are the closed forms."""
    collectives = Collectives.of(cluster, cost_model)
    model = collectives.model
    for scope in SCOPES:
        np.testing.assert_allclose(
            collectives.all_to_all_s_per_byte(scope),
            closed_forms.all_to_all_s_per_byte(cluster, cost_model, scope),
            rtol=1e-9,
        )
        np.testing.assert_allclose(
            collectives.reduce_s_per_byte(scope),
            closed_forms.reduce_s_per_byte(cluster, cost_model, scope),
            rtol=1e-9,
        )
    near = model.reduce_scale_up
    if (
        all(group.scale_up.kind == "switch" for group in cluster.host_groups)
        and (
            closed_forms.group_size(cluster, Scope.DOMAIN)
            >= closed_forms.group_size(cluster, Scope.HOST)
        ).all()
    ):
        near = model.all_reduce_scale_up or near
    adds_up = cluster.topology.fabric.in_network_reduction
    twice = 2.0 * closed_forms.reduce_s_per_byte(
        cluster, cost_model, Scope.ALL, near, adds_up=adds_up
    )
    assert collectives.all_reduce_s_per_byte() == pytest.approx(twice.max(), rel=1e-9)


NUM_HOSTS = (1, 2, 3, 4, 8, 18, 36)


@pytest.mark.parametrize("name", catalog.names("topologies"))
def test_shipped_topologies_have_their_closed_forms(name):
    """Every host count whose domains are equal, with the cost model it names."""
    for num_hosts in NUM_HOSTS:
        cluster = Cluster.of(catalog.load_topology(name, num_hosts))
        if len(set(cluster.groups(Scope.DOMAIN).num_ranks)) == 1:
            compare(cluster, catalog.load_cost_model(cluster.topology.cost_model))


@st.composite
def topologies(draw) -> dict[str, Any]:
    """Draw equal hosts with any links, or CPU hosts, under any leafs."""
    local = draw(st.sampled_from([1, 2, 4, 8]))
    num_hosts = draw(st.integers(1, 6))
    is_cpu = draw(st.booleans())
    rate = st.floats(1e9, 1e12)
    kind = "none" if is_cpu else draw(st.sampled_from(["none", "switch", "mesh"]))
    parts = [n for n in (2, 4, 8, 16, 24) if local * num_hosts % n == 0]
    parts = [n for n in parts if n % local == 0 or local % n == 0]
    if kind == "none" or not parts:
        scale_up: dict[str, Any] = {"kind": "none"}
    else:
        domain = draw(st.sampled_from(parts))
        scale_up = {"kind": kind, "domain_size": domain, "bw": draw(rate)}
    forwards = scale_up.get("domain_size", 1) >= local
    links = [n for n in (1, 2, 4) if local % n == 0]
    group = {
        "name": "hosts",
        "num_hosts": num_hosts,
        "local_world_size": local,
        "device": {"name": "cpu", "kind": "cpu"}
        if is_cpu
        else {"name": "gpu", "hbm_bytes": 80e9, "hbm_bw": 2e12},
        "host": {
            "ddr_bytes": 1e12,
            "ddr_bw": draw(rate),
            "pcie_bw": draw(st.floats(1e9, 2e11)),
            "ranks_per_pcie_link": draw(st.sampled_from(links)),
        },
        "scale_up": scale_up,
        "scale_out": {
            "nics_per_host": draw(st.sampled_from([1, 2, 3, 4, 8])),
            "nic_bw": draw(st.floats(1e9, 1e11)),
            "rail_optimized": forwards and draw(st.booleans()),
        },
    }
    fabric = {
        "hosts_per_leaf": draw(st.integers(0, 4)),
        "oversubscription": draw(st.floats(1.0, 8.0)),
        "in_network_reduction": draw(st.booleans()),
    }
    return {
        "schema_version": 1,
        "name": "random",
        "host_groups": [group],
        "fabric": fabric,
    }


@settings(max_examples=200, deadline=None, derandomize=True)
@given(topologies(), st.floats(0.2, 1.0), st.floats(0.2, 1.0))
def test_random_topologies_have_their_closed_forms(data, inside, outside):
    """Whatever links bind: scale-up, PCIe, lanes, NICs, rails and uplinks."""
    model = catalog.load_cost_model("h100")
    given_ = collectives_on(catalog.load_topology("dgx-h100"), model)

    def at(link, efficiency):
        value = link.bw_efficiency.replace(value=efficiency)
        return link.replace(bw_efficiency=value, curves=())

    links = given_.replace(
        all_to_all_scale_up=at(given_.all_to_all_scale_up, inside),
        all_to_all_scale_out=at(given_.all_to_all_scale_out, outside),
        reduce_scale_up=at(given_.reduce_scale_up, outside),
        reduce_scale_out=at(given_.reduce_scale_out, inside),
    )
    cluster = Cluster.of(Topology.model_validate(data))
    compare(cluster, model.replace(collectives=links))
