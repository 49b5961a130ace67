"""What a plan is made for: a workload, a cluster, and what its software achieves."""

from __future__ import annotations

from shardplan.records.record import Record
from shardplan.records.topology import Topology
from shardplan.records.torchrec_cost_model import AnyCostModel
from shardplan.records.workload import Workload


class Inputs(Record):
    """The resolved inputs, so that a plan file can be checked alone."""

    workload: Workload
    topology: Topology
    cost_model: AnyCostModel


class Fingerprints(Record):
    """SHA-256 of the canonical JSON of each input."""

    workload: str
    topology: str
    cost_model: str
