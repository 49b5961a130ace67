"""Loads of links, against following every pair of ranks byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.communication.latency import link_latency
from shardplan.costs.communication.link_rates import nic_ports
from shardplan.costs.communication.routing import routes_of
from shardplan.costs.scopes import Scope
from tests.costs.communication.link_oracle import (
    LinkCapacities,
    all_to_all_v_link_times,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.link_rates import LinkRates
    from shardplan.costs.communication.routing import Routes
    from shardplan.records.cost_model import CostModel

RAILS = {"nics_per_host": 4, "nic_bw": 1e10, "rail_optimized": True}
SHARED_RAILS = {"nics_per_host": 2, "nic_bw": 1e10, "rail_optimized": True}
NO_SCALE_UP = {"kind": "none"}
LEAFS = {"hosts_per_leaf": 2, "oversubscription": 4.0}


def followed(routes: Routes, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow each pair: loads by rank (3, 2, W) and by uplink (2, U)."""
    cluster = routes.cluster
    world = cluster.world_size
    loads, uplink = np.zeros((3, 2, world)), np.zeros((2, routes.num_uplinks))
    host, domain = cluster.rank_host, cluster.rank_domain
    for i in range(world):
        for j in range(world):
            if i == j:
                continue
            kind = 0 if domain[i] == domain[j] else 1 if host[i] == host[j] else 2
            gate = i
            if kind == 2 and routes.forwards:
                gate = int(cluster.host_first_rank[host[i]] + routes.position[j])
            if gate != i:
                loads[0, 0, i] += matrix[i, j]
                loads[0, 1, gate] += matrix[i, j]
            loads[kind, 0, gate] += matrix[i, j]
            loads[kind, 1, j] += matrix[i, j]
            if kind == 2 and routes.leaf[gate] != routes.leaf[j]:
                uplink[0, routes.leaf[gate]] += matrix[i, j]
                uplink[1, routes.leaf[j]] += matrix[i, j]
    return loads, uplink


@pytest.fixture
def railed(
    make_cluster: Callable[..., Cluster], shapes: dict[str, Cluster]
) -> dict[str, Cluster]:
    """All shapes, and clusters with rails."""
    wide = {"kind": "switch", "domain_size": 8, "bw": 1e11}
    return {
        **shapes,
        "rails": make_cluster(scale_out=RAILS),
        "rails_leafs": make_cluster(num_hosts=5, scale_out=RAILS, fabric=LEAFS),
        "rails_shared": make_cluster(num_hosts=4, scale_out=SHARED_RAILS, fabric=LEAFS),
        "rails_pcie": make_cluster(
            num_hosts=3, scale_out=RAILS, scale_up=NO_SCALE_UP, fabric=LEAFS
        ),
        "rails_wide": make_cluster(
            num_hosts=6, scale_out=RAILS, scale_up=wide, fabric=LEAFS
        ),
    }


