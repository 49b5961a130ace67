"""Compressed exchanges: closed forms, thresholds, and the two evaluators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardplan.costs.communication.compression import compress
from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import Objective
from shardplan.records.workload import Compression, Workload
from shardplan.simulation import SimulationSettings, simulate
from tests.simulation import conftest as tiny

WIRE = np.array([[2.0, 1.0]])  # s/byte on two classes


def dct(**changes: object) -> Compression:
    """Return a compression to a fourth, in two passes."""
    return Compression.model_validate(
        {"method": "dct", "ratio": 4, "passes": 2, **changes}
    )


def test_closed_form() -> None:
    """100 bytes: a fourth on the wire, 200 through a memory of 10 and 20 bytes/s."""
    found = compress(np.array([100.0]), WIRE, dct(), np.array([10.0, 20.0]))
    assert found.share == pytest.approx(0.25)
    np.testing.assert_allclose(found.encode_s, [[20.0, 10.0]])


@pytest.mark.parametrize(
    ("changes", "memory"),
    [({"threshold_bytes": 101}, 10.0), ({}, 1.0), ({"passes": 16}, 10.0)],
)
def test_plain_where_it_does_not_pay(changes: dict[str, int], memory: float) -> None:
    """Below the threshold, or where encoding takes longer than it saves (150 s)."""
    found = compress(np.array([100.0]), WIRE, dct(**changes), np.full(2, memory))
    assert found.share == pytest.approx(1.0)
    assert not found.encode_s.any()


def test_the_threshold_itself_is_compressed() -> None:
    """At the threshold, and above; nothing below."""
    sizes = np.array([99.0, 100.0, 101.0])
    wire = np.repeat(WIRE, 3, axis=0)
    found = compress(sizes, wire, dct(threshold_bytes=100), np.full(2, 100.0))
    np.testing.assert_allclose(found.share, [1.0, 0.25, 0.25])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    num_bytes=st.floats(0, 1e12),
    ratio=st.floats(1.001, 1e4),
    passes=st.floats(0, 100),
    memory=st.floats(1e6, 1e13),
    threshold=st.integers(0, 10**9),
)
def test_never_longer_than_plain(
    num_bytes: float, ratio: float, passes: float, memory: float, threshold: int
) -> None:
    """On the slowest class, a compressed message takes less time than a plain one."""
    chosen = dct(ratio=ratio, passes=passes, threshold_bytes=threshold)
    found = compress(np.array([num_bytes]), WIRE, chosen, np.full(2, memory))
    time = num_bytes * found.share[:, None] * WIRE + found.encode_s
    assert time.max() <= num_bytes * WIRE.max() * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_both_evaluators_compress_alike(seed: int) -> None:
    """The bare step is the objective, and compression never makes it longer."""
    plan = tiny.random_plan(seed)
    values = {
        "forward_compression": dct(threshold_bytes=3000),
        "backward_compression": dct(ratio=20),
    }
    dtypes = plan.inputs.workload.comm_dtypes.replace(**values)
    work: Workload = plan.inputs.workload.replace(comm_dtypes=dtypes)
    inputs = plan.inputs
    other = tiny.make_plan(work, inputs.topology, inputs.cost_model, plan.tables)
    value = evaluate(other).value(Objective.STEP)
    bare = simulate(other, SimulationSettings.bare())
    assert bare.step_time_s == pytest.approx(value, rel=1e-12)
    assert value <= evaluate(plan).value(Objective.STEP) * (1 + 1e-12)


def test_volumes_shrink_on_the_links() -> None:
    """Outputs of 3200 B in a fourth: 400 of 1600 B leave, after 0.64 us of encoding."""
    work = tiny.workload([1, 1])
    dtypes = work.comm_dtypes.replace(forward_compression=dct())
    group = tiny.host_group(num_hosts=2)
    group["device"]["hbm_bw"] = 1e10
    plan = tiny.make_plan(
        work.replace(comm_dtypes=dtypes),
        tiny.topology(group),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )
    rows = {row.name: row for row in simulate(plan).phases}
    assert rows["output_all_to_all"].max_s == pytest.approx(400e-9)
    assert rows["output_encode"].max_s == pytest.approx(640e-9)
    assert "gradient_encode" not in rows
