"""The range of a step where its description leaves rates open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from shardplan.records.cost_model import CostModel
from shardplan.records.inputs import Inputs
from shardplan.simulation.step import simulate

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.host_group import HostGroup
    from shardplan.steps.settings import SimulationSettings

End = Literal["slow", "fast"]


def step_range(
    plan: Plan, settings: SimulationSettings | None = None
) -> tuple[float, float] | None:
    """Return the shortest and the longest step that the inputs leave open [s].

    Notes
    -----
    Network models and lookups may have a `Spread`: factors of their rates between
    which systems of one description were seen to lie. All rates are taken at their
    fast ends, and at their slow ends. None without any spread, as where networks
    were measured.
    """
    ends = [at_end(plan.inputs, end) for end in ("fast", "slow")]
    if any(inputs is None for inputs in ends):
        return None
    fast, slow = (
        simulate(plan.model_copy(update={"inputs": inputs}), settings).step_time_s
        for inputs in ends
    )
    return (fast, slow)


def at_end(inputs: Inputs, end: End) -> Inputs | None:
    """Return inputs with all rates at one end of their spreads; None without any."""
    model, topology = inputs.cost_model, inputs.topology
    named = [group.scale_up.network for group in topology.host_groups]
    open_links = any(one is not None and one.spread is not None for one in named)
    open_lookups = isinstance(model, CostModel) and model.lookup.spread is not None
    if not open_links and not open_lookups:
        return None
    if isinstance(model, CostModel) and model.lookup.spread is not None:
        factor = getattr(model.lookup.spread, end)
        model = model.model_copy(update={"lookup": model.lookup.scaled(factor)})
    return Inputs(
        workload=inputs.workload,
        topology=topology.changed(partial(_group_at_end, end=end)),
        cost_model=model,
    )


def _group_at_end(group: HostGroup, end: End) -> HostGroup:
    network = group.scale_up.network
    if network is None or network.spread is None:
        return group
    changed = network.scaled(getattr(network.spread, end))
    up = group.scale_up.model_copy(update={"network": changed})
    return group.model_copy(update={"scale_up": up})
