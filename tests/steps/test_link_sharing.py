"""Amounts of all-to-alls from the mean loads of ranks that share links."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective
from shardplan.steps.link_sharing import ALL_TO_ALLS, all_to_alls, link_sharing
from shardplan.steps.network import Network
from shardplan.steps.settings import SimulationSettings
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    one_host,
    random_assignment,
    topology,
)

SHARED = topology(num_hosts=2, scale_out={"nics_per_host": 2, "nic_bw": 1e10})
"""Two ranks on every NIC."""
EXACT = (
    *("one_host", "two_hosts", "pairs", "cpu"),
    *("dgx-h100", "h100-pcie", "zionex", "gb200-nvl72", "a100-pcie-box"),
)


def _problem(name):
    workload = one_host().workload
    if name in CLUSTERS or name == "shared":
        cluster = CLUSTERS.get(name, SHARED)
        return build_problem(workload, cluster, COST_MODEL, objective=Objective.TIME)
    cluster = catalog.load_topology(name, 2)
    model = catalog.load_cost_model(cluster.cost_model)
    return build_problem(workload, cluster, model, objective=Objective.TIME)


def _sharing(problem):
    return link_sharing(problem.pricer, problem.options.item_cost.any(axis=(0, 1)))


def _amount(problem, sharing, operation, cost):
    """The largest mean of a group, over all kinds of links."""
    column = problem.pricer.phases.index(operation)
    found = [0.0]
    for links in sharing:
        for own, weight in zip(links.exchange, links.weight, strict=True):
            if own == column:
                load = (cost * weight[problem.cluster.rank_class]).sum(axis=1)
                found += list(np.bincount(links.of_rank, load) / links.size)
    return max(found)


def _exact(problem, cost):
    model = problem.pricer.model
    network = Network(model.cluster, model.rates, SimulationSettings.path())
    work, rates = problem.pricer.work(cost), network.rates.collectives.all_to_all
    return {
        one.name: float(rates.seconds(one.carried(work)).max())
        for one in all_to_alls(network)
    }


@pytest.mark.parametrize("name", [*EXACT, "shared"])
def test_is_the_fullest_link(name):
    """Of random plans each all-to-all has the amount that its links carry."""
    problem, rng = _problem(name), np.random.default_rng(0)
    sharing = _sharing(problem)
    for _ in range(6):
        cost = problem.loads(random_assignment(problem, rng)).cost
        for operation, expected in _exact(problem, cost).items():
            found = _amount(problem, sharing, operation, cost)
            assert found == pytest.approx(expected, rel=1e-9)


def test_ranks_on_one_nic_count_together():
    """Where two ranks share a NIC there are half as many groups as ranks."""
    for links in _sharing(_problem("shared")):
        np.testing.assert_array_equal(links.of_rank, np.arange(8) // 2)
        np.testing.assert_array_equal(links.size, 2.0)


def test_hosts_that_forward_send_over_all_nics():
    """With rails outputs count by hosts, what a rank receives by ranks."""
    problem = _problem("dgx-h100")
    phases, groups = problem.pricer.phases, {name: set() for name in ALL_TO_ALLS}
    for links in _sharing(problem):
        for own in links.exchange:
            groups[phases[own]].add(len(links.size))
    assert 2 in groups["output_all_to_all"]
    assert groups["gradient_all_to_all"] == groups["id_exchange"] == {16}


def test_nothing_is_sent_by_a_single_rank():
    """One rank waits for no link."""
    assert _sharing(_problem("one_rank")) == ()


@pytest.mark.parametrize("name", ["mixed", "cut_off"])
def test_groups_that_differ_are_near(name):
    """Where groups are not alike, amounts are within half of what links carry."""
    problem, rng = _problem(name), np.random.default_rng(1)
    sharing = _sharing(problem)
    for _ in range(4):
        cost = problem.loads(random_assignment(problem, rng)).cost
        for operation, expected in _exact(problem, cost).items():
            found = _amount(problem, sharing, operation, cost)
            assert 0.5 * expected <= found <= 1.5 * expected


def test_probes_every_class():
    """Loads of ranks of both classes of a mixed cluster have weights."""
    problem = _problem("mixed")
    for links in _sharing(problem):
        assert links.weight.shape[1] == 2
        assert (links.weight.max(axis=2) > 0).all()
