"""The catalogue as it was at commit bd3c8a6, which targets are stated for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shardplan.io.catalog import load_cost_model, load_topology

if TYPE_CHECKING:
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel

FOLDER = Path(__file__).parent / "catalogue"


def frozen_topology(name: str, num_hosts: int | None = None) -> Topology:
    """Load a topology of the frozen catalogue."""
    return load_topology(FOLDER / "topologies" / f"{name}.toml", num_hosts)


def frozen_cost_model(name: str) -> AnyCostModel:
    """Load a cost model of the frozen catalogue."""
    return load_cost_model(FOLDER / "cost_models" / f"{name}.toml")