SHAPES = [
    *("switch", "one_host", "mesh", "pairs", "pcie", "wide", "leafs", "uneven_leafs"),
    *("cpu", "mixed", "rails", "rails_leafs", "rails_shared", "rails_pcie"),
    "rails_wide",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_loads_are_those_of_every_pair(
    railed: dict[str, Cluster], shape: str, seed: int
) -> None:
    """Sums over groups equal following each pair, both ways."""
    routes = routes_of(railed[shape])
    world = railed[shape].world_size
    sent = np.random.default_rng(seed).exponential(size=world)
    matrix = np.repeat(sent[:, None] / world, world, axis=1)
    for traffic, pairs in (
        (routes.spread(sent), matrix),
        (routes.gather(sent), matrix.T),
    ):
        loads, uplink = followed(routes, pairs)
        np.testing.assert_allclose(traffic.by_rank, loads, atol=1e-12)
        np.testing.assert_allclose(traffic.uplink, uplink, atol=1e-12)


@pytest.mark.parametrize("shape", ["switch", "leafs", "rails_leafs", "rails_pcie"])
def test_sums_of_a_host_stay_on_their_rail(
    railed: dict[str, Cluster], shape: str
) -> None:
    """After reducing in hosts, ranks at the same position exchange, on one rail."""
    routes = routes_of(railed[shape])
    cluster = railed[shape]
    sent = np.random.default_rng(0).exponential(size=cluster.num_hosts)
    each = sent[cluster.rank_host]
    peers = routes.position[:, None] == routes.position
    matrix = np.where(peers, each[:, None] / cluster.num_hosts, 0.0)
    for traffic, pairs in (
        (routes.spread(each, Scope.HOST), matrix),
        (routes.gather(each, Scope.HOST), matrix.T),
    ):
        loads, uplink = followed(routes, pairs)
        np.testing.assert_allclose(traffic.by_rank, loads, atol=1e-12)
        np.testing.assert_allclose(traffic.uplink, uplink, atol=1e-12)


PAIRS = {"kind": "switch", "domain_size": 2, "bw": 1e11}
WIDE = {"kind": "switch", "domain_size": 8, "bw": 1e11}


@pytest.mark.parametrize("name", ["domain", "half", "rack"])
@pytest.mark.parametrize(
    "changes",
    [
        {"scale_up": PAIRS},
        {"fabric": LEAFS},
        {"fabric": LEAFS, "scale_out": RAILS},
        {"fabric": LEAFS, "scale_out": RAILS, "scale_up": PAIRS},
        {"fabric": LEAFS, "scale_out": RAILS, "scale_up": NO_SCALE_UP},
        {"fabric": LEAFS, "scale_out": SHARED_RAILS, "scale_up": PAIRS},
        {"fabric": LEAFS, "scale_out": RAILS, "scale_up": WIDE},
    ],
)
def test_sums_of_a_group_go_to_one_rank_of_each(
    make_cluster: Callable[..., Cluster],
    changes: dict[str, Any],
    name: str,
    half: Scope,
    rack: Scope,
) -> None:
    """After reducing in any groups, ranks at the same position in them exchange."""
    cluster = make_cluster(num_hosts=6, **changes)
    scope = {"domain": Scope.DOMAIN, "half": half, "rack": rack}[name]
    groups, routes = cluster.groups(scope), routes_of(cluster)
    count = len(groups.num_ranks)
    each = np.random.default_rng(0).exponential(size=count)[groups.of_rank]
    position = np.arange(cluster.world_size) - groups.start
    peers = position[:, None] == position
    matrix = np.where(peers, each[:, None] / count, 0.0)
    for traffic, pairs in (
        (routes.spread(each, scope), matrix),
        (routes.gather(each, scope), matrix.T),
    ):
        loads, uplink = followed(routes, pairs)
        np.testing.assert_allclose(traffic.by_rank, loads, atol=1e-12)
        np.testing.assert_allclose(traffic.uplink, uplink, atol=1e-12)


@pytest.mark.parametrize("shape", ["switch", "mesh", "pcie", "leafs", "mixed"])
def test_seconds_are_those_of_the_matrix(
    railed: dict[str, Cluster], shape: str, cost_model: CostModel
) -> None:
    """Without rails, the fullest link is that of the explicit matrix."""
    cluster = railed[shape]
    routes = routes_of(cluster)
    rates = Collectives.of(cluster, cost_model).all_to_all
    world = cluster.world_size
    sent = np.random.default_rng(1).exponential(size=world)
    capacities = vars(LinkCapacities.of(cluster, cost_model))
    matrix = np.repeat(sent[:, None] / world, world, axis=1)
    by_kind = all_to_all_v_link_times(matrix, **capacities)
    by_kind["nic"] = _ports(cluster, rates, matrix)
    lane = np.maximum(*(routes.spread(sent).by_rank[1:].sum(axis=0))) / rates.lane
    expected = max([*by_kind.values(), *lane])
    assert rates.seconds(routes.spread(sent)).max() == pytest.approx(expected)


def _ports(cluster: Cluster, rates: LinkRates, matrix: np.ndarray) -> float:
    """Seconds of the fullest NIC, out or in, one per rank or shared."""
    far = cluster.rank_host[:, None] != cluster.rank_host
    count = len(rates.nic)
    ways = [(matrix * far).sum(axis=1), (matrix * far).sum(axis=0)]
    loads = [np.bincount(rates.port, way, count) for way in ways]
    return float((np.max(loads, axis=0) / rates.nic).max())


def test_rails_even_out_what_a_host_sends(railed: dict[str, Cluster]) -> None:
    """One rank sends 8 bytes to 8: its 4 leave on four NICs, 3 of them by NVLink."""
    sent = np.zeros(8)
    sent[0] = 8.0
    rails = routes_of(railed["rails"]).spread(sent)
    np.testing.assert_allclose(rails.nic[0], [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(rails.scale_up[0], [3 + 3, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(rails.scale_up[1], [0, 2, 2, 2, 0, 0, 0, 0])
    none = routes_of(railed["switch"]).spread(sent)
    np.testing.assert_allclose(none.nic[0], [4, 0, 0, 0, 0, 0, 0, 0])


def test_what_a_rank_receives_has_one_rail(railed: dict[str, Cluster]) -> None:
    """Forwarding is the sender's: 4 bytes for rank 0 arrive on its own NIC."""
    received = np.zeros(8)
    received[0] = 8.0
    rails = routes_of(railed["rails"]).gather(received)
    np.testing.assert_allclose(rails.nic[1], [4, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(rails.nic[0], [0, 0, 0, 0, 4, 0, 0, 0])


def test_rails_keep_bytes_below_the_spine(make_cluster: Callable[..., Cluster]) -> None:
    """Two hosts under one group of leafs: no spine with NVLink, 3 of 4 bytes without.

    Of 8 bytes from each rank 4 go to the other host, one of them on the own rail.
    """
    sent = np.full(8, 8.0)
    assert routes_of(make_cluster(scale_out=RAILS)).spread(sent).uplink.size == 0
    pcie = make_cluster(scale_out=RAILS, scale_up=NO_SCALE_UP)
    np.testing.assert_allclose(routes_of(pcie).spread(sent).uplink, np.full((2, 4), 6))


def test_oversubscription_slows_what_passes_the_spine(
    make_cluster: Callable[..., Cluster], cost_model: CostModel
) -> None:
    """Cross-rail traffic without NVLink pays for it; with NVLink it does not."""
    sent = np.full(8, 8.0)

    def seconds(**changes: Any) -> float:
        cluster = make_cluster(scale_out=RAILS, **changes)
        collectives = Collectives.of(cluster, cost_model)
        traffic = collectives.routes.spread(sent)
        return float(collectives.all_to_all.seconds(traffic).max())

    slow, fast = {"oversubscription": 8.0}, {"oversubscription": 1.0}
    assert seconds(fabric=slow) == seconds(fabric=fast)
    apart = {"scale_up": NO_SCALE_UP}
    # Two ranks of 3 bytes on a leaf of 10 GB/s NICs at 0.5, an eighth of it up.
    expected = 6 / (2 * 1e10 * 0.5 / 8)
    assert seconds(fabric=slow, **apart) == pytest.approx(expected)
    assert seconds(fabric=fast, **apart) < expected


def test_ports(make_cluster: Callable[..., Cluster]) -> None:
    """Ranks have NICs of their own, share one, or all of the host's."""
    for nics, ports, rate in ((8, 4, 2), (4, 4, 1), (2, 2, 1), (3, 1, 3)):
        out = {"nics_per_host": nics, "nic_bw": 1e9}
        port, bandwidth = nic_ports(make_cluster(scale_out=out))
        assert len(bandwidth) == 2 * ports
        assert bandwidth.tolist() == [rate * 1e9] * (2 * ports)
        assert np.bincount(port).tolist() == [4 // ports] * (2 * ports)


def test_nics_behind_the_host_use_its_pcie_links(
    make_cluster: Callable[..., Cluster], cost_model: CostModel
) -> None:
    """One fast NIC for two PCIe links: what leaves passes the link of two ranks."""
    out = {"nics_per_host": 1, "nic_bw": 1e12}
    cluster = make_cluster(scale_out=out)
    routes = routes_of(cluster)
    rates = Collectives.of(cluster, cost_model).all_to_all
    seconds = rates.seconds(routes.spread(np.full(8, 8.0)))
    # 2 ranks of 4 bytes each on a link of 20 GB/s at 0.8.
    np.testing.assert_allclose(seconds, 8 / (0.8 * 2e10))
    assert rates.fullest(routes.spread(np.full(8, 8.0))) == ("PCIe link", 0)
    assert rates.fullest(routes.spread(np.zeros(8))) is None


def test_a_mesh_has_links_of_its_own_to_each_peer(
    make_cluster: Callable[..., Cluster],
) -> None:
    """Hosts of 4 in a mesh of 8 reduce 8 bytes: 6 of them on 3 links, as 14 on 7."""
    mesh = {"kind": "mesh", "domain_size": 8, "bw": 9e10}
    routes = routes_of(make_cluster(scale_up=mesh))
    array = np.full(8, 8.0)
    assert routes.ring(array, Scope.HOST).scale_up.tolist() == [[14.0] * 8] * 2
    assert routes.ring(array, Scope.DOMAIN).scale_up.tolist() == [[7.0] * 8] * 2


def test_rings_by_hand(make_cluster: Callable[..., Cluster]) -> None:
    """Two hosts of four ranks reduce 8 bytes: 3/4 inside, 1/4 - 1/8 between hosts."""
    routes = routes_of(make_cluster())
    array = np.full(8, 8.0)
    scale_up, _, nic = routes.ring(array, Scope.ALL).by_rank
    assert scale_up.tolist() == [[6.0] * 8] * 2
    assert nic.tolist() == [[1.0] * 8] * 2
    _, _, nic = routes.ring(array, Scope.ALL, adds_up=True).by_rank
    assert nic.tolist() == [[1.0] * 8] * 2  # half of 1/4
    _, _, nic = routes.ring(array, Scope.HOST).by_rank
    assert nic.tolist() == [[0.0] * 8] * 2


def test_latency_of_the_topology_counts(
    make_cluster: Callable[..., Cluster], cost_model: CostModel
) -> None:
    """Own latency in place of the measured one; the spine's is added."""
    model = cost_model.collectives
    link = model.all_to_all_scale_out
    measured = link.replace(
        link_latency_s=link.latency_s.replace(value=2e-6, source="made up")
    )
    out = {"nics_per_host": 4, "nic_bw": 1e10, "latency_s": 5e-6}
    cluster = make_cluster(scale_out=out)

    def latency(link: Any, cluster: Cluster) -> float:
        return link_latency(link, cluster, model, 1, leaves=True, rounds=2.0)

    assert latency(link, cluster) == pytest.approx(1e-5)
    assert latency(measured, cluster) == pytest.approx(1e-5 + 2 * 3e-6)
    spine = {"hosts_per_leaf": 1, "spine_latency_s": 1e-6}
    far = make_cluster(scale_out=out, fabric=spine)
    assert latency(measured, far) == pytest.approx(1e-5 + 2 * 4e-6)
    unknown = make_cluster(scale_out={**out, "latency_s": 0.0})
    assert latency(measured, unknown) == pytest.approx(1e-5)
