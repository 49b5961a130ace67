"""Pairs of a workload and a cluster: named ones, and fresh ones drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shardplan.io import catalog
from shardplan.records.inputs import Inputs
from tests.benchmarks.bench_parts.problems import perturbed
from tests.benchmarks.families import Family, family_inputs
from tests.benchmarks.frozen import frozen_cost_model

FOLDER = Path(__file__).parent / "inputs"
"""Inputs that are not shipped."""
PAIRS = (
    "ads-ranker@h100-4-nics",
    "ads-ranker@dgx-h100",
    "ads-ranker@dgx-h100:2",
    "ads-ranker@gb200-nvl72",
    "dlrm-dcnv2@dgx-h100",
    "dlrm-dcnv2@dgx-h100:8",
    "criteo-tb@h100-pcie:2",
    "torcheasyrec-dlrm@h100-4-nics",
    "hugectr-200@dgx-h100:2",
    "merlin-small@dgx-a100-80:8",
    "merlin-medium@dgx-a100-40:2",
    "merlin-medium@zionex:8",
    "merlin-tiny@h100-pcie",
)
_SIZES = ((26, 8), (40, 16), (100, 16), (60, 32))
_WORKLOADS = (
    "criteo-kaggle",
    "dlrm-dcnv2",
    "merlin-small",
    "dlrm-v1",
    "torcheasyrec-dbmtl",
    "deeprecsys-rm3",
    "merlin-medium",
)
_CLUSTERS = (
    "dgx-h100",
    "dgx-h100:2",
    "dgx-a100-80:4",
    "h100-pcie:2",
    "gb200-nvl72:4",
    "dgx-b200:4",
)


def named(pair: str) -> Inputs:
    """Load ``WORKLOAD@TOPOLOGY[:HOSTS]``: names of this folder's, shipped, or paths."""
    workload, _, cluster = pair.partition("@")
    name, _, hosts = cluster.partition(":")
    topology = catalog.load_topology(_source(name), int(hosts) if hosts else None)
    return Inputs(
        workload=catalog.load_workload(_source(workload)),
        topology=topology,
        cost_model=catalog.load_cost_model(str(topology.cost_model)),
    )


def fresh(seed: int) -> tuple[str, Inputs]:
    """Draw a pair, and say what it is.

    Even seeds are problems of a family, without dense layers; odd ones are shipped
    workloads on shipped clusters, rows and lookups perturbed.
    """
    rng = np.random.default_rng(seed)
    if seed % 2:
        pair = f"{rng.choice(_WORKLOADS)}@{rng.choice(_CLUSTERS)}"
        inputs = named(pair)
        drawn = perturbed(inputs.workload, seed)
        return f"{pair} #{seed}", inputs.model_copy(update={"workload": drawn})
    family = list(Family)[int(rng.integers(len(Family)))]
    tables, ranks = _SIZES[int(rng.integers(len(_SIZES)))]
    workload, topology = family_inputs(family, seed, tables, ranks)
    model = frozen_cost_model(str(topology.cost_model))  # memory is sized for it
    inputs = Inputs(workload=workload, topology=topology, cost_model=model)
    return f"{family} {tables}x{ranks} #{seed}", inputs


def _source(name: str) -> str:
    own = FOLDER / f"{name}.toml"
    return str(own) if own.exists() else name
