"""Read TorchRec's `Topology`, and how its planner is set up."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from shardplan.errors import Fault, InputError
from shardplan.integrations.torchrec.groups import hosts_per_pod
from shardplan.io.catalog import load_cost_model
from shardplan.records.host_group import Device, Host, HostGroup, ScaleOut, ScaleUp
from shardplan.records.topology import Topology
from shardplan.records.torchrec_cost_model import TorchRecCostModel

if TYPE_CHECKING:
    from collections.abc import Sequence

_MS_PER_S = 1000.0
_SSD_BLOCK_BYTES = 4096
_DEVICE_KINDS = {"cuda": "gpu", "cpu": "cpu"}
_QCOMMS = {
    "pooled_all_to_all": "POOLED_EMBEDDINGS_ALL_TO_ALL",
    "sequence_all_to_all": "SEQUENCE_EMBEDDINGS_ALL_TO_ALL",
    "pooled_reduce_scatter": "POOLED_EMBEDDINGS_REDUCE_SCATTER",
}


class _HostCaps(NamedTuple):
    """Capacities of one host [bytes]: of each rank's HBM, of DDR and of SSD."""

    hbm: tuple[int, ...]
    ddr: int
    ssd: int


def read_topology(topology: Any, name: str = "torchrec") -> Topology:
    """Turn TorchRec's `Topology` into ours; bytes/ms become bytes/s.

    Parameters
    ----------
    topology : torchrec.distributed.planner.Topology
        Its host groups (a pod of hosts, where it has pods) become hosts; hosts whose
        capacities differ become several host groups.

    Raises
    ------
    InputError
        For a device that plans do not know, and for numbers that no cluster has.
    """
    try:
        return _read_topology(topology, name)
    except ValidationError as error:
        raise InputError(
            Fault("topology", ".".join(map(str, e["loc"])), str(e["input"]), e["msg"])
            for e in error.errors(include_url=False)
        ) from error


def _read_topology(topology: Any, name: str) -> Topology:
    if topology.compute_device not in _DEVICE_KINDS:
        rule = f"must be one of {', '.join(_DEVICE_KINDS)}"
        device = topology.compute_device
        raise InputError.single("topology", "compute_device", device, rule)
    size = hosts_per_pod(topology) * topology.local_world_size
    devices = topology.devices
    hosts = [
        _host_caps(devices[first : first + size])
        for first in range(0, len(devices), size)
    ]
    groups = [
        _host_group(topology, index, caps, len(list(members)))
        for index, (caps, members) in enumerate(groupby(hosts))
    ]
    differs = any(len(set(caps.hbm)) > 1 or 0 in caps.hbm for caps in hosts)
    is_gpu = topology.compute_device == "cuda"
    hbm = tuple(max(0, device.storage.hbm) for device in devices)
    return Topology(
        schema_version=1,
        name=name,
        description="Read from TorchRec",
        cost_model="torchrec",
        host_groups=tuple(groups),
        rank_hbm_bytes=hbm if differs and is_gpu else (),
    )


def _host_caps(devices: Sequence[Any]) -> _HostCaps:
    caps = [device.storage for device in devices]
    return _HostCaps(
        hbm=tuple(max(0, cap.hbm) for cap in caps),
        ddr=sum(max(0, cap.ddr) for cap in caps),
        ssd=sum(max(0, cap.ssd) for cap in caps),
    )


def _host_group(
    topology: Any, index: int, caps: _HostCaps, num_hosts: int
) -> HostGroup:
    local, is_gpu = len(caps.hbm), topology.compute_device == "cuda"
    comms = topology.comms_bandwidths
    ssd_bw = topology.ssd_mem_bw * _MS_PER_S * local
    return HostGroup(
        name=f"hosts{index}",
        num_hosts=num_hosts,
        local_world_size=local,
        device=Device(
            name=topology.compute_device,
            kind="gpu" if is_gpu else "cpu",
            hbm_bytes=max(1, *caps.hbm, 1) if is_gpu else 0,
            hbm_bw=topology.hbm_mem_bw * _MS_PER_S if is_gpu else 0.0,
        ),
        host=Host(
            ddr_bytes=caps.ddr,
            ddr_bw=topology.ddr_mem_bw * _MS_PER_S * local,
            ssd_bytes=caps.ssd,
            ssd_read_bw=ssd_bw,
            ssd_write_bw=ssd_bw,
            ssd_read_iops=ssd_bw / _SSD_BLOCK_BYTES,
            pcie_bw=topology.hbm_to_ddr_mem_bw * _MS_PER_S,
        ),
        scale_up=ScaleUp(
            kind="switch", domain_size=local, bw=comms.intra_host_bw * _MS_PER_S
        ),
        scale_out=ScaleOut(nics_per_host=local, nic_bw=comms.inter_host_bw * _MS_PER_S),
    )


