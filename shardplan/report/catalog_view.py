"""Topologies, workloads and cost models, listed or shown one by one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.costs.layers.summary import block_work
from shardplan.costs.memory import storage
from shardplan.costs.usage import TableUsage
from shardplan.io.inheritance import origin
from shardplan.records.record import dump
from shardplan.report.grid import Column
from shardplan.report.layout import (
    count,
    facts,
    left_out,
    named,
    number,
    section,
    sentences,
    table,
    whole,
)
from shardplan.units import (
    format_bandwidth,
    format_bytes,
    format_bytes_both,
    format_seconds,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from shardplan.records.host_group import HostGroup, ScaleUp
    from shardplan.records.network import NetworkModel
    from shardplan.records.record import Record
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload


def topology_data(topology: Topology) -> dict[str, Any]:
    """Collect the totals of a topology and its whole definition."""
    groups = topology.host_groups
    return {
        **topology_summary(topology),
        "networks": {
            "scale_up": {
                g.name: g.scale_up.network and g.scale_up.network.name for g in groups
            },
            "fabric": topology.fabric.network and topology.fabric.network.name,
        },
        "hbm_bytes": sum(g.world_size * g.device.hbm_bytes for g in groups),
        "ddr_bytes": sum(g.num_hosts * g.host.ddr_bytes for g in groups),
        "ssd_bytes": sum(g.num_hosts * g.host.ssd_bytes for g in groups),
        "definition": _definition(topology),
    }


def topology_summary(topology: Topology) -> dict[str, Any]:
    """Collect what a list says about a topology."""
    return {
        "name": topology.name,
        "num_hosts": topology.num_hosts,
        "world_size": topology.world_size,
        "devices": sorted({g.device.name for g in topology.host_groups}),
        "cost_model": topology.cost_model,
        "description": topology.description,
    }


def workload_data(workload: Workload, *, limit: int | None = None) -> dict[str, Any]:
    """Collect the totals of a workload, its largest tables and its definition.

    Parameters
    ----------
    limit : int, optional
        Most tables to list; None lists all. The definition has them all.
    """
    tables = [_table_data(record, workload) for record in workload.tables]
    tables.sort(key=lambda entry: (-entry["num_bytes"], entry["name"]))
    return {
        **workload_summary(workload),
        "optimizer": workload.optimizer.value,
        "pipeline": workload.pipeline.value,
        "lookups_per_sample": sum(
            t.pooling_factor * t.coverage for t in workload.tables
        ),
        "num_bytes": sum(entry["num_bytes"] for entry in tables),
        "tables": tables[:limit],
        "dense_blocks": _dense_data(workload),
        "definition": _definition(workload),
    }


def _dense_data(workload: Workload) -> list[dict[str, Any]]:
    """Collect the blocks of the dense part, with their work per sample."""
    shape = TableUsage.of(workload, 1).sample_shape
    return [asdict(block) for block in block_work(workload.dense, *shape)]


def workload_summary(workload: Workload) -> dict[str, Any]:
    """Collect what a list says about a workload."""
    return {
        "name": workload.name,
        "num_tables": len(workload.tables),
        "num_parameters": sum(
            t.num_embeddings * t.embedding_dim for t in workload.tables
        ),
        "global_batch_size": workload.global_batch_size,
        "batch_size": workload.batch_size,
        "description": workload.description,
    }


def cost_model_data(model: AnyCostModel, origins: dict[str, str]) -> dict[str, Any]:
    """Collect every coefficient of a cost model with its unit and source.

    Parameters
    ----------
    origins : dict of str to str
        Which parents gave what the model's file does not say itself, by key path.
    """
    definition = _definition(model)
    found = coefficients(definition)
    return {
        **cost_model_summary(model),
        "coefficients": [
            {**entry, "inherited_from": origin(entry["key"], origins)}
            for entry in found
        ],
        "definition": definition,
    }


def cost_model_summary(model: AnyCostModel) -> dict[str, Any]:
    """Collect what a list says about a cost model."""
    return {"name": model.name, "description": model.description}


def _definition(record: Record) -> dict[str, Any]:
    return dump(record)


def _table_data(record: EmbeddingTable, workload: Workload) -> dict[str, Any]:
    """Describe a table; bytes are those of its rows with their optimizer state."""
    dim = record.embedding_dim
    row = storage.row_bytes(record.dtype, dim)
    row = row + storage.state_bytes(workload.optimizer, dim) + record.key_bytes
    return {
        "name": record.name,
        "num_embeddings": record.num_embeddings,
        "embedding_dim": dim,
        "dtype": record.dtype.value,
        "pooling_factor": record.pooling_factor,
        "num_outputs": record.num_outputs,
        "num_bytes": float(row) * record.num_embeddings,
        "measured": list(record.measured),
    }


def coefficients(node: Any, path: str = "") -> list[dict[str, Any]]:
    """Find all values that carry a unit and a source."""
    if isinstance(node, dict) and {"value", "unit", "source"} <= set(node):
        return [{"key": path, "date": None, **node}]
    children: list[tuple[str, Any]] = []
    if isinstance(node, dict):
        children = [(f"{path}.{key}".lstrip("."), v) for key, v in node.items()]
    elif isinstance(node, list):
        children = [(f"{path}[{index}]", v) for index, v in enumerate(node)]
    return [entry for key, value in children for entry in coefficients(value, key)]


def render_topology(data: dict[str, Any]) -> RenderableType:
    """Lay out one topology."""
    from shardplan.records.topology import Topology

    topology = Topology.model_validate(data["definition"])
    top = {
        "name": data["name"],
        "description": data["description"],
        "size": f"{plural(data['num_hosts'], 'host')}, "
        f"{plural(data['world_size'], 'rank')}",
        "memory": f"HBM {format_bytes_both(data['hbm_bytes'])}, "
        f"DDR {format_bytes_both(data['ddr_bytes'])}, "
        f"SSD {format_bytes_both(data['ssd_bytes'])}",
        "cost model": data["cost_model"] or "none named",
        "fabric": _fabric(topology),
    }
    groups = [section(f"Hosts: {g.name}", _group(g)) for g in topology.host_groups]
    return Group(facts(top), *groups)


def _fabric(topology: Topology) -> str:
    fabric = topology.fabric
    leaf = f"{fabric.hosts_per_leaf} hosts per leaf" if fabric.hosts_per_leaf else ""
    over = f"oversubscription {fabric.oversubscription:g}"
    parts = [_network(fabric.network), leaf or "all hosts under one leaf", over]
    return ", ".join(filter(None, parts))


def _network(network: NetworkModel | None) -> str:
    return f"network {network.name}" if network else ""


def _group(group: HostGroup) -> RenderableType:
    device, host, up, out = group.device, group.host, group.scale_up, group.scale_out
    sharing = plural(host.ranks_per_pcie_link, "rank")
    link = f"{format_bandwidth(host.pcie_bw)} per {sharing}"
    nics = f"{out.nics_per_host} x {format_bandwidth(out.nic_bw)} per host"
    return facts(
        {
            "hosts": f"{group.num_hosts:,} with {group.local_world_size} ranks each",
            "device": f"{device.name} ({device.kind})",
            "HBM": f"{format_bytes_both(device.hbm_bytes)} at "
            f"{format_bandwidth(device.hbm_bw)}"
            if device.hbm_bytes
            else "",
            "DDR": f"{format_bytes_both(host.ddr_bytes)} at "
            f"{format_bandwidth(host.ddr_bw)} per host",
            "SSD": f"{format_bytes_both(host.ssd_bytes)} per host, reads "
            f"{format_bandwidth(host.ssd_read_bw)}, {host.ssd_read_iops:,.0f} IOPS"
            if host.ssd_bytes
            else "none",
            "PCIe": link,
            "scale-up": _scale_up(up),
            "scale-out": f"{nics}, {format_seconds(out.latency_s)}"
            + (", rails" if out.rail_optimized else "")
            if out.nics_per_host
            else "none",
        }
    )


def _scale_up(up: ScaleUp) -> str:
    links = "none"
    if up.bw:
        rate, latency = format_bandwidth(up.bw), format_seconds(up.latency_s)
        links = f"{up.kind}, {up.domain_size} ranks, {rate} per rank, {latency}"
    return ", ".join(filter(None, [links, _network(up.network)]))


def render_workload(data: dict[str, Any]) -> RenderableType:
    """Lay out one workload."""
    is_measured = any(entry["measured"] for entry in data["tables"])
    rows = [
        (
            entry["name"],
            f"{entry['num_embeddings']:,}",
            str(entry["embedding_dim"]),
            entry["dtype"],
            f"{entry['pooling_factor']:g}",
            format_bytes(entry["num_bytes"]),
            *((", ".join(entry["measured"]),) if is_measured else ()),
        )
        for entry in data["tables"]
    ]
    headings = (
        *(named("table"), number("rows"), number("columns"), Column("dtype")),
        *(number("lookups per sample"), number("bytes")),
        *((Column("measured"),) if is_measured else ()),
    )
    top = {
        "name": data["name"],
        "description": data["description"],
        "tables": f"{data['num_tables']:,} with {count(data['num_parameters'])} "
        "parameters",
        "bytes": f"{format_bytes_both(data['num_bytes'])} with optimizer state",
        "lookups": f"{data['lookups_per_sample']:,.6g} per sample",
        "batch": _batch(data),
        "optimizer": data["optimizer"],
        "pipeline": data["pipeline"],
    }
    hidden = left_out(len(rows), data["num_tables"])
    body = (table(headings, rows), sentences(filter(None, [hidden])))
    parts = [facts(top), section("Tables, largest first", *body)]
    if data["definition"].get("dense", {}).get("blocks"):
        blocks = _dense_table(data["dense_blocks"])
        parts.append(section("Dense layers, per sample", blocks))
    return Group(*parts)


def _dense_table(blocks: list[dict[str, Any]]) -> RenderableType:
    """List blocks: weights, and the work of a sample."""
    rows = [
        (
            block["name"],
            count(block["parameters"]),
            count(block["forward_flops"]),
            count(block["backward_flops"]),
            format_bytes(block["forward_bytes"]),
            format_bytes(block["backward_bytes"]),
            format_bytes(block["activation_bytes"]),
        )
        for block in blocks
    ]
    headings = (
        *(named("block"), number("parameters"), number("FLOPs"), number("backward")),
        *(number("moved"), number("backward"), number("kept")),
    )
    return table(headings, rows)


def _batch(data: dict[str, Any]) -> str:
    if data["global_batch_size"] is not None:
        return f"{data['global_batch_size']:,} samples over all ranks"
    return f"{data['batch_size']:,} samples per rank"


def render_cost_model(data: dict[str, Any]) -> RenderableType:
    """Lay out one cost model."""
    rows = [
        (
            entry["key"],
            f"{entry['value']:g}",
            entry["unit"],
            entry["inherited_from"] or "own",
            " ".join(filter(None, [entry["source"], str(entry["date"] or "")])),
        )
        for entry in data["coefficients"]
    ]
    top = {"name": data["name"], "description": data["description"]}
    headings = ("coefficient", number("value"), whole("unit"), "from", "source")
    return Group(facts(top), section("Coefficients", table(headings, rows)))


def render_topologies(data: dict[str, Any]) -> RenderableType:
    """Lay out the list of topologies."""
    return catalogue(
        data["topologies"],
        (number("hosts"), number("ranks"), "devices"),
        lambda e: (str(e["num_hosts"]), str(e["world_size"]), ", ".join(e["devices"])),
    )


def render_workloads(data: dict[str, Any]) -> RenderableType:
    """Lay out the list of workloads."""
    return catalogue(
        data["workloads"],
        (number("tables"), number("parameters"), number("batch")),
        lambda e: (
            f"{e['num_tables']:,}",
            count(e["num_parameters"]),
            f"{e['global_batch_size'] or e['batch_size']:,}"
            + ("" if e["global_batch_size"] else " per rank"),
        ),
    )


def render_cost_models(data: dict[str, Any]) -> RenderableType:
    """Lay out the list of cost models."""
    return catalogue(data["cost_models"], (), lambda e: ())


def catalogue(
    entries: Sequence[dict[str, Any]], columns: Any, values: Any
) -> RenderableType:
    """Lay out a list of entries by name and description, with columns between."""
    rows = [(e["name"], *values(e), _first_sentence(e["description"])) for e in entries]
    return table((whole("name"), *columns, "description"), rows)


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".")
