"""The report of `shardplan validate` on narrow pages and with long ids."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.report.layout import to_text
from shardplan.report.validation import render_validation
from shardplan.validation import load_measurements, validate_model

LONG = "mlperf.dcnv2.h100_16x8_some_vendor_with_a_long_name_b135168_v41"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """Steps with long ids, a curve, a capacity, and one that is only shown."""
    found = {m.id: m for m in load_measurements()}
    step = found["mlperf.dcnv2.a100_1x8_b55296_v30"]
    shown = found["tbe.unnamed.hbm.d16"]
    curve = found["nccl.all_reduce.a100.x8"]
    measurements = [
        step.replace(id=LONG),
        step.replace(id=LONG + "_b", step_s=1.0),
        curve.replace(id="nccl2292." * 5 + "x8"),
        found["capacity.h100"],
        shown,
    ]
    return validate_model(measurements).to_dict()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_long_ids_are_folded(data: dict[str, Any], width: int) -> None:
    """No line is too wide, and limits and errors stay on one line, whole."""
    text = to_text(render_validation(data), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "8 %" in text
    if width >= 80:
        assert any("30 %, mean 10 %" in line for line in lines)
        [missed] = [line for line in lines if "1.000 s" in line]
        assert "-99.3 %" in missed
        assert missed.rstrip().endswith("NO")


def test_what_is_only_shown(data: dict[str, Any]) -> None:
    """Low confidence neither passes nor fails, and is counted apart."""
    text = to_text(render_validation(data), 100)
    assert "only shown    1 of low confidence" in text
    [row] = [line for line in text.splitlines() if line.startswith(" tbe.unnamed")]
    assert row.rstrip().endswith("-")
    group = data["groups"]["embedding-kernel-l2"]
    assert (group["measurements"], group["passed"], group["only_shown"]) == (0, 0, 1)
    assert "85.5 GB" in text


def test_no_fit_without_the_shipped_measurements(data: dict[str, Any]) -> None:
    """A user's own measurements are never fitted to, and the report says so."""
    text = to_text(render_validation(data), 100)
    assert "took no part in a fit" in text
    assert "left out" not in text


def test_ranges(data: dict[str, Any]) -> None:
    """A range shows both ends; what lies in it is off by nothing, the rest is not."""
    box = next(m for m in load_measurements() if "h100pcie" in m.id)
    found = [box, box.replace(id="outside", step_s=0.2)]
    box_data = validate_model(found).to_dict()
    text = to_text(render_validation(box_data), 80)
    [inside] = [line for line in text.splitlines() if "37.589 ms" in line]
    assert " to " in inside
    assert "in range" in inside
    [outside] = [line for line in text.splitlines() if "200.000 ms" in line]
    assert "-7" in outside
    assert outside.rstrip().endswith("NO")
    assert all(m["values"][0]["range"] is None for m in data["measurements"])
