"""The links of a cluster: routes, cuts and bottlenecks, and a drawing of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.costs.communication.graph import (
    bottleneck,
    cut_bandwidth,
    route,
    topology_graph,
)
from shardplan.records.placement import format_ranks
from shardplan.report.layout import facts, number, section, table, whole
from shardplan.units import format_bandwidth, format_seconds, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx
    from rich.console import RenderableType

    from shardplan.costs.communication.graph import Edge, Node
    from shardplan.records.topology import Topology


def graph_data(
    topology: Topology,
    between: tuple[int, int] | None = None,
    ranks: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """Collect the links of a cluster as nodes and links.

    Parameters
    ----------
    topology : Topology
    between : (int, int), optional
        Two ranks whose route is found.
    ranks : tuple of int, optional
        Ranks whose cut from all others and whose bottleneck are found.

    Returns
    -------
    dict
        JSON-able; ``networkx.node_link_graph(data, edges="links")`` reads it.
    """
    graph = topology_graph(topology)
    return {
        "name": topology.name,
        "num_hosts": topology.num_hosts,
        "world_size": topology.world_size,
        "route": None if between is None else _route_data(graph, *between),
        "group": None if ranks is None else _group_data(graph, ranks),
        "nodes": [{"id": _name(node), **more} for node, more in graph.nodes(data=True)],
        "links": [_link_data(graph, _upwards(edge)) for edge in graph.edges],
    }


def _route_data(graph: nx.Graph, a: int, b: int) -> dict[str, Any]:
    """Describe the way between two ranks."""
    links = [_link_data(graph, edge) for edge in pairwise(route(graph, a, b))]
    return {
        "ranks": [a, b],
        "bw": min(link["bw"] for link in links),
        "latency_s": sum(link["latency_s"] for link in links),
        "links": links,
    }


def _group_data(graph: nx.Graph, ranks: tuple[int, ...]) -> dict[str, Any]:
    """Describe what joins some ranks to all others, and to each other."""
    world = sum(kind == "rank" for _, kind in graph.nodes(data="kind"))
    fullest = None
    if len(ranks) > 1:
        fullest = _link_data(graph, bottleneck(graph, ranks)[0])
    return {
        "ranks": list(ranks),
        "cut_bw": cut_bandwidth(graph, ranks) if len(ranks) < world else None,
        "bottleneck": fullest,
    }


def _upwards(edge: Edge) -> Edge:
    """Turn a link to begin at the end that is nearer to the ranks."""
    a, b = sorted(edge, key=lambda node: (_ORDER.index(node[0]), node[1]))
    return a, b


_ORDER = ("rank", "domain", "pcie", "host", "nics", "leaf", "spine")
"""Kinds of nodes from the ranks up."""


def _link_data(graph: nx.Graph, edge: Edge) -> dict[str, Any]:
    """Describe a link by its two ends."""
    link = graph.edges[edge]
    return {
        "source": _name(edge[0]),
        "target": _name(edge[1]),
        "bw": link["bandwidth"],
        "latency_s": link["latency_s"],
    }


def _name(node: Node) -> str:
    return f"{node[0]} {node[1]}"


def render_graph(data: dict[str, Any]) -> RenderableType:
    """Lay out the links by kind, and the route and the group that were asked for."""
    size = f"{plural(data['num_hosts'], 'host')}, {plural(data['world_size'], 'rank')}"
    parts = [
        facts({"name": data["name"], "size": size}),
        section("Links, one direction", _kinds(data)),
    ]
    if data["route"] is not None:
        parts.append(_route(data["route"]))
    if data["group"] is not None:
        parts.append(_group(data["group"]))
    return Group(*parts)


def _kinds(data: dict[str, Any]) -> RenderableType:
    """Count links that are alike."""
    kinds = {node["id"]: node["kind"] for node in data["nodes"]}
    alike = Counter(
        (kinds[link["source"]], kinds[link["target"]], link["bw"], link["latency_s"])
        for link in data["links"]
    )
    headings = (whole("from"), whole("to"), number("links"), *_RATES)
    rows = [
        (source, target, f"{count:,}", *_rates(bw, latency_s))
        for (source, target, bw, latency_s), count in alike.items()
    ]
    return table(headings, rows)


_RATES = (number("bandwidth of each"), number("latency"))


def _rates(bw: float, latency_s: float) -> tuple[str, str]:
    return format_bandwidth(bw), format_seconds(latency_s) if latency_s else "-"


def _route(found: dict[str, Any]) -> RenderableType:
    a, b = found["ranks"]
    rows = [
        (link["source"], link["target"], *_rates(link["bw"], link["latency_s"]))
        for link in found["links"]
    ]
    rows.append(("whole route", "", *_rates(found["bw"], found["latency_s"])))
    steps = table((whole("from"), whole("to"), *_RATES), rows)
    return section(f"Route from rank {a} to rank {b}", steps)


def _group(found: dict[str, Any]) -> RenderableType:
    cut, fullest = found["cut_bw"], found["bottleneck"]
    shown = {"to all other ranks": "" if cut is None else format_bandwidth(cut)}
    if fullest is not None:
        ends = f"{fullest['source']} to {fullest['target']}"
        shown["fullest link of an all-to-all"] = (
            f"{ends}, {format_bandwidth(fullest['bw'])}"
        )
    return section(f"Ranks {format_ranks(tuple(found['ranks']))}", facts(shown))


def to_dot(data: dict[str, Any]) -> str:
    """Write the graph in the language of Graphviz, a route in bold.

    Parameters
    ----------
    data : dict
        From :func:`graph_data`.

    References
    ----------
    Gansner, North 2000, An open graph visualization system and its applications to
    software engineering, Software: Practice and Experience 30(11).
    """
    lines = [f"graph {_quoted(data['name'])} {{", "  rankdir = BT;", *_hosts(data)]
    steps = [] if data["route"] is None else data["route"]["links"]
    bold = {frozenset((step["source"], step["target"])) for step in steps}
    for link in data["links"]:
        ends = (link["source"], link["target"])
        style = ", style = bold" if frozenset(ends) in bold else ""
        label = _quoted(format_bandwidth(link["bw"]))
        lines.append(f"  {' -- '.join(map(_quoted, ends))} [label = {label}{style}];")
    return "\n".join([*lines, "}", ""])


def _hosts(data: dict[str, Any]) -> Iterator[str]:
    """Draw a box around the ranks of every host."""
    hosts: dict[int, list[str]] = {}
    for node in data["nodes"]:
        if node["kind"] == "rank":
            hosts.setdefault(node["host"], []).append(_quoted(node["id"]))
    for host, ranks in hosts.items():
        inside = f"label = {_quoted(f'host {host}')}; {'; '.join(ranks)};"
        yield f"  subgraph cluster_{host} {{ {inside} }}"


def _quoted(text: str) -> str:
    """Quote a name; backslashes and quotes stand for themselves."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
