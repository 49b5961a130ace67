"""What the hosts of one group are made of: device, memory, scale-up links, NICs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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
from shardplan.records.record import Count, Flag, Integer, Name, Record

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
