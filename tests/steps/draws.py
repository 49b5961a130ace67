"""Random systems, loads and certificates, and what each operation is pressed by."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.io import catalog
from shardplan.records.sharding import Objective, Target
from shardplan.steps.network import Network
from shardplan.steps.pricing import REPLICAS
from shardplan.steps.settings import SimulationSettings
from shardplan.steps.step_parts import reduce_names
from tests.helpers import (
    COST_MODEL,
    CPU_DEVICE,
    Instance,
    host_group,
    random_assignment,
    topology,
    workload,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload
    from shardplan.steps.pricing import StepPricer

Rng = np.random.Generator


def pick(rng: Rng, *values: Any) -> Any:
    """Choose one of some values."""
    return values[int(rng.integers(len(values)))]


def draw_group(rng: Rng, name: str, local: int) -> dict[str, Any]:
    """Draw hosts whose links are as odd as records allow."""
    speed = float(np.exp(rng.normal(0.0, 0.5)))
    domain = pick(rng, 1, local, local, 2 * local, 3 * local)
    if local % 2 == 0:
        domain = pick(rng, domain, domain, local // 2)
    kind = "none" if domain == 1 else pick(rng, "switch", "switch", "mesh")
    group = host_group(name, speed, local_world_size=local)
    fast = float(np.exp(rng.uniform(np.log(3e9), np.log(5e11))))
    nics = pick(rng, 1, 2, 3, local, local, 2 * local)
    return {
        **group,
        "num_hosts": int(rng.integers(1, 4)),
        "scale_up": (
            {"kind": kind}
            if kind == "none"
            else {"kind": kind, "domain_size": domain, "bw": fast}
        ),
        "host": {
            **group["host"],
            "ranks_per_pcie_link": pick(rng, 1, 2, local),
            "pcie_bw": float(np.exp(rng.uniform(np.log(5e9), np.log(1e11)))),
        },
        "scale_out": {
            "nics_per_host": nics,
            "nic_bw": float(np.exp(rng.uniform(np.log(1e9), np.log(1e11)))),
            "rail_optimized": bool(rng.random() < 0.5),
        },
    }


def draw_topology(rng: Rng, most_ranks: int = 64) -> Topology:
    """Draw a shipped cluster of a few hosts, or an odd one."""
    if rng.random() < 0.4:
        name = pick(rng, *catalog.names("topologies"))
        hosts = int(rng.integers(1, 6))
        found = catalog.load_topology(name)
        while hosts > 1 and found.host_groups[0].local_world_size * hosts > most_ranks:
            hosts -= 1
        try:
            return catalog.load_topology(name, hosts)
        except InputError:  # a machine that stands alone
            return found
    local = int(pick(rng, 1, 2, 2, 3, 4, 4, 6))
    groups = [draw_group(rng, "a", local)]
    for name in "bc"[: int(pick(rng, 0, 0, 1, 2))]:
        other = local if rng.random() < 0.6 else int(pick(rng, 1, 2, 4))
        more = draw_group(rng, name, other)
        if rng.random() < 0.6 and other == local:
            nics, rail = (
                groups[0]["scale_out"][k] for k in ("nics_per_host", "rail_optimized")
            )
            more["scale_out"] = {
                **more["scale_out"],
                "nics_per_host": nics,
                "rail_optimized": rail,
            }
            more["scale_up"] = groups[0]["scale_up"]
        groups.append(more)
    if rng.random() < 0.1:
        for group in groups:
            group["device"], group["scale_up"] = CPU_DEVICE, {"kind": "none"}
    fabric = {
        "hosts_per_leaf": int(rng.integers(0, 4)),
        "oversubscription": float(pick(rng, 1.0, 1.0, 2.0, 8.0, 100.0)),
        "in_network_reduction": bool(rng.random() < 0.3),
        "spine_latency_s": float(pick(rng, 0.0, 1e-6)),
    }
    return topology(*groups, fabric=fabric)


def draw_cost_model(rng: Rng, cluster: Topology) -> CostModel:
    """Draw the cluster's own cost model or another one, and how steps are run."""
    name = cluster.cost_model
    is_cpu = cluster.host_groups[0].device.kind == "cpu"
    if name is None and rng.random() < 0.5:
        name = "cpu" if is_cpu else pick(rng, "h100", "a100", "b200", "v100")
    found = COST_MODEL if name is None else catalog.load_cost_model(name)
    runtime = found.runtime.replace(
        async_weight_gradients=bool(rng.random() < 0.5),
        separate_all_reduce=bool(rng.random() < 0.5),
    )
    if rng.random() < 0.3:
        size = {
            "value": float(pick(rng, 1e4, 1e6, 1e18)),
            "unit": "bytes",
            "source": "assumed",
        }
        runtime = runtime.replace(gradient_bucket_bytes=size)
    return found.replace(runtime=runtime)


