"""Simulate: where a training step's time goes, and what a faster network buys.

The objective of a plan is the predicted step. The simulator plays it: operations slow
what runs beside them, and share links. So it can answer what twice the network
bandwidth would bring.
"""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import shardplan
from shardplan.simulation import write_trace

plt.style.use(Path(__file__).with_name("gallery.mplstyle"))

# %% A plan and its step
# Two hosts with 8 A100 each, and a synthetic model of 107 tables.

workload, topology = "merlin-small", shardplan.load_topology("dgx-a100-40:2")
search = {"solver": "ldm", "work_limit": 2_000}
plan = shardplan.solve(workload, topology, **search).plan
step = shardplan.simulate(plan)
print(f"predicted {plan.outcome.objective_s * 1e3:.2f} ms")
print(f"simulated {step.step_time_s * 1e3:.2f} ms")
print(f"          {step.throughput_samples_per_s:,.0f} samples/s")

# %% Faster NICs
# Records are frozen; `replace` gives a changed copy. A plan carries its inputs, so the
# same plan can be simulated on another cluster.


def with_nics(factor):
    """Return the topology with NICs that are `factor` times as fast."""
    group = topology.host_groups[0]
    nics = group.scale_out.replace(nic_bw=factor * group.scale_out.nic_bw)
    return topology.replace(host_groups=(group.replace(scale_out=nics),))


def kept(factor):
    """Simulate the same plan with faster NICs."""
    inputs = plan.inputs.replace(topology=with_nics(factor))
    return shardplan.simulate(plan.replace(inputs=inputs))


# %% The step as a timeline
# A rank has streams that work side by side. `write_trace` writes what they do for
# [Perfetto](https://ui.perfetto.dev), or for a program such as this one. The ids of the
# next batch are exchanged while this one is computed (`input_dist`), but outputs and
# gradients keep the GPU waiting: white space in the row of the compute stream.

STREAMS = {0: "compute", 1: "communication", 3: "copy"}
STAGES = {
    "overhead": "#999999",
    "input_copy": "C6",
    "input_dist": "C5",
    "fwd_compute": "C1",
    "fwd_comms": "C0",
    "dense_forward": "#bbbbbb",
    "dense_backward": "#777777",
    "bwd_comms": "C4",
    "bwd_compute": "C3",
    "dense_sync": "C2",
}


def operations(simulation):
    """Return what the critical rank does in one step, from the trace."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        write_trace(simulation, path, ranks=[simulation.critical_rank])
        events = json.loads(path.read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    return [e for e in slices if e["args"]["step"] == 1 and e["cat"] in STAGES]


figure, axes = plt.subplots(2, 1, sharex=True)
for axis, factor in zip(axes, (1, 2), strict=True):
    simulation = kept(factor)
    found = operations(simulation)
    begin = min(event["ts"] for event in found)
    for event in found:
        row = list(STREAMS).index(event["tid"])
        left, width = (event["ts"] - begin) / 1e3, event["dur"] / 1e3
        axis.barh(row, width, 0.8, left, color=STAGES[event["cat"]])
    axis.set_yticks(range(len(STREAMS)), STREAMS.values())
    axis.invert_yaxis()
    axis.grid(visible=False)
    title = f"NICs x {factor}: {simulation.step_time_s * 1e3:.2f} ms"
    axis.set_title(title)
axes[1].set_xlabel("time [ms]")
patches = [plt.Rectangle((0, 0), 1, 1, color=color) for color in STAGES.values()]
figure.legend(patches, STAGES, loc="outside right center")
figure.savefig("simulate-step.svg", metadata={"Date": None})

# %% More of it
# Twice the bandwidth halves what the NICs take, and nothing else. A plan that is made
# for the network gets more out of it where it is slow. At last the PCIe lanes in front
# of the NICs are the limit; `shardplan simulate --explain` names the fullest link of
# every exchange.

factors = (0.5, 1, 2, 4)
same = [kept(factor).step_time_s * 1e3 for factor in factors]
anew = []
for factor in factors:
    result = shardplan.solve(workload, with_nics(factor), **search)
    anew.append(shardplan.simulate(result.plan).step_time_s * 1e3)
for factor, first, second in zip(factors, same, anew, strict=True):
    print(f"NICs x {factor:3}: {first:5.2f} ms, solved anew {second:5.2f} ms")

figure, axis = plt.subplots(figsize=(6, 3.6))
axis.plot(factors, same, "o-", label="the same plan")
axis.plot(factors, anew, "s--", label="solved anew")
axis.set_xscale("log", base=2)
axis.set_xticks(factors, [f"x {factor}" for factor in factors])
axis.set(xlabel="bandwidth of the NICs", ylabel="step [ms]", ylim=(0, None))
axis.legend()
figure.savefig("simulate-network.svg", metadata={"Date": None})
