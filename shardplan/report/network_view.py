"""Network models, listed or shown one by one with what they predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from rich.console import Group

from shardplan.io.catalog import load_network, load_topology, names
from shardplan.records.record import dump
from shardplan.report.catalog_view import catalogue, coefficients
from shardplan.report.layout import facts, number, section, sentences, table, whole
from shardplan.simulation.collective_times import Bench, Collective, bench_seconds
from shardplan.units import (
    format_bandwidth,
    format_seconds,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from shardplan.records.network import LinkModel, NetworkModel

OPERATIONS = ("all_to_all", "reduce", "all_reduce")
_SIZES = {"1 KiB": 2**10, "1 MiB": 2**20, "64 MiB": 2**26, "1 GiB": 2**30}
_DOMAINS = ((1, 2), (1, 8))
_HOSTS = ((2, 8), (8, 8), (16, 8))
_INSIDE = "nvlink4"
"""The network inside hosts, where one between them is shown."""
_NIC_BW = 50e9
"""A NIC of 400 Gb/s, where nothing says another rate [bytes/s]."""


class _Use(NamedTuple):
    """Where a shipped topology names a network, at which rate of one rank."""

    topology: str
    place: str
    line_bw: float


def network_data(network: NetworkModel, line_bw: float | None) -> dict[str, Any]:
    """Collect coefficients, measured ranks, predicted times and the definition.

    Parameters
    ----------
    line_bw : float or None
        Of one rank and one direction, for predicted times; None takes that of the
        curves or of a shipped topology that names the network [bytes/s].
    """
    uses = list(_uses(network))
    curves = [c for link in _links(network).values() for c in link.curves]
    known = [curve.line_bw for curve in curves] + [use.line_bw for use in uses]
    rate = line_bw or max(known, default=_NIC_BW)
    definition = dump(network)
    return {
        **network_summary(network),
        "used_by": [{"topology": use.topology, "place": use.place} for use in uses],
        "coefficients": coefficients(definition),
        "curves": [
            {
                "operation": operation,
                "num_ranks": curve.num_ranks,
                "line_bw": curve.line_bw,
                "num_points": len(curve.time_s),
                "source": curve.source,
                "date": None if curve.date is None else curve.date.isoformat(),
            }
            for operation, link in _links(network).items()
            for curve in link.curves
        ],
        "line_bw": rate,
        "times": list(_times(network, _clusters(uses, has_curves=bool(curves)), rate)),
        "definition": definition,
    }


def network_summary(network: NetworkModel) -> dict[str, Any]:
    """Collect what a list says about a network."""
    ranks = {c.num_ranks for link in _links(network).values() for c in link.curves}
    return {
        "name": network.name,
        "measured_ranks": sorted(ranks),
        "description": network.description,
    }


def _links(network: NetworkModel) -> dict[str, LinkModel]:
    links = {operation: getattr(network, operation) for operation in OPERATIONS}
    return {operation: link for operation, link in links.items() if link is not None}


def _uses(network: NetworkModel) -> Iterator[_Use]:
    for name in names("topologies"):
        topology = load_topology(name)
        for group in topology.host_groups:
            if group.scale_up.network == network:
                rate = group.scale_up.bw or group.host.pcie_bw
                yield _Use(name, "domain", rate)
            if topology.fabric.network == network:
                out = group.scale_out
                per_rank = out.nics_per_host * out.nic_bw / group.local_world_size
                yield _Use(name, "between hosts", per_rank)


def _clusters(uses: list[_Use], *, has_curves: bool) -> list[tuple[int, int]]:
    """Return hosts and ranks of each that a network is shown for."""
    places = {use.place for use in uses}
    if not places:
        places = {"domain" if has_curves else "between hosts"}
    return [
        *(_DOMAINS if "domain" in places else ()),
        *(_HOSTS if "between hosts" in places else ()),
    ]


def _times(
    network: NetworkModel, clusters: list[tuple[int, int]], line_bw: float
) -> Iterator[dict[str, Any]]:
    sizes = list(_SIZES.values())
    for collective in get_args(Collective):
        for num_hosts, per_host in clusters:
            bench = Bench(num_hosts, per_host, line_bw, load_network(_INSIDE))
            seconds = bench_seconds(network, bench, collective, sizes)
            yield {
                "collective": collective,
                "num_hosts": num_hosts,
                "num_ranks": num_hosts * per_host,
                "message_bytes": sizes,
                "time_s": seconds.tolist(),
            }


def render_networks(data: dict[str, Any]) -> RenderableType:
    """Lay out the list of networks."""
    return catalogue(
        data["networks"],
        ("measured on",),
        lambda e: (", ".join(map(str, e["measured_ranks"])),),
    )


def render_network(data: dict[str, Any]) -> RenderableType:
    """Lay out one network."""
    uses = [f"{use['topology']} ({use['place']})" for use in data["used_by"]]
    top = {
        "name": data["name"],
        "description": data["description"],
        "named by": ", ".join(uses) or "no shipped topology",
    }
    parts = [section("Coefficients", _coefficient_table(data))]
    if data["curves"]:
        parts.append(section("Measured curves", _curve_table(data)))
    parts.append(section("Predicted times", *_time_table(data)))
    return Group(facts(top), *parts)


def _coefficient_table(data: dict[str, Any]) -> RenderableType:
    rows = [
        (entry["key"], f"{entry['value']:g}", entry["unit"], _origin(entry))
        for entry in data["coefficients"]
    ]
    headings = ("coefficient", number("value"), whole("unit"), "source")
    return table(headings, rows)


def _curve_table(data: dict[str, Any]) -> RenderableType:
    rows = [
        (
            entry["operation"],
            str(entry["num_ranks"]),
            str(entry["num_points"]),
            format_bandwidth(entry["line_bw"]),
            _origin(entry),
        )
        for entry in data["curves"]
    ]
    headings = (
        *(whole("operation"), number("ranks"), number("points")),
        *(number("line rate"), "source"),
    )
    return table(headings, rows, keys=2)


def _time_table(data: dict[str, Any]) -> list[RenderableType]:
    rows = [
        (entry["collective"], _cluster(entry), *map(format_seconds, entry["time_s"]))
        for entry in data["times"]
    ]
    rate = format_bandwidth(data["line_bw"])
    text = (
        f"At a line rate of {rate} per rank and direction. Sizes are those of "
        "nccl-tests: what a rank sends in an all-to-all, the whole array elsewhere. "
        f"Hosts are joined inside by {_INSIDE}."
    )
    headings = (whole("collective"), whole("ranks"), *map(number, _SIZES))
    return [sentences([text]), table(headings, rows, keys=2)]


def _cluster(entry: dict[str, Any]) -> str:
    if entry["num_hosts"] == 1:
        return plural(entry["num_ranks"], "rank")
    return f"{entry['num_hosts']} hosts of {entry['num_ranks'] // entry['num_hosts']}"


def _origin(entry: dict[str, Any]) -> str:
    return " ".join(filter(None, [entry["source"], str(entry["date"] or "")]))
