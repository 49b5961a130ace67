"""One sharding group of a host group: what it has of hosts that it shares with others.

In two-dimensional parallelism R sharding groups of G ranks hold the same tables. All of
them are at work at the same time, so that each has its share of what ranks of a host
have in common.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from shardplan.units import plural

if TYPE_CHECKING:
    from shardplan.records.host_group import Host, HostGroup, ScaleOut, ScaleUp


def every_nth_rank(group: HostGroup, replicas: int) -> HostGroup:
    """Return what a sharding group has of hosts of which it takes every R-th rank.

    Raises
    ------
    ValueError
        If R neither divides the ranks of a host nor is a multiple of them.
    """
    local = group.local_world_size
    if local % replicas and replicas % local:
        raise ValueError(
            f"{plural(replicas, 'replica')} inside hosts must divide the {local} ranks "
            f"of a host of group {group.name!r}, or be a multiple of them"
        )
    hosts, rest = divmod(group.world_size, replicas * max(local // replicas, 1))
    if rest:
        raise ValueError(
            f"{plural(replicas, 'replica')} inside hosts must divide the "
            f"{group.world_size} ranks of group {group.name!r}"
        )
    ranks = max(local // replicas, 1)
    domain = max(group.scale_up.domain_size // replicas, 1)
    return _part(group, num_hosts=hosts, ranks=ranks, domain=domain)


def ranks_in_a_row(group: HostGroup, size: int) -> HostGroup:
    """Return what a sharding group of G consecutive ranks has of hosts.

    Raises
    ------
    ValueError
        If G neither divides the ranks of a host nor is a multiple of them.
    """
    local = group.local_world_size
    if local % size and size % local:
        raise ValueError(
            f"a sharding group of {plural(size, 'rank')} in a row must divide the "
            f"{local} ranks of a host of group {group.name!r}, or be a multiple of them"
        )
    hosts, ranks = max(size // local, 1), min(size, local)
    domain = min(group.scale_up.domain_size, size)
    return _part(group, num_hosts=hosts, ranks=ranks, domain=domain)


def _part(group: HostGroup, num_hosts: int, ranks: int, domain: int) -> HostGroup:
    """Return hosts with some of their ranks, and the share of these of all else."""
    local = group.local_world_size
    if ranks == local and domain == group.scale_up.domain_size:
        return group.replace(num_hosts=num_hosts)
    fits = not (domain % ranks and ranks % domain)
    domain = domain if fits else gcd(domain, ranks)
    return group.replace(
        num_hosts=num_hosts,
        local_world_size=ranks,
        host=_host_share(group.host, ranks, local),
        scale_up=_links_among(group.scale_up, domain),
        scale_out=_nics_of(group.scale_out, ranks, local),
    )


def _host_share(host: Host, ranks: int, local: int) -> Host:
    """Return the share of some ranks; each keeps its share of a PCIe link."""
    share = ranks / local
    shared = host.ranks_per_pcie_link
    sharing = max(shared * ranks // local, 1)
    return host.replace(
        ddr_bytes=host.ddr_bytes * ranks // local,
        ddr_bw=host.ddr_bw * share,
        ssd_bytes=host.ssd_bytes * ranks // local,
        ssd_read_bw=host.ssd_read_bw * share,
        ssd_write_bw=host.ssd_write_bw * share,
        ssd_read_iops=host.ssd_read_iops * share,
        pcie_bw=host.pcie_bw * sharing / shared,
        ranks_per_pcie_link=sharing,
    )


def _links_among(links: ScaleUp, domain: int) -> ScaleUp:
    """Return a domain of fewer ranks; in a mesh links to the others are left out."""
    if links.kind == "none" or domain == links.domain_size:
        return links
    if links.kind == "mesh" and domain > 1:
        part = (domain - 1) / (links.domain_size - 1)
        return links.replace(domain_size=domain, bw=links.bw * part)
    return links.replace(domain_size=domain)


def _nics_of(nics: ScaleOut, ranks: int, local: int) -> ScaleOut:
    """Return whole NICs where they can be shared out, and slower ones elsewhere."""
    if not nics.nics_per_host:
        return nics
    whole, rest = divmod(nics.nics_per_host * ranks, local)
    if whole and not rest:
        return nics.replace(nics_per_host=whole)
    number = max(whole, 1)
    share = nics.nics_per_host * ranks / local / number
    return nics.replace(
        nics_per_host=number, nic_bw=nics.nic_bw * share, rail_optimized=False
    )