def draw_tables(rng: Rng, count: int, world: int, hosts: int) -> list[dict[str, Any]]:
    """Draw tables of any size and use."""
    tables = []
    for _ in range(count):
        limits: dict[str, Any] = {}
        if rng.random() < 0.15:
            some = rng.permutation(world)[: int(rng.integers(1, world + 1))]
            limits["ranks"] = sorted(some.tolist())
        tables.append(
            {
                "num_embeddings": int(np.exp(rng.uniform(2, 17))),
                "embedding_dim": int(pick(rng, 8, 32, 64, 128, 256)),
                "pooling_factor": float(pick(rng, 0.0, 1.0, 5.0, rng.uniform(0, 80))),
                "num_outputs": int(pick(rng, 1, 1, 2)),
                "batch_factor": float(pick(rng, 1.0, 1.0, 0.25, 4.0)),
                "is_pooled": bool(rng.random() < 0.8),
                "is_weighted": bool(rng.random() < 0.2),
                "dtype": pick(rng, "fp32", "fp16"),
                "constraints": limits,
            }
        )
    return tables


_TYPES = (
    ["table_wise"],
    ["row_wise"],
    ["table_row_wise", "table_wise"],
    ["table_row_wise"],
    ["data_parallel"],
    ["data_parallel", "table_wise"],
    ["grid_shard", "column_wise"],
    ["data_parallel", "row_wise"],
)


