"""Which links the bytes of an exchange take.

Every sample belongs to one rank and samples are spread evenly, so that the matrix of
an all-to-all has equal columns (outputs: a rank sends all others the same) or equal
rows (ids and gradients: a rank receives the same from all). Loads of links are sums
over groups of ranks: no matrix is made, and 4,096 ranks take a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.groups import Level, Union
from shardplan.costs.communication.links import leaf_of_host
from shardplan.costs.communication.traffic import Traffic
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.records.memo import by_identity

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.groups import RankSets
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Routes:
    """How the ranks of a cluster reach each other.

    Attributes
    ----------
    near : dict of Scope to three Level
        The groups of each scope, whose ranks keep bytes for each other or have reduced
        before; what scale-up links reach beside them, and what PCIe reaches.
    host : Level
    position : int array (W,)
        Index of a rank in its host.
    leaf : int array (W,)
        The leaf switch of each rank's NIC, out of `num_uplinks`; with rails a
        group of hosts has one for every NIC of a host.
    under_leaf : Level
        Ranks whose NICs meet below the spine.
    forwards : bool
        Bytes for another rail go over scale-up links to the rank of the own host
        that is on it (PXN), so that ranks under one group of leafs meet below the
        spine whatever their rails.
    num_uplinks : int
        Leaf switches below a spine; 0 where no bytes pass one.
    """

    cluster: Cluster
    near: dict[Scope, tuple[Level, Level, Level]]
    host: Level
    position: Ints
    leaf: Ints
    under_leaf: Level
    leaf_group: Level
    forwards: bool
    num_uplinks: int

    def spread(self, sent: Floats, inside: Scope = Scope.RANK) -> Traffic:
        """Return the loads while each rank sends bytes evenly to all ranks.

        Parameters
        ----------
        sent : float array (W,)
            Bytes that each rank sends, a W-th of them to each rank [bytes].
        inside : Scope
            Bytes for ranks of this group are free.

        Notes
        -----
        Of every W-th, ``d - 1`` go to the domain, ``g - d`` to the host, ``W - g``
        to NICs, and those for ranks not under the leaf to the spine. With
        forwarding all NICs of a host send the same.

        References
        ----------
        NVIDIA 2022, Doubling all2all performance with NCCL 2.12 (PXN).
        """
        away = self._away(inside)
        out, into = self._loads(sent / self.cluster.world_size, inside)
        up_out, up_in = self._to_spine(sent / self.cluster.world_size, away)
        if self._mixes_rails(inside):
            kept = out[2] / (self.host.size / self.near[inside][0].size)
            mean = self.host.mean(out[2])
            out[0] += out[2] - kept
            into[0] += mean - kept
            out[2], up_out = mean, self.host.mean(up_out)
        return self._traffic(out, into, up_out, up_in)

    def gather(self, received: Floats, inside: Scope = Scope.RANK) -> Traffic:
        """Return the loads while each rank receives bytes evenly from all ranks.

        Parameters
        ----------
        received : float array (W,)
            Bytes that each rank receives, a W-th of them from each rank [bytes].
        inside : Scope
            Bytes from ranks of this group are free.

        Notes
        -----
        The transpose of :meth:`spread`. Forwarding happens at the sender, onto the
        rail of the receiver: a rank that receives much has one NIC for it.
        """
        away = self._away(inside)
        each = received / self.cluster.world_size
        into, out = self._loads(each, inside)
        up_in, up_out = self._to_spine(each, away)
        if self._mixes_rails(inside):
            own = self._from_position(each, self._near_position)
            size = self.near[inside][0].size
            out[0] += np.maximum(out[2] - own * size, 0.0)
            into[0] += own * (self.host.size - size)
            out[2] = own * self.host.size
            up_out = self._spine_from_position(each) * self.host.size
        return self._traffic(out, into, up_out, up_in)

    def ring(self, array: Floats, scope: Scope, *, adds_up: bool = False) -> Traffic:
        """Return the loads of a reduce-scatter or all-gather of each rank's array.

        Parameters
        ----------
        array : float array (W,)
            The whole array [bytes].
        scope : Scope
            Which ranks reduce together: those that share a host or the larger domain
            first, then these parts of the group among each other.
        adds_up : bool
            Switches between the parts add up and send back the sums, so that the
            array counts twice, there and back.

        Notes
        -----
        ``(n - 1) / n`` of the array on each rank's links inside a part of n, and
        ``1/n - 1/g`` on its NIC between the parts of a group of g, or ``1/2n`` where
        switches add up; a ring, and what switches add up, enters each leaf once.
        """
        return self._ring(array, self._rings[scope], adds_up=adds_up)

    def ring_among(self, array: Floats, group: Level) -> Traffic:
        """Return the loads of a reduce-scatter or all-gather in groups of any ranks.

        Parameters
        ----------
        array : float array (W,)
            The whole array of each rank [bytes].
        group : Level
            Which ranks reduce together.
        """
        return self._ring(array, self._parts(group))

    def _ring(
        self, array: Floats, parts: tuple[Level, Level, Level], *, adds_up: bool = False
    ) -> Traffic:
        together, part, below = parts
        size = part.size
        moved = array * (size - 1.0) / size
        fits = size <= self.near[Scope.RANK][1].size
        by_scale_up = np.where(fits, moved * self._mesh_factor(size), 0.0)
        share = 0.5 / size if adds_up else 1.0 / size - 1.0 / together.size
        far = np.where(size < together.size, array * share, 0.0)
        loads = np.stack([by_scale_up, np.where(fits, 0.0, moved), far])
        leaves = below.size < together.size
        up = np.where(leaves, far / below.size * self.host.size, 0.0)
        return self._traffic(loads, loads.copy(), up, up)

    def _mesh_factor(self, size: Floats) -> Floats:
        """Links of a rank over those to the others of its group (W,); 1 at a switch.

        Loads are as if all links of a rank were as full as its fullest ones.
        """
        groups, domain = self.cluster.host_groups, self.near[Scope.RANK][1].size
        is_mesh = np.array([group.scale_up.kind == "mesh" for group in groups])
        links = (domain - 1.0) / np.maximum(np.minimum(size, domain) - 1.0, 1.0)
        return np.where(is_mesh[self.cluster.rank_class], np.maximum(links, 1.0), 1.0)

    def leaves_hosts(self, scope: Scope) -> bool:
        """Whether groups of a scope reach beyond a host and a domain, over NICs."""
        together, part, _ = self._rings[scope]
        return bool((part.size < together.size).any())

    @cached_property
    def _rings(self) -> dict[Scope, tuple[Level, Level, Level]]:
        """Groups of each scope, and of these what is in one host or domain or leaf."""
        return {scope: self._parts(group) for scope, (group, _, _) in self.near.items()}

    def _parts(self, group: Level) -> tuple[Level, Level, Level]:
        near = self.near[Scope.RANK][2]
        return group, near.split(group.ids), self.leaf_group.split(group.ids)

    def copies(self, num_bytes: Floats) -> Traffic:
        """Return the loads of copies from each rank's host [bytes]."""
        nothing = Traffic.nothing(self.cluster.world_size, self.num_uplinks)
        return Traffic(nothing.by_rank, nothing.uplink, num_bytes)

    def _mixes_rails(self, inside: Scope) -> bool:
        """Whether bytes for other rails are forwarded: a group holds no whole host.

        Ranks of a group have reduced for the ranks at their positions in all groups, so
        that those of a host stay on their rail.
        """
        small = self.near[inside][0].size < self.host.size
        return self.forwards and bool(small.any())

    def _loads(self, each: Floats, inside: Scope) -> tuple[Floats, Floats]:
        """Bytes that leave and reach each rank over links of each kind (3, W)."""
        levels = self.near[inside]
        world = np.full(len(each), float(len(each)))
        ranks = np.diff([*(level.size for level in levels), world], axis=0)
        total = np.full(len(each), each.sum())
        sums = np.diff([*(level.sum(each) for level in levels), total], axis=0)
        return each * ranks, np.where(ranks > 0, np.maximum(sums, 0.0), 0.0)

    def _away(self, inside: Scope) -> Union | None:
        """Ranks that bytes reach below the spine; None if that is all of them."""
        return self._below[inside] if self.num_uplinks else None

    @cached_property
    def _below(self) -> dict[Scope, Union]:
        """Ranks that are reached below the spine."""
        return {
            scope: Union.of(self._below_spine(group), reached)
            for scope, (group, _, reached) in self.near.items()
        }

    def _below_spine(self, group: Level) -> Level:
        """Ranks whose bytes meet those of a rank below the spine, by NIC.

        Ranks of a group have reduced for all that are at their position in other
        groups. Without forwarding those on another rail are reached through the spine:
        of a host, all but one group, or all but one rail if it has more ranks.
        """
        if self.forwards:
            return self.leaf_group
        first = self.cluster.host_first_rank[self.cluster.rank_host]
        rail, number = self.leaf - self.leaf[first], group.ids - group.ids[first]
        return self.leaf_group.split(number if number.max() < rail.max() else rail)

    def _to_spine(self, each: Floats, away: RankSets | None) -> tuple[Floats, Floats]:
        """Bytes of each rank that pass the spine, out and in (W,)."""
        if away is None:
            return np.zeros(len(each)), np.zeros(len(each))
        into = np.maximum(each.sum() - away.sum(each), 0.0)
        far = len(each) - away.size
        return each * far, np.where(far > 0, into, 0.0)

    def _from_position(self, each: Floats, here: RankSets) -> Floats:
        """Return what ranks at one position, but not here, get from one rank."""
        everywhere = np.bincount(self.position, each)[self.position]
        return np.maximum(everywhere - here.sum(each), 0.0)

    @cached_property
    def most_ranks_near(self) -> float:
        """Ranks of the largest host or domain."""
        return float(self.near[Scope.RANK][2].size.max())

    @cached_property
    def _near_position(self) -> Level:
        """Ranks at the same position that no NIC is needed for."""
        return self.near[Scope.RANK][2].split(self.position)

    @cached_property
    def _below_position(self) -> Union:
        """Ranks at the same position that no spine is needed for."""
        return Union.of(self.leaf_group.split(self.position), self._near_position)

    def _spine_from_position(self, each: Floats) -> Floats:
        """Return the part of `_from_position` that passes the spine."""
        if not self.num_uplinks:
            return np.zeros(len(each))
        return self._from_position(each, self._below_position)

    def _traffic(
        self, out: Floats, into: Floats, up_out: Floats, up_in: Floats
    ) -> Traffic:
        uplink = np.zeros((2, 0))
        if self.num_uplinks:
            uplink = np.stack(
                [np.bincount(self.leaf, up, self.num_uplinks) for up in (up_out, up_in)]
            )
        by_rank = np.stack([out, into], axis=1)
        return Traffic(by_rank, uplink, np.zeros(self.cluster.world_size))


