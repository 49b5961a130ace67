"""Real machines by the names that TorchRec's requests have for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchrec.distributed.planner.types import BasicCommsBandwidths, CollectiveType

from shardplan.costs.torchrec.bandwidths import inter_host_bw, intra_host_bw
from shardplan.errors import InputError
from shardplan.io.catalog import load_topology, names

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from shardplan.records.host_group import HostGroup
    from shardplan.records.topology import Topology

SKUS = {
    "A100": "dgx-a100-40",  # the smaller: its plans fit both
    "A100_40G": "dgx-a100-40",
    "A100_80G": "dgx-a100-80",
    "B200": "dgx-b200",
    "B300": "hgx-b300",
    "CPU": "cpu-host",
    "GB200": "gb200-nvl72",
    "GB300": "gb300-nvl72",
    "GRANDTETON": "dgx-h100",
    "H100": "dgx-h100",
    "H200": "dgx-h200",
    "MI300X": "mi300x",
    "V100": "zion-v100",
    "ZION": "zion-v100",
    "ZIONEX": "zionex",
}
"""Shipped topologies by name of TorchRec's SKUs; letters' case, - and _ do not count.

References
----------
Names: TorchRec 1.9.2, comments of torchrec/distributed/planner/types.py and
dry_run/cli.py. Grand Teton: 8 H100, engineering.fb.com, 2022-10-18; ZionEX: 8 A100 of
40 GB, Mudigere et al., ISCA 2022; Zion: 8 V100.
"""
GIB = 2**30
"""What TorchRec means by a GB, of memory and of bandwidth (its constants.py)."""
_MS_PER_S = 1000.0


class DomainBandwidths(BasicCommsBandwidths):  # type: ignore[misc, unused-ignore]
    """TorchRec's bandwidths where fast links join the ranks of several hosts.

    TorchRec's own class gives every collective of more ranks than a host has the rate
    of the NICs, whatever `pod_size` says.

    Parameters
    ----------
    domain_size : int
        Ranks that fast links join.
    intra_host_bw, inter_host_bw : float
        Of a rank, by these links and by NICs [bytes/ms].
    """

    def __init__(
        self, domain_size: int, *, intra_host_bw: float, inter_host_bw: float
    ) -> None:
        super().__init__(intra_host_bw=intra_host_bw, inter_host_bw=inter_host_bw)
        self.name = "DomainBandwidths"
        self.domain_size = domain_size

    def get_bw(
        self,
        local_world_size: int,
        world_size: int,
        collective_type: CollectiveType,
    ) -> float:
        """Return the bandwidth of a collective [bytes/ms]."""
        # One rank per group: TorchRec asks so for what goes from domain to domain.
        spread = local_world_size == 1
        reduces = collective_type is CollectiveType.ALL_REDUCE
        if world_size <= self.domain_size and not spread and not reduces:
            return float(self.intra_host_bw)
        return float(super().get_bw(local_world_size, world_size, collective_type))


@dataclass(frozen=True)
class Sku:
    """A kind of machine.

    Attributes
    ----------
    name : str
        As it was asked for.
    topology : Topology
        The shipped entry, or the site's own.
    """

    name: str
    topology: Topology

    @classmethod
    def of(
        cls,
        name: str,
        own: Mapping[str, str | os.PathLike[str] | Topology] | None = None,
    ) -> Sku:
        """Find a SKU.

        Parameters
        ----------
        own : mapping of SKU to topology, name or path, optional
            Others than those known, or in their place.

        Raises
        ------
        InputError
            For an unknown one, with the known ones; for a cluster of several kinds.
        """
        known: dict[str, Any] = {entry: entry for entry in names("topologies")}
        known |= {**SKUS, **(own or {})}
        by_key = {_key(entry): topology for entry, topology in known.items()}
        if _key(name) not in by_key:
            listed = ", ".join([*sorted({*SKUS, *(own or {})}), "any shipped topology"])
            rule = f"must be one of: {listed}"
            raise InputError.single("planner", "sku", name, rule)
        topology = load_topology(by_key[_key(name)])
        if len(topology.host_groups) > 1:
            rule = "a SKU is one kind of host; the topology has several host_groups"
            raise InputError.single("planner", "sku", name, rule)
        return cls(name, topology)

    @property
    def host(self) -> HostGroup:
        """Its kind of host."""
        return self.topology.host_groups[0]

    @property
    def compute_device(self) -> str:
        """What TorchRec calls its devices."""
        return "cpu" if self.host.device.kind == "cpu" else "cuda"

    def hardware(self, local_world_size: int | None = None) -> dict[str, float]:
        """Return capacities of a rank [bytes] and bandwidths [bytes/ms].

        Names are those of TorchRec's `HardwareConfig`. Memory and SSD of a host are
        divided over its ranks.

        Parameters
        ----------
        local_world_size : int, optional
            Ranks of each host that a job uses; by default all.
        """
        host, local = self.host.host, self.host.local_world_size
        device = self.host.device
        return {
            "hbm_cap_bytes": device.hbm_bytes,
            "ddr_cap_bytes": host.ddr_bytes // local,
            "ssd_cap_bytes": host.ssd_bytes // local,
            "hbm_mem_bw": device.hbm_bw / _MS_PER_S,
            "ddr_mem_bw": host.ddr_bw / local / _MS_PER_S,
            "ssd_mem_bw": host.ssd_read_bw / local / _MS_PER_S,
            "hbm_to_ddr_mem_bw": host.pcie_bw / host.ranks_per_pcie_link / _MS_PER_S,
            "intra_host_bw": intra_host_bw(self.host)
            * self._share_of_links(local_world_size or local)
            / _MS_PER_S,
            "inter_host_bw": inter_host_bw(self.host) / _MS_PER_S,
        }

    def _share_of_links(self, ranks: int) -> float:
        """Share of a rank's links that lead to so many ranks of its host."""
        links = self.host.scale_up
        if links.kind != "mesh" or not 1 < ranks < links.domain_size:
            return 1.0
        if links.domain_size > self.host.local_world_size:
            return 1.0  # Links reach the ranks of other hosts, too.
        return (ranks - 1) / (links.domain_size - 1)

    def pod_size(self, asked: int | None, local: int, world: int) -> int | None:
        """Return the hosts that fast links join; None if they end at the host.

        Parameters
        ----------
        asked : int, optional
            Hosts of a pod, as a request has them; by default as many as links reach
            and divide the job's hosts.
        local, world : int
            Ranks of a host, and of the job.

        Raises
        ------
        InputError
            If the machine has no such hosts or pods.
        """
        domain = max(self.host.scale_up.domain_size, self.host.local_world_size)
        if local > domain:
            rule = f"fast links of SKU {self.name} join at most {domain} ranks"
            raise InputError.single("request", "local_world_size", local, rule)
        reach = min(domain, world) // local
        if asked is None:
            if domain <= self.host.local_world_size:
                return None
            hosts = world // local
            best = max(n for n in range(1, reach + 1) if hosts % n == 0)
            return best if best > 1 else None
        if asked > reach:
            rule = (
                f"counts hosts: at most {reach} of {local} ranks, for fast links of "
                f"SKU {self.name} join at most {domain} of the job's {world} ranks"
            )
            raise InputError.single("request", "pod_size", asked, rule)
        return asked


