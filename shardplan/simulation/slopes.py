"""What bounds a step: how much of everything it would gain from a little more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.costs.communication.networks import collectives_on
from shardplan.records.host_group import PeakFlops
from shardplan.records.network import LinkModel
from shardplan.records.torchrec_cost_model import measured
from shardplan.simulation.step import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.plan import Plan
    from shardplan.records.cost_model import RuntimeModel
    from shardplan.records.inputs import Inputs
    from shardplan.simulation.result import Simulation
    from shardplan.steps.settings import SimulationSettings

MORE = 0.01
"""How much more of a resource is tried."""
_DECIDES = 0.2
"""Share of its full effect above which a resource bounds an operation."""


@dataclass(frozen=True)
class Explanation:
    """What a step would gain, and what bounds its operations.

    Attributes
    ----------
    saved_s : dict of str to float
        Seconds of the step that 1 % more of each resource saves, largest first.
    bound_by : dict of str to str
        For every operation the resource whose increase shortens it the most;
        ``fixed`` where none does (least times of kernels).
    fullest_link : dict of str to str
        For every exchange that moves bytes, the link that they fill most.
    imbalance_s : float
        Mean time that ranks wait for others [s].
    hidden_communication_s, exposed_communication_s : float
        Mean over ranks [s].
    """

    saved_s: dict[str, float]
    bound_by: dict[str, str]
    fullest_link: dict[str, str]
    imbalance_s: float
    hidden_communication_s: float
    exposed_communication_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON-able data."""
        return {
            "saved_s_per_percent": self.saved_s,
            "bound_by": self.bound_by,
            "fullest_link": self.fullest_link,
            "imbalance_s": self.imbalance_s,
            "hidden_communication_s": self.hidden_communication_s,
            "exposed_communication_s": self.exposed_communication_s,
        }


def explain(simulation: Simulation) -> Explanation:
    """Simulate again with 1 % more of each resource.

    Parameters
    ----------
    simulation : Simulation

    Notes
    -----
    The plan stays as it is. Bandwidths and rates grow by 1 %, latencies and
    overheads shrink by 1 %.
    """
    plan, settings = simulation.evaluation.plan, simulation.settings
    saved: dict[str, float] = {}
    gains: dict[str, dict[str, float]] = {}
    before = {phase.name: phase.max_s for phase in simulation.phases}
    for name, change in RESOURCES.items():
        faster = _with_more(plan, settings, change)
        saved[name] = simulation.step_time_s - faster.step_time_s
        for phase in faster.phases:
            if phase.name in before:
                gain = 1.0 - phase.max_s / before[phase.name]
                gains.setdefault(phase.name, {})[name] = gain
    breakdown = simulation.breakdown
    return Explanation(
        saved_s=dict(sorted(saved.items(), key=lambda item: -item[1])),
        bound_by={name: _bound(gains.get(name, {})) for name in before},
        fullest_link=_fullest_links(simulation),
        imbalance_s=breakdown.idle_s,
        hidden_communication_s=breakdown.hidden_communication_s,
        exposed_communication_s=sum(breakdown.exposed_communication_s.values()),
    )


def _fullest_links(simulation: Simulation) -> dict[str, str]:
    """Name the fullest link of every communication of the steady step."""
    cluster, rates = simulation.evaluation.cluster, simulation.evaluation.rates
    links = rates.collectives.all_to_all
    named = {}
    for run in simulation.timeline.steady_runs:
        operation = run.operation
        if operation.traffic is None or operation.is_idle:
            continue
        found = links.fullest(operation.traffic)
        if found is not None:
            kind, rank = found
            host = int(cluster.rank_host[rank])
            named[operation.name] = f"{kind} of rank {rank}, host {host}"
    return named


def _bound(gains: dict[str, float]) -> str:
    """Name the resource with the largest effect, if it has one."""
    name = max(gains, key=lambda resource: gains[resource], default="")
    return name if name and gains[name] > _DECIDES * MORE else "fixed"


def _with_more(
    plan: Plan, settings: SimulationSettings, change: Callable[[Inputs], Inputs]
) -> Simulation:
    inputs = change(plan.inputs)
    return simulate(plan.model_copy(update={"inputs": inputs}), settings)


def _hardware(part: str, *fields: str) -> Callable[[Inputs], Inputs]:
    """Make the change that gives all hosts more of some fields of a part."""
    factors = dict.fromkeys(fields, 1.0 + MORE)

    def change(inputs: Inputs) -> Inputs:
        return inputs.replace(topology=inputs.topology.scaled(part, **factors))

    return change


def _latency(inputs: Inputs) -> Inputs:
    model = measured(inputs.cost_model)
    collectives = collectives_on(inputs.topology, model)
    links = {
        name: _shorter(getattr(collectives, name))
        for name in type(collectives).model_fields
        if isinstance(getattr(collectives, name), LinkModel)
    }
    changed = model.replace(collectives=collectives.replace(**links))
    return inputs.replace(cost_model=changed)


def _shorter(link: LinkModel) -> LinkModel:
    """Return a link of less latency; a curve stays above what its bytes take."""
    value = link.latency_s.value * (1.0 - MORE)
    latency = link.latency_s.replace(value=value)
    curves = [
        curve.replace(
            time_s=[
                max(time - MORE * curve.time_s[0], sent / rate)
                for sent, time in zip(curve.sent_bytes, curve.time_s, strict=True)
            ]
        )
        for curve in link.curves
        for rate in [curve.bw_efficiency * curve.line_bw]
    ]
    return link.replace(latency_s=latency, curves=curves)


def _overhead(inputs: Inputs) -> Inputs:
    def shorter(runtime: RuntimeModel) -> RuntimeModel:
        overhead = runtime.step_overhead_s
        value = overhead.value * (1.0 - MORE)
        return runtime.replace(step_overhead_s=overhead.replace(value=value))

    model = measured(inputs.cost_model)
    others = {name: shorter(runtime) for name, runtime in model.runtimes.items()}
    changed = model.replace(runtime=shorter(model.runtime), runtimes=others)
    return inputs.replace(cost_model=changed)


RESOURCES: dict[str, Callable[[Inputs], Inputs]] = {
    "device memory bandwidth": _hardware("device", "hbm_bw"),
    "arithmetic": _hardware("device.peak_flops", *PeakFlops.model_fields),
    "scale-up bandwidth": _hardware("scale_up", "bw"),
    "NIC bandwidth": _hardware("scale_out", "nic_bw"),
    "host memory and PCIe bandwidth": _hardware("host", "pcie_bw", "ddr_bw"),
    "latency of collectives": _latency,
    "runtime overhead": _overhead,
}
"""How to get 1 % more of each resource."""
