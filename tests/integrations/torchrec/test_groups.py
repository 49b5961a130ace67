"""Pods that TorchRec would run as single hosts, and groups that exchange objects."""

from __future__ import annotations

import logging

import pytest
from torchrec.distributed.planner.types import ParameterConstraints, Topology

from shardplan.errors import InputError
from shardplan.exporters import export
from shardplan.integrations.torchrec import ShardplanPlanner, read_topology
from shardplan.integrations.torchrec.groups import hosts_per_pod
from tests.integrations.torchrec.test_import import bags, torchrec_topology
from tests.integrations.torchrec.test_planner import together

POD = "TORCHREC_RESOLVED_POD_SIZE"
MODEL = bags("t", num_embeddings=1000, embedding_dim=64)


def topology(pod_size: int | None, ranks: int = 8) -> Topology:
    """Make hosts of two ranks."""
    return torchrec_topology(world_size=ranks, local_world_size=2, pod_size=pod_size)


@pytest.mark.parametrize(("pod_size", "hosts"), [(None, 1), (1, 1), (2, 2), (4, 4)])
def test_pods_count_hosts(pod_size: int | None, hosts: int) -> None:
    """Eight ranks, two per host: a pod of two has four of them."""
    given = topology(pod_size)
    assert hosts_per_pod(given) == hosts
    assert read_topology(given).host_groups[0].local_world_size == 2 * hosts


@pytest.mark.parametrize(("pod_size", "ranks"), [(8, 8), (3, 8), (2, 6)])
def test_pods_that_do_not_divide_the_ranks(pod_size: int, ranks: int) -> None:
    """TorchRec compares them with ranks, and makes shards for ranks that are not."""
    with pytest.raises(InputError) as caught:
        read_topology(topology(pod_size, ranks))
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == ("topology", "pod_size")
    assert f"{pod_size} of 2 ranks do not divide {ranks} ranks" in problem.rule


@pytest.mark.parametrize(
    ("kind", "environment", "warns"),
    [
        ("table_row_wise", None, True),
        ("table_row_wise", "4", True),
        ("table_row_wise", "2", False),
        ("row_wise", None, False),
    ],
)
def test_a_job_is_told_of_pods(
    kind: str,
    environment: str | None,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Rows over two hosts of two run so only with a variable that nobody sets."""
    monkeypatch.delenv(POD, raising=False)
    if environment:
        monkeypatch.setenv(POD, environment)
    limits = {"t": ParameterConstraints(sharding_types=[kind])}
    found = ShardplanPlanner(topology(2), batch_size=64, constraints=limits).plan(MODEL)
    (sharding,) = found.plan[""].values()
    devices = [str(s.placement.device()) for s in sharding.sharding_spec.shards]
    assert devices == ["cuda:0", "cuda:1"] * (2 if kind == "table_row_wise" else 4)
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert any(f"unless {POD}=2 is" in text for text in said) == warns


def test_exports_name_devices_of_machines() -> None:
    """A pod of two hosts is one host of the plan, whose ranks 2 and 3 are elsewhere."""
    planner = ShardplanPlanner(topology(2), batch_size=64)
    planner.plan(MODEL)
    assert planner.result is not None
    assert export(planner.result.plan, "torchrec")["local_world_size"] == 2


def test_objects_need_no_gpu() -> None:
    """Where the group of a job has no CPUs, another one carries the plan."""
    first, second = together("nccl")
    assert first == second
    assert "sparse_arch.embedding_bag_collection" in first["plan"]
    assert first["is_own_group"] is True
    assert first["backend"] == "gloo"
