"""Times of operations from measured curves and from formulas."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.communication.link_time import (
    efficiency,
    first_time,
    link_time,
    measured_ranks,
)
from shardplan.costs.communication.message_time import p_norm_time
from shardplan.io.catalog import load_network, names

LINE = 1e12


def _link(**shares: float) -> object:
    """Return a link with curves of 1 ms plus bytes, for ranks by name (r2=0.5)."""
    link = load_network("infiniband-rail").all_to_all
    sizes = (1e3, 1e6, 1e9)
    curves = [
        {
            "num_ranks": int(ranks[1:]),
            "line_bw": LINE,
            "bw_efficiency": share,
            "sent_bytes": sizes,
            "time_s": [1e-3 + size / (share * LINE) for size in sizes],
            "source": "assumed",
        }
        for ranks, share in shares.items()
    ]
    return link.replace(curves=curves)


def test_a_curve_is_met_at_its_points() -> None:
    """Bytes that take x seconds without latency take the measured time of them."""
    link = _link(r2=0.5)
    found = link_time(np.array([1e6, 1e9]) / (0.5 * LINE), link, 2, 1e-3)
    alpha = first_time(link, 2)
    assert alpha == pytest.approx(1e-3 + 2e-9)
    assert found == pytest.approx(
        [2e-6 + 1e-3 + 1e-3 - alpha, 2e-3 + 1e-3 + 1e-3 - alpha]
    )


def test_between_and_beyond_measured_ranks() -> None:
    """4 of 2 and 8 ranks are half of the way; beyond 8, the share of 8 holds."""
    link = _link(r2=0.25, r8=0.5)
    assert efficiency(link, 4) == pytest.approx((0.25 * 0.5) ** 0.5)
    assert efficiency(link, 64) == efficiency(link, 8) == pytest.approx(0.5)
    assert efficiency(link, 1) == pytest.approx(0.25)
    assert measured_ranks(link, 99) == 8
    # Seconds of bytes are those at each curve's own share: 1 s at either.
    assert link_time(np.array([1.0]), link, 4, 1e-3) == pytest.approx(1.001, rel=1e-4)


def test_without_curves_the_formula_holds() -> None:
    """A link without curves blends latency and bytes."""
    link = load_network("infiniband-rail").all_to_all
    x = np.array([1e-5, 1e-3])
    expected = p_norm_time(x, 3e-5, 1.0, link.exponent.value)
    assert link_time(x, link, 16, 3e-5) == pytest.approx(expected)
    assert efficiency(link, 16) == link.bw_efficiency.value
    assert measured_ranks(link, 99) == 99


@pytest.mark.parametrize("name", names("networks"))
def test_no_operation_beats_its_bandwidth(name: str) -> None:
    """Times rise with bytes and are never below bytes over the rate that prices use."""
    network = load_network(name)
    seconds = np.logspace(-8, 1, 200)
    for link in (network.all_to_all, network.reduce, network.all_reduce):
        for ranks in () if link is None else (2, 3, 4, 6, 8, 64):
            found = link_time(seconds, link, ranks, first_time(link, ranks))
            assert (np.diff(found) >= 0).all()
            assert (found >= seconds * (1 - 1e-12)).all()