def draw_repetition(
    rng: Rng, tables: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    """Draw whether ids are sent once, and curves of unique ones for some tables."""
    changes["dedup"] = bool(rng.random() < 0.5)
    for table in tables:
        if rng.random() < 0.3:
            ids = float(np.exp(rng.uniform(0, 14)))
            unique = min(ids ** rng.uniform(0.2, 1.0), table["num_embeddings"])
            table["unique_ids"] = [[ids, unique]]


def draw_sequences(rng: Rng) -> dict[str, Any]:
    """Draw attention over samples of different lengths."""
    mean = float(rng.integers(10, 300))
    sequence = {
        "name": "history",
        "mean": mean,
        "mean_square": mean**2 * float(rng.uniform(1.0, 3.0)),
        "max": int(8 * mean),
        "samples_alike": float(pick(rng, 1, 16)),
    }
    layers = [
        {"kind": "linear", "inputs": 32, "outputs": 96},
        {"kind": "attention", "heads": 2, "qk": 16, "v": 16},
        {"kind": "elementwise", "reads": 64, "writes": 32},
    ]
    repeat = int(rng.integers(1, 5))
    block = {"name": "b", "rows": "history", "repeat": repeat, "layers": layers}
    return {"sequences": [sequence], "blocks": [block]}


def draw_workload(rng: Rng, cluster: Topology, most_tables: int = 6) -> Workload:
    """Draw tables, dense layers or none, a pipeline, dtypes and compression."""
    world, hosts = cluster.world_size, cluster.num_hosts
    tables = draw_tables(rng, int(rng.integers(1, most_tables + 1)), world, hosts)
    changes: dict[str, Any] = {}
    dense: dict[str, Any] = {}
    if rng.random() < 0.7:
        dense = {
            "num_dense": 4,
            "bottom_mlp": [int(pick(rng, 16, 512)), 64],
            "top_mlp": [int(pick(rng, 32, 2048)), 1],
            "interaction": pick(rng, "dot", "cat", "none"),
        }
    if rng.random() < 0.4:
        changes["constraints"] = {"sharding_types": pick(rng, *_TYPES)}
    is_free = not any(t["constraints"] for t in tables) and not changes.keys()
    if len(tables) > 1 and is_free and rng.random() < 0.5:
        changes[pick(rng, "separate", "colocate")] = [["t0", "t1"]]
    draw_repetition(rng.spawn(1)[0], tables, changes)
    lengths = rng.spawn(1)[0]
    if lengths.random() < 0.25:
        dense = draw_sequences(lengths)
    compress = {"method": "top_k", "ratio": 8.0}
    changes["comm_dtypes"] = {
        "forward": pick(rng, "fp32", "fp16"),
        "backward": pick(rng, "fp32", "bf16"),
        "forward_compression": pick(rng, None, compress),
        "backward_compression": pick(rng, None, None, compress),
    }
    return workload(
        *tables,
        dense=dense,
        global_batch_size=int(world * pick(rng, 1, 64, 1024, 8192)),
        optimizer=pick(rng, "sgd", "rowwise_adagrad"),
        pipeline=pick(rng, "none", "sparse_dist", "prefetch_sparse_dist"),
        **changes,
    )


def draw_problem(
    seed: int, most_tables: int = 6, most_ranks: int = 64
) -> tuple[Instance, Problem]:
    """Draw a problem under `time` in which every table has an option."""
    for attempt in count():
        rng = np.random.default_rng([seed, attempt])
        cluster = draw_topology(rng, most_ranks)
        cost_model = draw_cost_model(rng, cluster)
        tables = draw_workload(rng, cluster, most_tables)
        instance = Instance(tables, cluster, cost_model)
        target = pick(rng, Target.ANY, Target.ANY, Target.TORCHREC, Target.HUGECTR)
        tiers = bool(rng.random() < 0.3)
        try:
            problem = instance.problem(
                target=target, objective=Objective.TIME, all_tiers=tiers
            )
        except InputError:  # pins leave too few ranks, or the target lacks something
            continue
        if np.diff(problem.options.start).all():
            return instance, problem
    raise AssertionError


def draw_loads(problem: Problem, rng: Rng) -> Floats:
    """Draw what an assignment loads (W, R): places at random, or all in one corner."""
    return problem.loads(draw_assignment(problem, rng)).cost


def draw_assignment(problem: Problem, rng: Rng) -> Assignment:
    """Draw places at random, or as few of them as can be."""
    found = random_assignment(problem, rng)
    if rng.random() < 0.4:
        return found
    menu, first = problem.options, int(rng.integers(problem.world_size))
    places = []
    for bundle, (option, place) in enumerate(
        zip(found.option, found.places, strict=True)
    ):
        legal = problem.group_places(bundle, int(option))
        if not len(place) or menu.scope[option] == Scope.ALL:
            places.append(place)
            continue
        ranks = np.array(
            [problem.place_ranks(int(menu.scope[option]), p).start for p in legal]
        )
        near = legal[np.argsort((ranks - first) % problem.world_size, kind="stable")]
        if menu.same_host[option]:
            near = near[
                problem.cluster.rank_host[near] == problem.cluster.rank_host[near[0]]
            ]
        number = len(place)
        few = near[:number] if problem.apart[option] else np.repeat(near[:1], number)
        places.append(few if len(few) == number else place)
    return type(found)(found.option, tuple(places))


def pressed(pricer: StepPricer, cost: Floats) -> dict[str, float]:
    """Return what presses on each operation (fullest link or slowest rank) [s]."""
    model, work = pricer.model, pricer.work(cost)
    network = Network(model.cluster, model.rates, SimulationSettings.path())
    links = model.rates.collectives
    found = {
        "length_exchange": network.gather_ids(work.length_bytes)[1],
        "id_exchange": network.gather_ids(work.id_bytes)[1],
        "output_all_to_all": network.spread(work.outputs)[1],
        "gradient_all_to_all": network.gather(work.gradients)[1],
    }
    seconds = {
        name: float(links.all_to_all.seconds(traffic).max())
        for name, traffic in found.items()
    }
    for kind, exchange in (
        ("reduce_scatter", work.outputs),
        ("all_gather", work.gradients),
    ):
        for scope, name in reduce_names(kind):
            array = exchange.sums.get(scope)
            seconds[name] = 0.0
            if array is not None:
                ring = network.routes.ring(array, scope)
                seconds[name] = float(links.reduce.seconds(ring).max())
    index = pricer.phases.index(REPLICAS)
    seconds[REPLICAS] = seconds["dense_all_reduce.0"] = float(cost[:, index].max())
    passes = network.runtime.lookup_passes
    for index, name in enumerate(pricer.phases):
        if name not in seconds:
            times = (
                1.0
                if passes is None or name.endswith(("encode", "prefetch"))
                else passes.value
            )
            seconds[name] = float(cost[:, index].max()) * times
    return seconds
