"""The topology record: what the vendor sells, host group by host group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from shardplan.records.brief import Brief
from shardplan.records.hardware import (
    CacheBandwidth,
    CacheBytes,
    DdrBandwidth,
    DdrBytes,
    HbmBandwidth,
    HbmBytes,
    Iops,
    Latency,
    NicBandwidth,
    PcieBandwidth,
    PeakRate,
    ScaleUpBandwidth,
    SsdBandwidth,
    SsdBytes,
)
from shardplan.records.network import NetworkModel
from shardplan.records.record import (
    MAX_RANKS,
    Count,
    Flag,
    Integer,
    Name,
    Number,
    Record,
    SchemaVersion,
)
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R = TypeVar("R", bound=Record)

_SM_CACHE_BW = 9.7e12 / 132
Sources = dict[str, str]
"""Field name (or ``*`` for the rest) to its source, or the word "assumed"."""


class PeakFlops(Record):
    """Peak dense arithmetic rates of a device [FLOP/s]; 0 means unknown."""

    fp32: PeakRate = 0.0
    tf32: PeakRate = 0.0
    fp16: PeakRate = 0.0
    bf16: PeakRate = 0.0
    fp8: PeakRate = 0.0


class Device(Record):
    """One rank's device.

    Attributes
    ----------
    kind : str
        ``gpu``, or ``cpu``: then the rows live in the host's memory and
        `hbm_bytes` and `hbm_bw` are 0.
    hbm_bytes : int
        Capacity [bytes].
    hbm_bw : float
        Peak bandwidth [bytes/s].
    l2_bytes, num_sms : int
        Last-level cache [bytes]; streaming multiprocessors.
    l2_bw : float
        Bandwidth of that cache, as a read-only benchmark measures it [bytes/s]; 0
        where nobody measured it, see `cache_bw`.
    """

    name: Name
    kind: Literal["gpu", "cpu"] = "gpu"
    hbm_bytes: HbmBytes = 0
    hbm_bw: HbmBandwidth = 0.0
    l2_bytes: CacheBytes = 0
    l2_bw: CacheBandwidth = 0.0
    num_sms: Annotated[Integer, Field(ge=0, le=100_000)] = 0
    peak_flops: PeakFlops = PeakFlops()
    sources: Sources = Field(default_factory=dict)

    @model_validator(mode="after")
    def _gpu_has_memory(self) -> Self:
        if self.kind == "gpu" and not (self.hbm_bytes and self.hbm_bw):
            raise ValueError("kind 'gpu' needs hbm_bytes and hbm_bw above 0")
        if self.kind == "cpu" and (self.hbm_bytes or self.hbm_bw):
            raise ValueError("kind 'cpu' has hbm_bytes = 0 and hbm_bw = 0")
        return self

    @property
    def cache_bw(self) -> float:
        """Bandwidth of the last-level cache [bytes/s].

        Notes
        -----
        Without `l2_bw`, what a multiprocessor of a Hopper device gets, times their
        number: 9.7 TB/s over 132 (te42kyfo/gpu-benches, gpu-l2-cache/h200.txt).
        """
        return self.l2_bw or self.num_sms * _SM_CACHE_BW


class Host(Record):
    """What the ranks of one machine share.

    Attributes
    ----------
    ddr_bytes, ssd_bytes : int
        Capacity per host [bytes].
    ddr_bw, ssd_read_bw, ssd_write_bw : float
        Bandwidth per host [bytes/s].
    ssd_read_iops : float
        Random reads per second and host.
    pcie_bw : float
        One PCIe link between host and devices, one direction [bytes/s].
    ranks_per_pcie_link : int
        How many ranks share one such link.
    """

    ddr_bytes: DdrBytes
    ddr_bw: DdrBandwidth
    ssd_bytes: SsdBytes = 0
    ssd_read_bw: SsdBandwidth = 0.0
    ssd_write_bw: SsdBandwidth = 0.0
    ssd_read_iops: Iops = 0.0
    pcie_bw: PcieBandwidth
    ranks_per_pcie_link: Count = 1
    sources: Sources = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ssd_is_complete(self) -> Self:
        if self.ssd_bytes and not (
            self.ssd_read_bw and self.ssd_write_bw and self.ssd_read_iops
        ):
            raise ValueError(
                "ssd_bytes > 0 needs ssd_read_bw, ssd_write_bw and ssd_read_iops > 0"
            )
        return self


class ScaleUp(Record):
    """The domain of ranks joined by NVLink or the like.

    Attributes
    ----------
    kind : str
        ``switch``, ``mesh`` (point to point; the bandwidth of a rank is divided
        over its peers), or ``none`` (peers meet over PCIe).
    domain_size : int
        Ranks in a domain: divides the ranks of a host, or spans whole hosts.
    bw : float
        Per rank, one direction, all links together [bytes/s].
    latency_s : float
        Of one message; 0 if unknown [s].
    network : NetworkModel or None
        What collectives reach in a domain; a file gives its name or path. Without it,
        what the cost model names.
    """

    kind: Literal["switch", "mesh", "none"]
    domain_size: Count = 1
    bw: ScaleUpBandwidth = 0.0
    latency_s: Latency = 0.0
    network: NetworkModel | None = None
    sources: Sources = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        if self.kind == "none" and (self.domain_size != 1 or self.bw):
            raise ValueError("kind 'none' has domain_size = 1 and bw = 0")
        if self.kind != "none" and not self.bw:
            raise ValueError(f"kind {self.kind!r} needs bw > 0")
        return self


class ScaleOut(Record):
    """The NICs of one host.

    Attributes
    ----------
    nics_per_host : int
        0 for a machine that stands alone.
    nic_bw : float
        Line rate of one NIC, one direction [bytes/s].
    latency_s : float
        Of one message between hosts under one leaf; 0 if unknown [s].
    rail_optimized : bool
        NIC i of every host is attached to leaf switch (rail) i.
    """

    nics_per_host: Annotated[Integer, Field(ge=0, le=1024)] = 0
    nic_bw: NicBandwidth = 0.0
    latency_s: Latency = 0.0
    rail_optimized: Flag = False
    sources: Sources = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nics_have_bandwidth(self) -> Self:
        if bool(self.nics_per_host) != bool(self.nic_bw):
            raise ValueError("nics_per_host and nic_bw are both 0 or both above 0")
        return self


class HostGroup(Record):
    """A number of equal hosts."""

    name: Name
    num_hosts: Count = 1
    local_world_size: Count
    device: Device
    host: Host
    scale_up: ScaleUp
    scale_out: ScaleOut = ScaleOut()

    @model_validator(mode="after")
    def _domain_fits_hosts(self) -> Self:
        domain, ranks = self.scale_up.domain_size, self.local_world_size
        if ranks % domain and domain % ranks:
            raise ValueError(
                "scale_up.domain_size must divide local_world_size or be a multiple of "
                f"it, got {domain} and {ranks}"
            )
        return self

    @property
    def world_size(self) -> int:
        """Ranks of the group."""
        return self.num_hosts * self.local_world_size


class Fabric(Record):
    """The switches between hosts.

    Attributes
    ----------
    hosts_per_leaf : int
        Hosts under one leaf switch (or one group of rails); 0: all of them.
    oversubscription : float
        Bandwidth into a leaf over bandwidth from it to the spine; 1 blocks nothing.
    spine_latency_s : float
        What the way through the spine adds to a message's latency [s].
    in_network_reduction : bool
        Switches add up what passes through them (SHARP), and all-reduces use it.
    network : NetworkModel or None
        What collectives reach between hosts; a file gives its name or path. Without
        it, what the cost model names.
    """

    hosts_per_leaf: Annotated[Integer, Field(ge=0, le=MAX_RANKS)] = 0
    oversubscription: Annotated[Number, Field(ge=1, le=1000)] = 1.0
    spine_latency_s: Latency = 0.0
    in_network_reduction: Flag = False
    network: NetworkModel | None = None
    sources: Sources = Field(default_factory=dict)


class Topology(Brief, Record):
    """A cluster: one host group, or several for a mixed one.

    Ranks are numbered host by host in the order of the groups.

    Attributes
    ----------
    cost_model : str
        Name of the shipped cost model to use where none is asked for.
    rank_hbm_bytes : tuple of int
        HBM of every rank, where it differs inside a host; empty: as its device.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    cost_model: Name | None = None
    host_groups: Annotated[tuple[HostGroup, ...], Field(min_length=1, max_length=1000)]
    fabric: Fabric = Fabric()
    rank_hbm_bytes: tuple[HbmBytes, ...] = ()

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        size = f"{plural(self.num_hosts, 'host')}, {plural(self.world_size, 'rank')}"
        devices = " and ".join(sorted({g.device.name for g in self.host_groups}))
        return {"name": self.name, "size": size, "devices": devices}

    @model_validator(mode="after")
    def _is_connected(self) -> Self:
        if self.world_size > MAX_RANKS:
            raise ValueError(
                f"{self.num_hosts:,} hosts have {self.world_size:,} ranks, and "
                f"{MAX_RANKS:,} are the most"
            )
        alone = [group.name for group in self.host_groups if self._needs_nics(group)]
        if alone:
            raise ValueError(
                f"host groups {alone} must reach other hosts: set nics_per_host > 0, "
                "or a scale_up domain that spans them all"
            )
        names = [group.name for group in self.host_groups]
        if len(set(names)) < len(names):
            raise ValueError(f"names of host groups must be unique, got {names}")
        kinds = {group.device.kind for group in self.host_groups}
        if len(kinds) > 1:
            raise ValueError("host groups mix device kinds 'gpu' and 'cpu'")
        if self.rank_hbm_bytes and len(self.rank_hbm_bytes) != self.world_size:
            raise ValueError(
                f"rank_hbm_bytes has {len(self.rank_hbm_bytes)} entries for "
                f"{self.world_size} ranks"
            )
        return self

    def _needs_nics(self, group: HostGroup) -> bool:
        # Domains end with their group.
        domain = min(group.scale_up.domain_size, group.world_size)
        spans_all = domain == self.world_size
        has_nics = bool(group.scale_out.nics_per_host)
        return self.num_hosts > 1 and not spans_all and not has_nics

    @property
    def num_hosts(self) -> int:
        """Hosts of all groups."""
        return sum(group.num_hosts for group in self.host_groups)

    @property
    def world_size(self) -> int:
        """Ranks of all groups."""
        return sum(group.world_size for group in self.host_groups)

    def with_hosts(self, num_hosts: int) -> Self:
        """Return the same kind of cluster with another number of hosts.

        Raises
        ------
        ValueError
            If the cluster is mixed, so that it is unclear which hosts to add.
        """
        if len(self.host_groups) > 1:
            raise ValueError(
                "a mixed cluster has no single host count; edit num_hosts of its groups"
            )
        if self.rank_hbm_bytes:
            raise ValueError("rank_hbm_bytes lists the ranks of another host count")
        return self.changed(lambda group: group.replace(num_hosts=num_hosts))

    def changed(self, change: Callable[[HostGroup], HostGroup]) -> Self:
        """Return a copy with every host group changed (what-if by copy).

        Parameters
        ----------
        change : callable
            From a host group to what takes its place.

        Raises
        ------
        ValidationError
            If the hosts do not reach each other any more, or are too many.
        """
        return self.replace(host_groups=tuple(map(change, self.host_groups)))

    def scaled(self, part: str, **factors: float) -> Self:
        """Return a copy in which all hosts have more, or less, of something.

        Parameters
        ----------
        part : str
            What has the fields, such as ``scale_up`` or ``device.peak_flops``.
        **factors : float
            For each field what it is multiplied by. The result may be beyond what any
            machine has.

        Examples
        --------
        >>> from shardplan import load_topology
        >>> fast = load_topology("dgx-h100").scaled("scale_out", nic_bw=2.0)
        >>> fast.host_groups[0].scale_out.nic_bw
        100000000000.0
        """

        def more(group: HostGroup) -> HostGroup:
            return _scaled(group, part.split("."), factors)

        return self.changed(more)


def _scaled(record: R, path: list[str], factors: Mapping[str, float]) -> R:
    """Multiply fields of the record at the end of a path."""
    changes: dict[str, Any]
    if path:
        changes = {path[0]: _scaled(getattr(record, path[0]), path[1:], factors)}
    else:
        changes = {name: getattr(record, name) * by for name, by in factors.items()}
    return record.model_copy(update=changes)
