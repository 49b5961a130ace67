"""Effective rates of ranks: peaks, efficiencies and shares."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.rates import ClassRates
from shardplan.costs.scopes import Scope
from tests.helpers import CLUSTERS, COST_MODEL, host_group, topology

SLOW_NICS = {"nics_per_host": 4, "nic_bw": 1e9}


def rates_of(name: str) -> ClassRates:
    return ClassRates.of(Cluster.of(CLUSTERS[name]), COST_MODEL)


def test_rates_of_a_gpu_host() -> None:
    """Every rate is a peak, times its efficiency, over the ranks that share it."""
    rates = rates_of("one_host")
    assert rates.forward_bw.tolist() == [0.8e12]  # 1 TB/s * 0.8
    assert rates.backward_bw.tolist() == [0.5e12]  # 1 TB/s * 0.5
    # A link of 20 GB/s for 2 ranks: 10 * 0.5 and 10 * 0.4 GB/s; reads in place would
    # reach 10 * 0.8, but no more than copies do; the rank's quarter of the host's
    # 80 GB/s * 0.8 is 16 GB/s and does not bind.
    assert rates.uvm_forward_bw.tolist() == [4e9]
    assert rates.uvm_backward_bw.tolist() == [5e9]
    assert rates.miss_bw.tolist() == [4e9]
    # Half of the SSD's rates, over 4 ranks.
    assert rates.ssd_iops.tolist() == [5e4]
    assert rates.ssd_read_bw.tolist() == [5e8]
    assert rates.ssd_write_bw.tolist() == [2.5e8]


def test_reads_of_ssds_have_an_efficiency_of_their_own() -> None:
    """A tenth of the IOPS; the bandwidth keeps half."""
    half = COST_MODEL.host_memory.ssd_efficiency
    host = COST_MODEL.host_memory.replace(
        ssd_iops_efficiency=half.model_copy(update={"value": 0.1})
    )
    model = COST_MODEL.replace(host_memory=host)
    rates = ClassRates.of(Cluster.of(CLUSTERS["one_host"]), model)
    assert rates.ssd_iops == pytest.approx([1e4])
    assert rates.ssd_read_bw.tolist() == [5e8]


def test_host_memory_may_be_narrower_than_pcie() -> None:
    """Four ranks on a host of 16 GB/s get 16 * 0.8 / 4 = 3.2 GB/s each."""
    host = {**host_group()["host"], "ddr_bw": 1.6e10}
    rates = ClassRates.of(Cluster.of(topology(host=host)), COST_MODEL)
    assert rates.uvm_forward_bw == pytest.approx([3.2e9])
    assert rates.miss_bw == pytest.approx([3.2e9])


def test_cpu_ranks_share_their_hosts_memory() -> None:
    """80 GB/s * 0.8 over 4 ranks, times the lookup's own efficiency."""
    rates = rates_of("cpu")
    assert rates.is_cpu
    assert rates.forward_bw == pytest.approx([16e9 * 0.8])
    assert rates.backward_bw == pytest.approx([16e9 * 0.5])


def test_classes_of_a_mixed_cluster_differ() -> None:
    """The second group has half the memory bandwidth, but as much PCIe per rank."""
    rates = rates_of("mixed")
    assert rates.forward_bw.tolist() == [0.8e12, 0.4e12]
    assert rates.uvm_forward_bw.tolist() == [4e9, 4e9]
    assert rates.ssd_iops.tolist() == [5e4, 1e5]


def test_exchange_inside_a_host() -> None:
    """3/4 of every byte leaves the rank over 100 GB/s * 0.8."""
    rates = rates_of("one_host")
    expected = 0.75 / 0.8e11
    np.testing.assert_allclose(rates.all_to_all, expected)
    for scope in (Scope.ALL, Scope.HOST, Scope.DOMAIN):
        np.testing.assert_allclose(rates.reduce_scatter[scope], expected)
    np.testing.assert_allclose(rates.across_groups[Scope.HOST], 0.0)


def test_exchange_between_hosts() -> None:
    """NICs bind: half of every byte leaves the host at 10 GB/s * 0.5 per rank."""
    rates = rates_of("two_hosts")
    np.testing.assert_allclose(rates.all_to_all, 0.5 / 5e9)
    # After the reduce-scatter in a host a rank has 1/4, and half of it leaves.
    np.testing.assert_allclose(rates.across_groups[Scope.HOST], 0.5 / 4 / 5e9)
    np.testing.assert_allclose(rates.reduce_scatter[Scope.HOST], 0.75 / 0.8e11)


def test_one_rank_exchanges_nothing() -> None:
    """All communication of a single rank is free."""
    rates = rates_of("one_rank")
    assert rates.all_to_all.tolist() == [0.0]
    assert rates.reduce_scatter[Scope.ALL].tolist() == [0.0]


def test_half_a_host_and_two_hosts_by_hand(half: Scope, rack: Scope) -> None:
    """A scope that was added is priced like those that are shipped."""
    rates = ClassRates.of(Cluster.of(topology(num_hosts=4)), COST_MODEL)
    # Half of the array to the other rank by scale-up; of the other half, 12/16 leave
    # the host by a NIC of 10 GB/s at 0.5.
    np.testing.assert_allclose(rates.reduce_scatter[half], 0.5 / 0.8e11)
    np.testing.assert_allclose(rates.across_groups[half], 0.5 * 12 / 16 / 5e9)
    # 3/4 by scale-up, and beside it 1/4 - 1/8 between the two hosts; then an eighth to
    # the other half of the ranks.
    np.testing.assert_allclose(rates.reduce_scatter[rack], (1 / 4 - 1 / 8) / 5e9)
    np.testing.assert_allclose(rates.across_groups[rack], 1 / 8 * 8 / 16 / 5e9)
    # A rank alone reduces nothing; all ranks have nothing left to exchange.
    np.testing.assert_array_equal(rates.reduce_scatter[Scope.RANK], 0.0)
    np.testing.assert_array_equal(rates.across_groups[Scope.RANK], rates.all_to_all)
    np.testing.assert_array_equal(rates.across_groups[Scope.ALL], 0.0)


def test_a_group_under_two_leafs_shares_their_uplinks(rack: Scope) -> None:
    """Racks of two hosts under leafs of three: one of three racks crosses."""
    fabric = {"hosts_per_leaf": 3, "oversubscription": 6.0}
    cluster = Cluster.of(topology(num_hosts=6, fabric=fabric))
    rates = ClassRates.of(cluster, COST_MODEL)
    # Its ring enters each leaf with the flow of one host; the uplink has half of that.
    np.testing.assert_allclose(rates.reduce_scatter[rack], 2 * (1 / 4 - 1 / 8) / 5e9)
    aligned = topology(num_hosts=6, fabric={**fabric, "hosts_per_leaf": 2})
    own = ClassRates.of(Cluster.of(aligned), COST_MODEL)
    np.testing.assert_allclose(own.reduce_scatter[rack], (1 / 4 - 1 / 8) / 5e9)


def test_classes_in_one_group_wait_for_the_slowest(rack: Scope) -> None:
    """A fast host with slow ones in its rack reduces at their pace."""
    fast, slow = host_group("new"), host_group("old", scale_out=SLOW_NICS)
    rates = ClassRates.of(Cluster.of(topology(fast, slow)), COST_MODEL)
    np.testing.assert_allclose(rates.reduce_scatter[rack], [1 / 8 / 0.5e9] * 2)
    np.testing.assert_allclose(rates.reduce_scatter[Scope.HOST], [0.75 / 0.8e11] * 2)
