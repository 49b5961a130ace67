"""Sharding groups of a job, for the drop-in planner: several hold all tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import InputError
from shardplan.exporters.torchrec import replication_facts
from shardplan.integrations.torchrec.replicated import ReplicatedPlan
from shardplan.integrations.torchrec.topology import read_topology
from shardplan.planning.sharding_groups import ShardingGroups
from shardplan.records.sharding import ReplicaLayout

if TYPE_CHECKING:
    from shardplan.records.topology import Topology


class AskedGroups(NamedTuple):
    """What a job asks of sharding groups, not checked before it plans.

    By then all ranks compare what they ask for, so that none stops alone.

    Attributes
    ----------
    size : int or None
        Ranks of a group; None for one group of all.
    layout : ReplicaLayout or str or None
        None is ``inside``, as in TorchRec.
    sync_every : int
    """

    size: Any
    layout: Any
    sync_every: Any

    def group(self, topology: Topology) -> Topology:
        """Return one of the groups of a cluster; the cluster itself for one group.

        Raises
        ------
        InputError
            If its ranks cannot be grouped like that, with the rule.
        """
        asked = ShardingGroups.of(self.size, self.layout, self.sync_every)
        if asked is None:
            return topology
        if asked.size is None:
            rule = "give a number of ranks; `shardplan solve` compares all of them"
            raise InputError.single("planner", "sharding_group", self.size, rule)
        layout = asked.layout or ReplicaLayout.INSIDE
        try:
            return topology.sharding_group(asked.size, layout, asked.sync_every)
        except ValueError as error:
            raise InputError.single(
                "planner", "sharding_group", self.size, str(error)
            ) from None

    def torchrec_group(self, topology: Any) -> Any:
        """Return TorchRec's topology of the first group, from that of all ranks.

        Raises
        ------
        InputError
            As `group`.

        Notes
        -----
        Its bandwidths are those of a rank, and stay; so do capacities.
        """
        from torchrec.distributed.planner.types import CustomTopologyData
        from torchrec.distributed.planner.types import Topology as TorchRecTopology

        group = self.group(read_topology(topology))
        if group.replication is None:
            return topology
        storage = [topology.devices[rank].storage for rank in group.members()]
        size = group.world_size
        caps = {
            "hbm_cap": [max(0, one.hbm) for one in storage],
            "ddr_cap": [max(0, one.ddr) for one in storage],
            "ssd_cap": [max(0, one.ssd) for one in storage],
        }
        return TorchRecTopology(
            world_size=size,
            compute_device=topology.compute_device,
            local_world_size=group.host_groups[0].local_world_size,
            hbm_mem_bw=topology.hbm_mem_bw,
            ddr_mem_bw=topology.ddr_mem_bw,
            ssd_mem_bw=topology.ssd_mem_bw,
            hbm_to_ddr_mem_bw=topology.hbm_to_ddr_mem_bw,
            bwd_compute_multiplier=topology.bwd_compute_multiplier,
            custom_topology_data=CustomTopologyData(caps, size),
            weighted_feature_bwd_compute_multiplier=(
                topology.weighted_feature_bwd_compute_multiplier
            ),
            uneven_sharding_perf_multiplier=topology.uneven_sharding_perf_multiplier,
            generalized_comms_bandwidths=topology.comms_bandwidths,
            created_by_factory=True,
        )

    def replicated(self, sharding_plan: Any, topology: Any) -> ReplicatedPlan:
        """Return a plan of one group with what `DMPCollection` is told of all.

        Raises
        ------
        InputError
            If no size of groups was asked for.
        """
        if self.size is None:
            rule = "give one, or use collective_plan and DistributedModelParallel"
            raise InputError.single("planner", "sharding_group", None, rule)
        facts = replication_facts(self.group(read_topology(topology)))
        facts = facts or {
            "world_size": topology.world_size,
            "sharding_group_size": topology.world_size,
            "node_group_size": topology.local_world_size,
            "use_inter_host_allreduce": False,
            "sync_every": self.sync_every,
        }
        facts["local_world_size"] = topology.local_world_size
        return ReplicatedPlan(sharding_plan, **facts)
