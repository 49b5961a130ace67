"""Money, energy and goodput of a row."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.studies.columns import DERIVED
from shardplan.studies.derived import derive, why_empty
from shardplan.studies.expand import expand
from shardplan.studies.spec import StudySpec

RESULTS = {
    "hosts": 4,
    "step_time_s": 0.01,
    "throughput_samples_per_s": 1e6,  # 10,000 samples per step
    "checkpoint_bytes": 1e12,
}
NIC = "topology.host_groups.*.scale_out.nic_bw"


def derived(study: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Derive the first point of a study from the results above."""
    spec = StudySpec.of(study)
    return derive(spec, expand(spec)[0], {**RESULTS, **changes})


def reasons(study: dict[str, Any], **changes: Any) -> dict[str, str]:
    """Say what the first point lacks."""
    spec = StudySpec.of(study)
    return why_empty(spec, expand(spec)[0], {**RESULTS, **changes})


def test_nothing_given_nothing_made_up(study: dict[str, Any]) -> None:
    """Without prices and failures all columns are empty, each with its reason."""
    assert set(derived(study).values()) == {None}
    assert list(derived(study)) == [column.name for column in DERIVED]
    found = reasons(study)
    assert found.keys() == derived(study).keys()
    assert found["cost_per_hour"] == '[prices."dgx-h100"] has no per_host_hour'
    assert found["watts"] == '[prices."dgx-h100"] has no watts_per_host'
    assert found["goodput"] == "[failures] is not given"


def test_money_and_energy(study: dict[str, Any]) -> None:
    """4 hosts at 90 an hour and 1 kW each, 1,000 s for 10^9 samples."""
    study["prices"] = {"dgx-h100": {"per_host_hour": 90.0, "watts_per_host": 1000.0}}
    found = derived(study)
    assert found["cost_per_hour"] == 360.0
    assert found["cost_per_step"] == pytest.approx(360.0 / 3600 * 0.01)
    assert found["cost_per_1e9_samples"] == pytest.approx(100.0)
    assert found["watts"] == 4000.0
    assert found["kwh_per_step"] == pytest.approx(4.0 / 3600 * 0.01)
    assert found["kwh_per_1e9_samples"] == pytest.approx(4.0 * 1000 / 3600)
    assert found["cost_per_1e9_goodput_samples"] is None


def test_failures(study: dict[str, Any]) -> None:
    """Without money there still is a goodput; with it, what is lost is paid, too."""
    study["failures"] = {
        "mtbf_hours_per_host": 4000.0,
        "checkpoint_bw": 1e10,
        "restart_s": 360.0,
    }
    found = derived(study)
    # M = 1000 h = 3.6e6 s, d = 100 s: Young's sqrt(2 d M) = 26,833 s.
    assert found["checkpoint_s"] == pytest.approx(100.0)
    assert found["checkpoint_interval_s"] == pytest.approx(26_833, rel=0.005)
    # d / t + (t / 2 + R) / M = 0.0037 + 0.0038
    assert found["goodput"] == pytest.approx(1.0 - 0.0075, abs=2e-4)
    assert found["goodput_samples_per_s"] == pytest.approx(1e6 * found["goodput"])
    assert found["cost_per_1e9_goodput_samples"] is None
    study["prices"] = {"dgx-h100": {"per_host_hour": 90.0}}
    found = derived(study)
    assert found["cost_per_1e9_samples"] == pytest.approx(100.0)
    paid = found["cost_per_1e9_goodput_samples"]
    assert paid == pytest.approx(100.0 / found["goodput"])


def test_nothing_is_ever_finished(study: dict[str, Any]) -> None:
    """A goodput of 0 makes no infinite price."""
    study["failures"] = {"mtbf_hours_per_host": 0.001, "checkpoint_bw": 1e6}
    study["prices"] = {"dgx-h100": {"per_host_hour": 90.0}}
    assert derived(study)["goodput"] == 0.0
    assert derived(study)["cost_per_1e9_goodput_samples"] is None
    reason = reasons(study)["cost_per_1e9_goodput_samples"]
    assert reason == "goodput is 0: failures leave no time to train"


def test_a_point_without_a_plan_has_a_price_by_the_hour(study: dict[str, Any]) -> None:
    """Its hosts are known, its step is not."""
    study["prices"] = {"dgx-h100": {"per_host_hour": 90.0}}
    nothing = dict.fromkeys(RESULTS)
    found = derived(study, **{**nothing, "hosts": 4})
    assert found["cost_per_hour"] == 360.0
    assert found["cost_per_step"] is None
    missing = reasons(study, **nothing)
    assert missing["cost_per_step"] == "the number of hosts is not known"


@pytest.mark.parametrize("name", ["dgx-h100", "dgx-h100:8"])
def test_price_by_either_name(study: dict[str, Any], name: str) -> None:
    """As the study writes the topology, or as the topology is called."""
    study["base"]["topology"] = "dgx-h100:8"
    study["prices"] = {name: {"per_host_hour": 90.0}}
    assert derived(study)["cost_per_hour"] == 360.0


@pytest.mark.parametrize(
    "axis",
    [["400 Gb/s"], [50e9], {"scale": [1.0]}, {"linear": [50e9, 60e9], "step": 1e10}],
)
def test_price_of_a_part(study: dict[str, Any], axis: object) -> None:
    """NICs of 50 GB/s at 1e-9 per byte/s make a host 50 dearer, however written."""
    study["axes"] = {NIC: axis}
    study["prices"] = {
        "dgx-h100": {"per_host_hour": 40.0, "per_host_hour_per": {NIC: 1e-9}}
    }
    assert derived(study)["cost_per_hour"] == pytest.approx(4 * 90.0)