def read_cost_model(
    topology: Any,
    *,
    sharders: Sequence[Any] = (),
    counts_optimizer: bool = True,
    hbm_reserve_fraction: float | None = None,
    pipeline: str = "none",
    counts_outputs: bool = False,
) -> TorchRecCostModel:
    """Return the cost model of a planner with this topology.

    Parameters
    ----------
    sharders : sequence of ModuleSharder
        Their communication codecs give the element types on the wire.
    hbm_reserve_fraction : float, optional
        HBM that embeddings may not use; 0 for a topology that is already reserved.
    pipeline, counts_outputs
        As the storage estimator is told (`TorchRecMemory`).
    """
    base = load_cost_model("torchrec")
    assert isinstance(base, TorchRecCostModel)
    backward, memory = base.backward, base.memory
    compute = backward.compute_ratio.replace(value=topology.bwd_compute_multiplier)
    weighted = backward.weighted_ratio.replace(
        value=topology.weighted_feature_bwd_compute_multiplier
    )
    reserve = memory.hbm_reserve_fraction
    if hbm_reserve_fraction is not None:
        reserve = reserve.replace(
            value=hbm_reserve_fraction, source="of the planner", date=None
        )
    return base.replace(
        backward=backward.replace(compute_ratio=compute, weighted_ratio=weighted),
        memory=memory.replace(
            hbm_reserve_fraction=reserve,
            pipeline=pipeline,
            counts_outputs=counts_outputs,
            counts_optimizer=counts_optimizer,
        ),
        wire=_wire(sharders),
        collectives=_collectives(topology),
    )


def read_pipeline(pipeline_type: Any) -> str:
    """Return the pipeline of `TorchRecMemory` that a `PipelineType`, or its value, is.

    Raises
    ------
    InputError
        If TorchRec has no such pipeline.
    """
    from torchrec.distributed.types import PipelineType

    try:
        value = str(PipelineType(pipeline_type).value)
    except ValueError:
        rule = f"must be one of {', '.join(kind.value for kind in PipelineType)}"
        raise InputError.single(
            "planner", "pipeline_type", pipeline_type, rule
        ) from None
    return value.removeprefix("train_")


def _collectives(topology: Any) -> dict[str, float]:
    """Ask for every bandwidth that TorchRec's estimator would ask for."""
    from torchrec.distributed.planner.types import CollectiveType

    world, local = topology.world_size, topology.local_world_size
    group = topology.intra_group_size
    inside, num_groups = min(group, local), max(1, world // group)
    calls = {
        "all_to_all_bw": (local, world, CollectiveType.ALL_TO_ALL),
        "reduce_scatter_bw": (local, world, CollectiveType.REDUCE_SCATTER),
        "all_gather_bw": (local, world, CollectiveType.ALL_GATHER),
        "all_reduce_bw": (local, world, CollectiveType.ALL_REDUCE),
        "group_reduce_scatter_bw": (inside, group, CollectiveType.REDUCE_SCATTER),
        "group_all_gather_bw": (inside, group, CollectiveType.ALL_GATHER),
        "across_groups_bw": (1, num_groups, CollectiveType.ALL_TO_ALL),
    }
    comms = topology.comms_bandwidths
    pods = {"local_world_size": local} if group != local else {}
    return pods | {
        name: comms.get_bw(
            local_world_size=local_size, world_size=size, collective_type=kind
        )
        * _MS_PER_S
        for name, (local_size, size, kind) in calls.items()
    }


def _wire(sharders: Sequence[Any]) -> dict[str, tuple[float, float]]:
    """Element sizes of the sharders' codecs.

    Raises
    ------
    InputError
        If two sharders use different codecs for one operation.
    """
    from torchrec.distributed.planner.utils import build_sharder_data

    found: dict[str, tuple[float, float]] = {}
    for sharder in sharders:
        sizes = build_sharder_data(sharder).qcomm_dtype_sizes
        for name, operation in _QCOMMS.items():
            if operation not in sizes:
                continue
            pair = (float(sizes[operation][0]), float(sizes[operation][1]))
            if found.setdefault(name, pair) != pair:
                rule = "sharders must agree on the codecs of an operation"
                raise InputError.single("sharders", operation, pair, rule)
    return found
