"""Committed coefficients can be had again from the committed measurements."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.io.catalog import load_cost_model, load_network
from shardplan.simulation import step_range
from shardplan.validation.fitting import FITTED

if TYPE_CHECKING:
    from shardplan.records.network import LinkModel

MEASUREMENTS = Path(__file__).resolve().parents[2] / "cost_models" / "measurements"
TOLERANCE = 0.01


@pytest.fixture(scope="module")
def refit() -> dict[str, Any]:
    """The functions of the script beside the measurements."""
    return runpy.run_path(str(MEASUREMENTS / "refit.py"))


def _values(link: LinkModel) -> tuple[float, float, float]:
    return link.latency_s.value, link.bw_efficiency.value, link.exponent.value


REFIT = runpy.run_path(str(MEASUREMENTS / "refit_networks.py"))


@pytest.mark.parametrize("network", REFIT["NETWORKS"])
@pytest.mark.parametrize("operation", REFIT["COLLECTIVES"])
def test_networks_are_the_measurements(network: str, operation: str) -> None:
    """Curves and p-norms of a network follow the NCCL measurements."""
    link = getattr(load_network(network), operation)
    assert _values(link) == pytest.approx(
        REFIT["p_norm"](network, operation), rel=TOLERANCE
    )
    assert [curve.num_ranks for curve in link.curves] == [2, 4, 8]
    for curve in link.curves:
        sent, times, share = REFIT["curve"](network, operation, curve.num_ranks)
        assert curve.bw_efficiency == pytest.approx(share, rel=1e-3)
        assert curve.sent_bytes == pytest.approx(sent.tolist(), rel=1e-3)
        assert curve.time_s == pytest.approx(times.tolist(), rel=1e-3)


@pytest.mark.parametrize("network", REFIT["MESHES"])
def test_meshes_follow_measured_all_reduces(network: str) -> None:
    """A ring in a mesh has the rates that all-reduces of rccl-tests had."""
    expected = REFIT["p_norm"](network, "all_reduce")
    assert _values(load_network(network).reduce) == pytest.approx(
        expected, rel=TOLERANCE
    )


def test_scale_out_fits(refit: dict[str, Any]) -> None:
    """The network of rails follows SimAI's all-to-all and public all-reduces."""
    network = load_network("infiniband-rail")
    expected = refit["fit_scale_out"]()
    assert _values(network.all_to_all) == pytest.approx(expected, rel=TOLERANCE)
    share, exponent = REFIT["reduction_between_hosts"]()
    assert network.reduce.bw_efficiency.value == pytest.approx(share, rel=TOLERANCE)
    assert network.reduce.exponent.value == pytest.approx(exponent, rel=TOLERANCE)


def test_lookup_coefficients(refit: dict[str, Any]) -> None:
    """Lookup efficiencies of the H100 reproduce the measured FBGEMM kernels."""
    model = load_cost_model("h100")
    for name, expected in refit["lookup_coefficients"]().items():
        section = model.lookup if hasattr(model.lookup, name) else model.host_memory
        assert getattr(section, name).value == pytest.approx(expected, rel=TOLERANCE)
    assert model.lookup.sort_s_per_id.value == refit["SORT_S_PER_ID"]


@pytest.mark.long
def test_steps_of_cpus() -> None:
    """The fit can be had again, and follows every measured step, also over hosts."""
    refit = runpy.run_path(str(MEASUREMENTS / "refit_cpu.py"))
    model = load_cost_model("cpu")
    assert refit["constants"](model) == pytest.approx(refit["fit"](), rel=0.03)
    ratio = refit["BACKWARD_OVER_FORWARD"]
    assert model.lookup.backward_efficiency.value == pytest.approx(
        model.lookup.forward_efficiency.value * ratio, rel=TOLERANCE
    )
    steps = refit["steps"]()
    names = [step["name"] for step in steps]
    plans = refit["plans"](model, steps)
    measured = {step["name"]: float(step["step_s"]) for step in steps}
    found = dict(zip(names, refit["times"](model, plans).tolist(), strict=True))
    for name, step, plan in zip(names, steps, plans, strict=True):
        if step["fitted"] == "yes":
            assert found[name] == pytest.approx(measured[name], rel=0.02)
        ends = step_range(plan)
        assert ends is not None
        assert ends[0] < measured[name] < ends[1], name
    # More hosts bring what they were measured to bring.
    for one, more, doublings in (
        ("cpx_1x4", "cpx_4x4", 2),
        ("cpx_4x8", "cpx_8x8", 1),
        ("spr_1x2", "spr_2x2", 1),
        ("spr_1x2", "spr_4x2", 2),
    ):
        predicted = (found[one] / found[more]) ** (1 / doublings)
        gained = (measured[one] / measured[more]) ** (1 / doublings)
        assert predicted == pytest.approx(gained, rel=0.15), (one, more)


def test_gemm_fits(refit: dict[str, Any]) -> None:
    """The launch time is the fit; efficiencies are those at sustained clocks."""
    for device in ("h100", "b200", "b300"):
        efficiency, launch = refit["fit_gemm"](device)
        dense = load_cost_model(device).dense
        assert dense.gemm_launch_s.value == pytest.approx(launch, rel=TOLERANCE)
        assert dense.gemm_efficiency.value == pytest.approx(
            efficiency / 1.15, rel=TOLERANCE
        )
    _, launch = refit["fit_gemm"]("a100")
    dense = load_cost_model("a100").dense
    assert dense.gemm_launch_s.value == pytest.approx(launch, rel=0.03)


@pytest.mark.long
def test_runtime_fits() -> None:
    """Overheads of the runtimes are least squares over the measured steps."""
    fit = runpy.run_path(str(MEASUREMENTS / "refit_steps.py"))["fit"]
    model = load_cost_model("a100")
    for group, constants in FITTED.items():
        found = fit(group)
        for constant in constants:
            shipped = constant.value(model)
            assert shipped == pytest.approx(found[constant.name], rel=0.1), constant
