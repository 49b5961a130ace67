"""The sections of a plan's page on its simulated step: timeline, links, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardplan.report.layout import change, percent
from shardplan.report.pages.columns import Columns
from shardplan.report.pages.lanes import STAGE_NAMES, lanes_svg
from shardplan.report.step import bound_operations, breakdown_parts, operations_data
from shardplan.report.timeline import streams_of
from shardplan.units import format_bytes, format_seconds

_LINKS = {
    "scale_up_use": ("scale-up", "Scale-up links of every rank", "rank"),
    "nic_use": ("nic", "NICs, or bundles of them that belong to a rank", "port"),
    "uplink_use": ("uplink", "Uplinks of leaf switches", "leaf"),
}


def step_sections(data: dict[str, Any]) -> dict[str, Any]:
    """Lay out what the simulation found; without one, what would change the plan.

    Parameters
    ----------
    data : dict
        Of `plan_data.plan_page_data`.
    """
    return {
        "step_fault": data["step_fault"],
        "lanes": _lanes(data),
        "link_figures": link_figures(data),
        "what_if": [
            (
                entry["change"],
                _seconds(entry["objective_s"]),
                change(entry["before_s"], entry["objective_s"]),
            )
            for entry in data["what_if"]
        ],
        **({"saved": [], "bound": []} if data["step"] is None else _step(data["step"])),
    }


def _seconds(value: float) -> tuple[str, float]:
    """Show seconds, with the value to sort by."""
    return format_seconds(value), value


def _lanes(data: dict[str, Any]) -> list[dict[str, Any]]:
    timeline = data["timeline"] or {"step_s": 0.0, "ranks": []}
    return [
        {
            "title": f"Rank {rank['rank']} of host {rank['host']} "
            f"({rank['host_group']}): {rank['why']}",
            "rank": rank["rank"],
            "streams": streams_of(rank),
            "svg": lanes_svg(rank, timeline["step_s"]),
        }
        for rank in timeline["ranks"]
    ]


def lanes_for_script(data: dict[str, Any]) -> list[dict[str, Any]]:
    """List all spans with their names and times, for the script to read out."""
    if data["timeline"] is None:
        return []
    explanation = data["step"]["explanation"]
    return [
        {
            "rank": rank["rank"],
            "spans": [
                {
                    **{key: span[key] for key in ("operation", "stage", "stream")},
                    **{k: float(f"{span[k]:.6g}") for k in _TIMES},
                    "batch": span["batch"],
                    "bound": explanation["bound_by"].get(span["operation"]),
                    "link": explanation["fullest_link"].get(span["operation"]),
                }
                for span in rank["spans"]
            ],
        }
        for rank in data["timeline"]["ranks"]
    ]


_TIMES = ("start_s", "end_s", "wait_s")


def link_figures(data: dict[str, Any]) -> list[Columns]:
    """Draw how much of each link's line rate the step uses."""
    links = data["links"] or {}
    return [
        Columns(
            key=f"links-{key}",
            title=f"{title}: share of the line rate in use over the step",
            description=f"One column per {place}. The table below lists the fullest.",
            place=place,
            layers={"in use": np.array(links[name])},
            form=percent,
            unit="share",
            height=120,
        )
        for name, (key, title, place) in _LINKS.items()
        if any(links.get(name, ()))
    ]


def _step(step: dict[str, Any]) -> dict[str, Any]:
    total, explanation = step["step_time_s"], step["explanation"]
    return {
        "stages": STAGE_NAMES,
        "critical": step["critical"]["reason"],
        "hidden": format_seconds(explanation["hidden_communication_s"]),
        "breakdown": [
            (part, stage, _seconds(seconds), _share(seconds, total))
            for part, stage, seconds in breakdown_parts(step["breakdown"])
        ],
        "operations": [
            (
                operation["name"],
                operation["stage"],
                operation["stream"],
                *(_seconds(operation[key]) for key in ("max_s", "mean_s", "exposed_s")),
                str(operation["critical_rank"]),
            )
            for operation in operations_data(step["phases"])
        ],
        "link_bytes": [
            (words, format_bytes(step["links"][key]))
            for key, words in _BYTES.items()
            if step["links"][key]
        ],
        "fullest_links": list(explanation["fullest_link"].items()),
        "saved": [
            (name, _seconds(seconds), _share(seconds, total))
            for name, seconds in explanation["saved_s_per_percent"].items()
            if seconds > 0
        ],
        "bound": [
            (resource, ", ".join(names))
            for resource, names in bound_operations(explanation).items()
        ],
    }


_BYTES = {
    "scale_up_bytes_per_rank_max": "scale-up links, the fullest rank",
    "scale_up_bytes_per_rank_mean": "scale-up links, mean of the ranks",
    "pcie_bytes_per_rank_max": "PCIe to peers of the host, the fullest rank",
    "copied_bytes_per_rank_max": "PCIe from host memory, the fullest rank",
    "nic_bytes_per_host_max": "NICs, the fullest host",
    "nic_bytes_per_host_mean": "NICs, mean of the hosts",
    "nic_bytes_per_port_max": "NICs, the fullest port",
    "uplink_bytes_max": "uplinks, the fullest leaf",
}


def _share(seconds: float, total: float) -> tuple[str, float]:
    """Show seconds as a share of the step."""
    share = seconds / total if total else 0.0
    return percent(share), share
