"""Parameter servers beside the synchronous step of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import facts, number, section, table
from shardplan.units import format_bytes, format_seconds, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

_NAMES = {
    "synchronous": "servers, synchronous",
    "bounded_staleness": "servers, at most {} steps ahead",
    "asynchronous": "servers, asynchronous",
    "shardplan": "this plan, synchronous",
}


def render_comparison(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan study parameter-servers`."""
    setup, worker = data["setup"], data["worker"]
    top = facts(
        {
            "workload": data["workload"],
            "cluster": f"{data['topology']}: {plural(data['world_size'], 'rank')}",
            "servers": f"{data['host_topology']}: "
            f"{plural(setup['num_workers'], 'worker')}, "
            f"{plural(setup['num_servers'], 'server')}, "
            f"{setup['batch_size']:,} samples per worker and step",
        }
    )
    parts = facts(
        {
            "computation": format_seconds(worker["compute_s"]),
            "worker NIC": f"{format_seconds(worker['worker_nic_s'])} for "
            f"{format_bytes(worker['pulled_bytes'])} in, "
            f"{format_bytes(worker['pushed_bytes'])} out",
            "server NICs": format_seconds(worker["server_nic_s"]),
            "server memory": format_seconds(worker["server_memory_s"]),
            "bound by": worker["bound_by"],
        }
    )
    return Group(
        top,
        section("A worker's step", parts),
        section("Systems", _systems(data["systems"])),
    )


def _systems(systems: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            _NAMES[one["system"]].format(one["staleness"]),
            f"{one['samples_per_step']:,}",
            format_seconds(one["step_time_s"]),
            f"{one['throughput_samples_per_s']:,.0f}/s",
            f"{one['speedup']:.2f}",
        )
        for one in systems
    ]
    headings = (
        *("system", number("samples"), number("step"), number("throughput")),
        number("over asynchronous"),
    )
    return table(headings, rows)