@by_identity
def routes_of(cluster: Cluster) -> Routes:
    """Work out the routes of a cluster; the last ones are kept."""
    host, domain = Level(cluster.rank_host), Level(cluster.rank_domain)
    near: dict[Scope, tuple[Level, Level, Level]] = {}
    for scope in SCOPES:
        own = Level(cluster.groups(scope).of_rank)
        scale_up = own.grown(domain)
        near[scope] = (own, scale_up, scale_up.grown(host))
    position = (
        np.arange(cluster.world_size) - cluster.host_first_rank[cluster.rank_host]
    )
    group = leaf_of_host(cluster)[cluster.rank_host]
    leaf, forwards = group, False
    if _has_rails(cluster):
        rails = cluster.host_groups[0].scale_out.nics_per_host
        local = cluster.host_groups[0].local_world_size
        leaf = group * rails + position * rails // local
        leaf = np.unique(leaf, return_inverse=True)[1]
        forwards = bool((domain.size >= host.size).all())
    passes = int(group.max()) > 0 or (int(leaf.max()) > 0 and not forwards)
    return Routes(
        cluster=cluster,
        near=near,
        host=host,
        position=position,
        leaf=leaf,
        under_leaf=Level(leaf),
        leaf_group=Level(group),
        forwards=forwards,
        num_uplinks=int(leaf.max()) + 1 if passes else 0,
    )


def _has_rails(cluster: Cluster) -> bool:
    """Whether NIC i of every host is on leaf switch i; hosts must be alike."""
    shapes = {
        (group.local_world_size, group.scale_out.nics_per_host)
        for group in cluster.host_groups
    }
    outs = [group.scale_out for group in cluster.host_groups]
    return len(shapes) == 1 and all(
        out.rail_optimized and out.nics_per_host > 1 for out in outs
    )
