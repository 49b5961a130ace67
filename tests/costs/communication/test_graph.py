"""The network graph: routes, cuts and bottlenecks that can be counted by hand."""

from __future__ import annotations

import time

import networkx as nx
import numpy as np
import pytest

from shardplan.costs.communication.graph import (
    bottleneck,
    cut_bandwidth,
    route,
    topology_graph,
)
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


@pytest.mark.parametrize("name", SHAPES)
def test_every_cluster_is_connected(shapes, name):
    """All ranks are in one piece, and links have positive rates."""
    graph = topology_graph(shapes[name])
    assert nx.is_connected(graph)
    ranks = [node for node, kind in graph.nodes(data="kind") if kind == "rank"]
    assert ranks == [("rank", rank) for rank in range(shapes[name].world_size)]
    assert all(rate > 0 for _, _, rate in graph.edges(data="bandwidth"))
    assert all(delay >= 0 for _, _, delay in graph.edges(data="latency_s"))


def test_a_topology_gives_the_same_graph(shapes):
    """A topology or its cluster may be passed."""
    cluster = shapes["leafs"]
    graph = topology_graph(cluster.topology)
    assert nx.utils.graphs_equal(graph, topology_graph(cluster))


def test_routes(shapes):
    """Peers meet on the fastest way there is."""

    def kinds(name, a, b):
        return [node[0] for node in route(topology_graph(shapes[name]), a, b)]

    assert kinds("switch", 0, 1) == ["rank", "domain", "rank"]
    assert kinds("mesh", 0, 1) == ["rank", "rank"]
    assert kinds("wide", 0, 7) == ["rank", "domain", "rank"]
    # Two ranks share a PCIe link; the next one is behind the host bridge.
    assert kinds("pcie", 0, 1) == ["rank", "pcie", "rank"]
    assert kinds("pcie", 0, 2) == ["rank", "pcie", "host", "pcie", "rank"]
    assert kinds("cpu", 0, 3) == ["rank", "pcie", "rank"]
    over_leaf = ["rank", "pcie", "nics", "leaf", "nics", "pcie", "rank"]
    assert kinds("switch", 0, 4) == over_leaf
    assert kinds("leafs", 0, 4) == over_leaf
    assert kinds("leafs", 0, 15).count("leaf") == 2
    assert "spine" in kinds("leafs", 0, 15)


def test_latency_of_a_route_is_the_topologys(shapes):
    """Half at each end adds up to the latency of a message."""
    graph = topology_graph(shapes["switch"])
    for peer, latency in ((1, 2e-6), (4, 6e-6)):
        path = route(graph, 0, peer)
        total = nx.path_weight(graph, path, "latency_s")
        assert total == pytest.approx(latency)


def test_no_route_between_hosts_without_nics(make_cluster):
    """Hosts that only share a domain have no way around it."""
    wide = {"kind": "switch", "domain_size": 8, "bw": 1e11}
    graph = topology_graph(make_cluster(scale_up=wide, scale_out={}))
    graph.remove_node(("domain", 0))
    with pytest.raises(nx.NetworkXNoPath):
        route(graph, 0, 4)


def test_cuts(shapes):
    """What joins a group to the others, by hand."""

    def cut(name, ranks):
        return cut_bandwidth(topology_graph(shapes[name]), ranks)

    # A host's four NICs of 10 GB/s.
    assert cut("switch", range(4)) == pytest.approx(4e10)
    assert cut("switch", range(4, 8)) == pytest.approx(4e10)
    # A rank of the only host: 100 GB/s to the switch and 20 GB/s of PCIe.
    assert cut("one_host", [0]) == pytest.approx(1.2e11)
    # Two mesh ranks have 2 * 2 links of 30 GB/s, and one PCIe link of 20 GB/s to the
    # bridge; its two NICs carry 20 GB/s more.
    assert cut("mesh", [0, 1]) == pytest.approx(4 * 3e10 + 4e10)
    # Two hosts of 40 GB/s behind an uplink of a quarter.
    assert cut("leafs", range(8)) == pytest.approx(2e10)
    # The old host's NICs are slower than the new host's.
    assert cut("mixed", range(8)) == pytest.approx(8e9)


