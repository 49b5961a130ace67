"""A cluster as a graph of links, for routes, cuts and drawings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.links import (
    host_link_bw,
    leaf_of_host,
    nic_bw_per_host,
    pcie_links,
)
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.records.arrays import Ints
    from shardplan.records.topology import Topology

Node = tuple[str, int]
"""Kind and index, for example ``("rank", 3)`` or ``("leaf", 0)``."""
Edge = tuple[Node, Node]


def topology_graph(topology: Topology | Cluster) -> nx.Graph:
    """Build the graph of a cluster's links.

    Parameters
    ----------
    topology : Topology or Cluster

    Returns
    -------
    networkx.Graph
        Nodes ``(kind, index)`` with an attribute `kind`: ``rank`` (with its `host`,
        `domain`, `pcie` and `leaf`), ``domain`` (a scale-up switch), ``pcie`` (a
        switch, or the memory of a CPU host), ``host`` (the bridge between PCIe
        links), ``nics`` (all NICs of a host), ``leaf`` and ``spine``. Edges have
        `bandwidth` [bytes/s, peak of one direction] and `latency_s` [s].

    Notes
    -----
    NICs hang below the PCIe links, so that ranks reach them without the host bridge.
    Latency is spread over the two ends of a message. The leafs that rails give each
    NIC of a host are one here, and ranks reach all NICs of their host.
    """
    cluster = topology if isinstance(topology, Cluster) else Cluster.of(topology)
    graph = nx.Graph()
    _add_ranks(graph, cluster)
    _add_domains(graph, cluster)
    _add_hosts(graph, cluster)
    _add_fabric(graph, cluster)
    return graph


def route(graph: nx.Graph, a: int, b: int) -> list[Node]:
    """Return the nodes between two ranks on the way that a byte passes fastest.

    Parameters
    ----------
    graph : networkx.Graph
        From :func:`topology_graph`.
    a, b : int
        Ranks.

    Raises
    ------
    networkx.NetworkXNoPath
        If no links join the two.

    Notes
    -----
    The shortest path by the sum of ``1 / bandwidth``.

    References
    ----------
    Dijkstra 1959, A note on two problems in connexion with graphs.
    """

    def seconds_per_byte(_: Node, __: Node, edge: dict[str, float]) -> float:
        return 1.0 / edge["bandwidth"]

    path: list[Node] = nx.dijkstra_path(
        graph, ("rank", a), ("rank", b), weight=seconds_per_byte
    )
    return path


def cut_bandwidth(graph: nx.Graph, ranks: Iterable[int]) -> float:
    """Return what all links between some ranks and all others carry together.

    Parameters
    ----------
    graph : networkx.Graph
        From :func:`topology_graph`.
    ranks : iterable of int
        The group; not all ranks.

    Returns
    -------
    float
        The minimum cut, one direction [bytes/s].

    References
    ----------
    Ford, Fulkerson 1956, Maximal flow through a network.
    """
    group = {("rank", rank) for rank in ranks}
    flow = nx.Graph()
    flow.add_nodes_from([_INSIDE, _OUTSIDE])
    for a, b, edge in graph.edges(data=True):
        ends = _side(a, group), _side(b, group)
        before = flow.get_edge_data(*ends, {"capacity": 0.0})["capacity"]
        if ends[0] != ends[1]:
            flow.add_edge(*ends, capacity=before + edge["bandwidth"])
    return float(nx.maximum_flow_value(flow, _INSIDE, _OUTSIDE))


def bottleneck(graph: nx.Graph, ranks: Iterable[int]) -> tuple[Edge, float]:
    """Return the link that an even all-to-all of some ranks fills first.

    Parameters
    ----------
    graph : networkx.Graph
        From :func:`topology_graph`.
    ranks : iterable of int
        The group, at least two.

    Returns
    -------
    (edge, bandwidth)
        The edge, and its bandwidth in one direction [bytes/s].

    Notes
    -----
    ``argmax over links of load / bandwidth``, where every rank sends every other one
    byte: over the scale-up domain if they share one, over PCIe on the same host,
    else over NICs and, under different leafs, the spine.
    """
    group = sorted(set(ranks))
    if len(group) < 2:
        raise ValueError(f"a bottleneck needs at least two ranks, got {group}")
    load = _all_to_all_load(graph, group)
    bandwidth = {edge: graph.edges[edge]["bandwidth"] for edge in load}
    # The first of equals in order of names, so that answers do not depend on hashes.
    edge = min(load, key=lambda edge: (-load[edge] / bandwidth[edge], edge))
    return edge, float(bandwidth[edge])


_INSIDE: Node = ("group", 0)
_OUTSIDE: Node = ("group", 1)


def _side(node: Node, group: set[Node]) -> Node:
    """Return one node for all ranks of a side, so that it is a source or a sink."""
    if node[0] != "rank":
        return node
    return _INSIDE if node in group else _OUTSIDE


def _link(
    graph: nx.Graph, a: Node, b: Node, bandwidth: float, latency_s: float = 0.0
) -> None:
    """Add an edge and, where they are new, its ends."""
    for node in (a, b):
        graph.add_node(node, kind=node[0])
    graph.add_edge(a, b, bandwidth=float(bandwidth), latency_s=float(latency_s))


def _add_ranks(graph: nx.Graph, cluster: Cluster) -> None:
    """Add ranks and their PCIe links, up to the bridge of the host."""
    link, link_class = pcie_links(cluster)
    leaf = leaf_of_host(cluster)[cluster.rank_host]
    up = host_link_bw(cluster)[link_class]
    # The ranks of a CPU host share its memory; each GPU has a full link of its own.
    own = up[link] / np.bincount(link)[link] if cluster.is_cpu else up[link]
    for rank in range(cluster.world_size):
        graph.add_node(
            ("rank", rank),
            kind="rank",
            host=int(cluster.rank_host[rank]),
            domain=int(cluster.rank_domain[rank]),
            pcie=int(link[rank]),
            leaf=int(leaf[rank]),
        )
        _link(graph, ("rank", rank), ("pcie", int(link[rank])), own[rank])
        bridge = ("host", int(cluster.rank_host[rank]))
        _link(graph, ("pcie", int(link[rank])), bridge, up[link[rank]])


def _add_domains(graph: nx.Graph, cluster: Cluster) -> None:
    """Add scale-up links: to a switch, or to every peer of a mesh."""
    domains = cluster.groups(Scope.DOMAIN)
    for domain, first in enumerate(domains.first_rank.tolist()):
        size = int(domains.num_ranks[domain])
        scale_up = cluster.host_groups[cluster.rank_class[first]].scale_up
        members: list[Node] = [("rank", rank) for rank in range(first, first + size)]
        if scale_up.kind == "switch" and size > 1:
            for rank in members:
                switch = ("domain", domain)
                _link(graph, rank, switch, scale_up.bw, scale_up.latency_s / 2)
        elif scale_up.kind == "mesh":
            for i, rank in enumerate(members):
                for peer in members[i + 1 :]:
                    bandwidth = scale_up.bw / (size - 1)
                    _link(graph, rank, peer, bandwidth, scale_up.latency_s)


def _add_hosts(graph: nx.Graph, cluster: Cluster) -> None:
    """Attach the NICs of each host to its PCIe links."""
    link, _ = pcie_links(cluster)
    nic_bw = nic_bw_per_host(cluster)
    for host in np.flatnonzero(nic_bw > 0):
        first = cluster.host_first_rank[host]
        links = np.unique(link[first : first + cluster.host_num_ranks[host]])
        for one in links:
            share = nic_bw[host] / len(links)
            _link(graph, ("pcie", int(one)), ("nics", int(host)), share)


def _add_fabric(graph: nx.Graph, cluster: Cluster) -> None:
    """Add leaf switches over the NICs and, over several of them, a spine."""
    leaf, nic_bw = leaf_of_host(cluster), nic_bw_per_host(cluster)
    outs = [group.scale_out for group in cluster.host_groups]
    for host in np.flatnonzero(nic_bw > 0):
        half = outs[cluster.host_class[host]].latency_s / 2
        _link(graph, ("nics", int(host)), ("leaf", int(leaf[host])), nic_bw[host], half)
    fabric = cluster.topology.fabric
    uplink = np.bincount(leaf, nic_bw) / fabric.oversubscription
    if len(uplink) > 1:
        half = fabric.spine_latency_s / 2
        for one in np.flatnonzero(uplink > 0):
            _link(graph, ("leaf", int(one)), ("spine", 0), uplink[one], half)


def _all_to_all_load(graph: nx.Graph, ranks: list[int]) -> dict[Edge, int]:
    """Count bytes out over each link while each rank sends each other one byte."""
    nodes = [graph.nodes["rank", rank] for rank in ranks]

    def sharing(*names: str) -> Ints:
        """Ranks of the group at the same place as each rank, itself included."""
        places = np.array([[node[name] for name in names] for node in nodes])
        _, place, count = np.unique(
            places, axis=0, return_inverse=True, return_counts=True
        )
        return np.asarray(count[place.ravel()])

    total, domain = len(ranks), sharing("domain")
    local = sharing("host") - sharing("host", "domain")
    bridge = local - sharing("pcie") + sharing("pcie", "domain")
    out = total - domain - local
    away = total - domain - sharing("leaf") + sharing("leaf", "domain")
    load = _scale_up_load(graph, ranks)
    for i, (rank, node) in enumerate(zip(ranks, nodes, strict=True)):
        link, nics = ("pcie", node["pcie"]), ("nics", node["host"])
        leaf = ("leaf", node["leaf"])
        load[("rank", rank), link] += int(local[i] + out[i])
        load[link, ("host", node["host"])] += int(bridge[i])
        load[link, nics] += int(out[i])
        load[nics, leaf] += int(out[i])
        load[leaf, ("spine", 0)] += int(away[i])
    return {edge: num_bytes for edge, num_bytes in load.items() if num_bytes}


def _scale_up_load(graph: nx.Graph, ranks: list[int]) -> Counter[Edge]:
    """Return the part of the load that stays on scale-up links."""
    members: dict[int, list[int]] = {}
    for rank in ranks:
        members.setdefault(graph.nodes["rank", rank]["domain"], []).append(rank)
    load: Counter[Edge] = Counter()
    for domain, peers in members.items():
        switch = ("domain", domain)
        for i, rank in enumerate(peers):
            if switch in graph:
                load[("rank", rank), switch] = len(peers) - 1
            else:
                load.update((("rank", rank), ("rank", peer)) for peer in peers[i + 1 :])
    return load