def _key(name: str) -> str:
    return name.upper().replace("-", "").replace("_", "")


def sku_topology(
    sku: Sku,
    hardware: Mapping[str, float],
    *,
    world_size: int,
    local_world_size: int,
    pod_size: int | None = None,
    bwd_compute_multiplier: float | None = None,
) -> Any:
    """Build TorchRec's `Topology` of a job on such machines.

    Parameters
    ----------
    hardware : mapping
        That of the SKU, or with some numbers replaced.
    pod_size : int, optional
        Hosts of a pod.

    Raises
    ------
    InputError
        If the machine has no such hosts or pods, or has a bandwidth of 0.
    """
    from torchrec.distributed.planner.types import Topology as TorchRecTopology

    pods = sku.pod_size(pod_size, local_world_size, world_size)
    for name, value in hardware.items():
        if value <= 0 and name in ("intra_host_bw", "inter_host_bw"):
            raise InputError.single("request", name, value, "must be above 0")
    intra, inter = hardware["intra_host_bw"], hardware["inter_host_bw"]
    bandwidths = BasicCommsBandwidths(intra_host_bw=intra, inter_host_bw=inter)
    if pods is not None:
        domain = sku.host.scale_up.domain_size
        bandwidths = DomainBandwidths(domain, intra_host_bw=intra, inter_host_bw=inter)
    memories = {
        name: hardware[name]
        for name in ("hbm_mem_bw", "ddr_mem_bw", "ssd_mem_bw", "hbm_to_ddr_mem_bw")
        if hardware[name] > 0
    }
    caps = {
        name: int(hardware[f"{name}_bytes"])
        for name in ("hbm_cap", "ddr_cap", "ssd_cap")
    }
    if bwd_compute_multiplier is not None:
        memories["bwd_compute_multiplier"] = bwd_compute_multiplier
    return TorchRecTopology(
        world_size=world_size,
        local_world_size=local_world_size,
        pod_size=pods,
        compute_device=sku.compute_device,
        generalized_comms_bandwidths=bandwidths,
        created_by_factory=True,
        **caps,
        **memories,
    )
