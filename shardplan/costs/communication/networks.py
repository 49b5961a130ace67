"""Which network models hold on a cluster."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from shardplan.records.cost_model import CollectiveModel
from shardplan.records.memo import by_identity
from shardplan.records.network import LinkCurve

if TYPE_CHECKING:
    from shardplan.records.cost_model import CostModel
    from shardplan.records.network import NetworkModel
    from shardplan.records.topology import Topology


@by_identity
def collectives_on(topology: Topology, cost_model: CostModel) -> CollectiveModel:
    """Return what collectives reach on a topology.

    Notes
    -----
    A cost model's own collectives hold on whatever network. Otherwise a topology names
    its networks, and a cost model those of topologies that name none. In a cluster
    whose host groups have different domains, the one of the highest latency holds.
    """
    if cost_model.collectives is not None:
        return _with_curve(cost_model.collectives, topology)
    assert cost_model.networks is not None
    named = [group.scale_up.network for group in topology.host_groups]
    near = max((one or cost_model.networks.scale_up for one in named), key=_latency)
    far = topology.fabric.network or cost_model.networks.scale_out
    return CollectiveModel(
        all_to_all_scale_up=near.all_to_all,
        all_to_all_scale_out=far.all_to_all,
        reduce_scale_up=near.reduce,
        reduce_scale_out=far.reduce,
        all_reduce_scale_up=near.all_reduce,
        latency_growth=near.latency_growth,
    )


def _latency(network: NetworkModel) -> float:
    return network.all_to_all.latency_s.value


def _with_curve(model: CollectiveModel, topology: Topology) -> CollectiveModel:
    """Use the all-reduce curve of an older cost model where its ranks are all ranks.

    It was measured on ranks of one switch. Where the curve falls, noise made it: a
    longer message takes no less.
    """
    curve, ranks = model.all_reduce_curve, topology.world_size
    domains = [group.scale_up for group in topology.host_groups]
    switched = all(up.kind == "switch" and up.domain_size >= ranks for up in domains)
    if curve is None or curve.num_ranks != ranks or not switched:
        return model
    link = model.all_reduce_scale_up or model.reduce_scale_up
    factor = 2.0 * (ranks - 1) / ranks
    known = LinkCurve(
        num_ranks=ranks,
        line_bw=max(up.bw for up in domains),
        bw_efficiency=link.bw_efficiency.value,
        sent_bytes=tuple(size * factor for size in curve.message_bytes),
        time_s=tuple(accumulate(curve.time_s, max)),
        source=curve.source,
    )
    return model.replace(all_reduce_scale_up=link.replace(curves=(known,)))