@pytest.mark.parametrize("name", SHAPES)
def test_a_cut_is_the_same_from_both_sides(shapes, name):
    """A group and its complement are cut by the same links."""
    ranks = shapes[name].world_size
    graph = topology_graph(shapes[name])
    for size in (1, ranks // 2):
        inside = cut_bandwidth(graph, range(size))
        assert inside == pytest.approx(cut_bandwidth(graph, range(size, ranks)))


def test_bottlenecks(shapes):
    """The link that an all-to-all fills first, by hand."""

    def find(name, ranks):
        edge, bandwidth = bottleneck(topology_graph(shapes[name]), ranks)
        return tuple(node[0] for node in edge), bandwidth

    assert find("switch", range(4)) == (("rank", "domain"), 1e11)
    # 3 * 4 * 4 bytes leave a host at 40 GB/s; a rank sends 3 at 100 GB/s.
    assert find("switch", range(8)) == (("nics", "leaf"), 4e10)
    assert find("mesh", range(4)) == (("rank", "rank"), 3e10)
    # 2 ranks send 2 bytes each over the shared 20 GB/s, 3 over their own.
    assert find("pcie", range(4)) == (("pcie", "host"), 2e10)
    assert find("leafs", range(16)) == (("leaf", "spine"), 2e10)
    assert find("leafs", [0, 4]) == (("pcie", "nics"), 2e10)
    assert find("mixed", [0, 8]) == (("pcie", "nics"), 2e9)


def test_a_bottleneck_needs_two_ranks(shapes):
    """One rank has no traffic."""
    with pytest.raises(ValueError, match="at least two ranks"):
        bottleneck(topology_graph(shapes["switch"]), [3])


@pytest.mark.parametrize("name", ["switch", "one_host", "mesh", "leafs", "mixed"])
def test_bottleneck_agrees_with_the_loads_of_collectives(shapes, cost_model, name):
    """The graph and the matrix of bytes find links of the same rate."""
    cluster = shapes[name]
    links = cost_model.collectives.replace(
        all_to_all_scale_up=_ideal(cost_model), all_to_all_scale_out=_ideal(cost_model)
    )
    model = cost_model.replace(collectives=links)
    ranks = cluster.world_size
    seconds = LinkCapacities.of(cluster, model).all_to_all_v_bottleneck(
        np.ones((ranks, ranks))
    )
    edge, bandwidth = bottleneck(topology_graph(cluster), range(ranks))
    # The number of ranks whose bytes share the link, times the ranks they address.
    sent = {
        "switch": 4 * 4,
        "one_host": 3,
        "mesh": 4 * 4,
        "leafs": 8 * 8,
        "mixed": 4 * 12,
    }[name]
    assert seconds == pytest.approx(sent / bandwidth), edge


def _ideal(cost_model):
    """A link at its peak rate."""
    link = cost_model.collectives.all_to_all_scale_up
    return link.replace(bw_efficiency=link.bw_efficiency.replace(value=1.0))


@pytest.mark.benchmark
def test_four_thousand_ranks_build_in_a_moment(make_cluster):
    """A graph of 4,096 ranks in 2 s, and its cut in 5 s."""
    cluster = make_cluster(num_hosts=1024, fabric={"hosts_per_leaf": 32})
    start = time.process_time()
    graph = topology_graph(cluster)
    built = time.process_time()
    # 512 hosts of 40 GB/s, not oversubscribed.
    assert cut_bandwidth(graph, range(2048)) == pytest.approx(512 * 4e10)
    assert built - start < 2.0
    assert time.process_time() - built < 5.0
