"""Predictions against the shipped measurements, and the pins of predictions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from shardplan.cli.main import cli
from shardplan.errors import InputError
from shardplan.io.catalog import folder
from shardplan.simulation import SimulationSettings, simulate
from shardplan.validation import load_measurements, validate_model
from shardplan.validation.predict import Value, measured_plan, predict
from shardplan.validation.records import MeasurementFile
from shardplan.validation.statistics import (
    Sized,
    generation_bias,
    kendall_tau,
    scaling,
    scaling_shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shardplan.validation import Validation

MEASUREMENTS = load_measurements()


@pytest.fixture(scope="module")
def validation() -> Validation:
    """The shipped measurements and their predictions."""
    return validate_model(MEASUREMENTS, shipped=True)


@pytest.fixture(scope="module")
def report(validation: Validation) -> dict[str, Any]:
    """What the command reports of them."""
    return validation.to_dict()


@pytest.mark.parametrize("index", range(len(MEASUREMENTS)), ids=lambda i: str(i))
def test_every_measurement_is_met(validation: Validation, index: int) -> None:
    """Each prediction is within the measurement's tolerance."""
    outcome = validation.outcomes[index]
    assert outcome.passed is not False, outcome.to_dict()


def test_a_saving_is_the_difference_of_two_steps() -> None:
    """With every id sent and with each once; the plan and all else stay."""
    (case,) = (m for m in MEASUREMENTS if m.id == "mlperf.dlrm_v4.mi350x_1x8_dedup")
    (saved,) = predict(case)
    plain, once = (predict(case.step(dedup=dedup))[0] for dedup in (False, True))
    assert (plain.measured, once.measured) == (0.9416, 0.8057)
    assert saved.predicted == pytest.approx(plain.predicted - once.predicted)
    assert saved.measured == pytest.approx(0.1359)


def test_state_of_cached_rows_is_updated_in_host_memory() -> None:
    """Adam's backward of the shipped case of a cache was measured to take 11.0 ms."""
    (case,) = (m for m in MEASUREMENTS if m.id == "tbe.h100.uvm_caching.sgd.cfr1.0")
    backward = predict(case.replace(optimizer="adam"))[1]
    assert backward.label == "backward"
    assert backward.predicted == pytest.approx(11.0e-3, rel=0.15)


@pytest.mark.parametrize(
    ("group", "mean", "worst"),
    [
        ("mlperf-dcnv2", 0.04, 0.12),
        ("hstu", 0.10, 0.15),
        ("sequence-exchange", 0.15, 0.20),
        ("cpu", 0.0, 0.0),
        ("nccl", 0.10, 0.35),
        ("nccl-hosts", 0.16, 0.51),
        ("nccl-domain", 0.15, 0.30),
        ("simai-all-to-all", 0.15, 0.15),
        ("embedding-kernel", 0.15, 0.25),
        ("capacity", 0.001, 0.001),
        ("tensorflow", 0.15, 0.48),
    ],
)
def test_groups(validation: Validation, group: str, mean: float, worst: float) -> None:
    """Mean and worst errors of groups; an average alone hides errors that cancel."""
    found = validation.groups()[group]
    assert found["mean_error"] <= mean
    assert abs(found["worst_error"]) <= worst


def test_ranking_and_generations(report: dict[str, Any]) -> None:
    """The MLPerf systems are ranked right; each generation has its bias."""
    assert report["kendall_tau"]["mlperf-dcnv2"] >= 0.8
    found = report["generations"]["mlperf-dcnv2"]
    assert set(found) == {"A100", "H100", "H200", "B200"}
    for generation in found.values():
        assert abs(generation["bias"]) <= 0.1
        assert generation["mean_error"] >= abs(generation["bias"])


def test_sequence_model_with_one_factor(report: dict[str, Any]) -> None:
    """What is missing on 8 GPUs is missing on 16."""
    steps = [m for m in report["measurements"] if m["group"] == "hstu"]
    eight, sixteen, thirty_two = (m["values"][0] for m in steps)
    assert abs(eight["error"]) < 0.15
    assert abs(sixteen["error"]) < 0.15
    factor = eight["measured"] / eight["predicted"]
    assert factor * sixteen["predicted"] == pytest.approx(sixteen["measured"], rel=0.05)
    fitted = factor * thirty_two["predicted"]
    assert fitted == pytest.approx(thirty_two["measured"], rel=0.10)


@pytest.mark.parametrize("ranks", [8, 16])
def test_sequence_model_without_a_step_time_in_any_coefficient(ranks: int) -> None:
    """The rate of passes is fitted to what steps save; that of a trace serves, too."""
    (case,) = (m for m in MEASUREMENTS if m.id.endswith(f"8_b{ranks * 1024}"))
    plan = measured_plan(case)
    model = plan.inputs.cost_model
    sequences = model.sequences.replace(
        pass_efficiency=model.dense.elementwise_efficiency
    )
    inputs = plan.inputs.replace(cost_model=model.replace(sequences=sequences))
    settings = SimulationSettings(runtime=case.system.runtime)
    found = simulate(plan.replace(inputs=inputs), settings).step_time_s
    assert found == pytest.approx(case.step_s, rel=0.15)
    fitted = simulate(plan, settings).step_time_s
    assert found == pytest.approx(fitted, rel=0.005)


def test_systems_and_generations_left_out(report: dict[str, Any]) -> None:
    """Each is predicted with constants that were fitted to all others."""
    for what in ("system", "generation"):
        left_out = report["leave_one_out"][what]["mlperf-dcnv2"]
        assert left_out["mean_error"] <= 0.1
        steps = [m for m in report["measurements"] if m["group"] == "mlperf-dcnv2"]
        definite = {m["id"] for m in steps if m["values"][0]["range"] is None}
        assert set(left_out["errors"]) == definite
        # A fit without a system that is predicted too fast is a faster one.
        values = [
            fit["runtime.step_overhead_s"] for fit in left_out["constants"].values()
        ]
        assert len(set(values)) == len(values)
    # Only A100 was measured with TensorFlow: nothing is left to fit to.
    assert "tensorflow" not in report["leave_one_out"]["generation"]
    assert (
        "dgx-a100-80 1x8 tf2-xla"
        in report["leave_one_out"]["system"]["tensorflow"]["means"]
    )


def test_predictions_are_pinned(
    validation: Validation, golden: Callable[[str, str], None]
) -> None:
    """A change that moves predictions shows in review: --update-golden writes them."""
    lines = [
        f"{outcome.measurement.id} {value.label}: {value.predicted:.4g}"
        for outcome in validation.outcomes
        for value in outcome.values
    ]
    golden("predictions.txt", "\n".join(lines) + "\n")


def test_ids_and_files() -> None:
    """Every id occurs once; every file has a row in the README of the folder."""
    ids = [measurement.id for measurement in MEASUREMENTS]
    assert len(set(ids)) == len(ids)
    readme = folder("measurements").joinpath("README.md").read_text(encoding="utf-8")
    for entry in folder("measurements").iterdir():
        if entry.name.endswith(".json"):
            assert f"`{entry.name}`" in readme


def one_file(path: Path, **changes: object) -> Path:
    """Write a file of one step that the shipped files have, with changes."""
    text = folder("measurements").joinpath("mlperf-dcnv2.json").read_text()
    data = json.loads(text)
    data["measurements"] = [{**data["measurements"][0], **changes}]
    path.write_text(json.dumps(data))
    return path


def test_against_own_measurements(tmp_path: Path) -> None:
    """A file of one's own replaces the shipped ones; failures set the exit code."""
    met = one_file(tmp_path / "met.json")
    runner = CliRunner()
    result = runner.invoke(cli, ["validate", "--against", str(met), "--format", "json"])
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    (found,) = data["measurements"]
    assert found["id"] == "mlperf.dcnv2.a100_1x8_b55296_v30"
    # One's own measurements take no part in a fit, and the report says so.
    assert data["leave_one_out"] == {"system": {}, "generation": {}}
    assert "took no part" in data["fit"]
    missed = one_file(tmp_path / "missed.json", step_s=1.0)
    result = runner.invoke(cli, ["validate", "--against", str(missed)])
    assert result.exit_code == 1
    assert "NO" in result.stdout


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"system": {"topology": "dgx-h10"}}, "dgx-h100"),
        ({"system": {"topology": "dgx-h100:2"}}, "has 8 ranks"),
        ({"workload": "merlin-tiny"}, "places no shard"),
        ({"plan": {"ranks": [[30]] * 8}}, "names table 30"),
        ({"system": {"topology": "dgx-h100", "runtime": "x"}}, "no runtime"),
        ({"kind": "guess"}, "must be one of"),
        ({"color": 1}, "unknown key"),
        ({"system": {"topology": "dgx-h100", "ranks_per_host": 99}}, "have 8 ranks in"),
        ({"confidence": "sure"}, "must be one of"),
        (
            {
                "plan": {
                    "ranks": [list(range(26))] * 8,
                    "host_tables": [{"tables": [0], "compute_kernel": "fused"}],
                }
            },
            "fused_uvm",
        ),
    ],
)
def test_wrong_measurements(
    tmp_path: Path, changes: dict[str, object], rule: str
) -> None:
    """What does not fit is named."""
    path = one_file(tmp_path / "wrong.json", **changes)
    with pytest.raises(InputError) as caught:
        validate_model(load_measurements([path]))
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"kind": "collective", "message_bytes": [], "time_s": []}, "message_bytes"),
        ({"kind": "gemm", "shapes_mnk": [], "time_s": []}, "shapes_mnk"),
        ({"kind": "lookup", "embedding_dim": 8}, "give forward_s, backward_s or both"),
    ],
)
def test_measurements_of_nothing(
    tmp_path: Path, fields: dict[str, object], rule: str
) -> None:
    """A measurement without a value is refused when it is read."""
    of_kind = {
        "collective": {"operation": "all_reduce"},
        "gemm": {"dtype": "fp32"},
        "lookup": {
            **{"num_tables": 1, "num_embeddings": 9, "lookups_per_table": 9},
            **{"optimizer": "sgd", "compute_kernel": "fused"},
        },
    }
    one = {
        **{"id": "a", "group": "g", "source": "s", "tolerance": {"each": 0.1}},
        **{"system": {"topology": "dgx-h100"}, **of_kind[str(fields["kind"])]},
        **fields,
    }
    path = tmp_path / "empty.json"
    path.write_text(json.dumps({"schema_version": 1, "measurements": [one]}))
    with pytest.raises(InputError) as caught:
        load_measurements([path])
    assert rule in str(caught.value)


def test_kendall_tau() -> None:
    """One of three pairs in the wrong order: (2 - 1) / 3; equal ones have no order."""
    assert kendall_tau([(1.0, 1.0), (3.0, 2.0), (2.0, 3.0)]) == pytest.approx(1 / 3)
    tied = [(1.0, 1.0), (2.0, 2.0), (2.0, 3.0)]
    assert kendall_tau(tied) == pytest.approx(2 / (2 * 3) ** 0.5)
    assert kendall_tau([(1.0, 1.0)]) == 1.0


def test_generation_bias() -> None:
    """Errors that cancel leave no bias, but their size."""
    found = generation_bias(
        [
            ("A", Value("a", 1.1, 1.0)),
            ("A", Value("b", 0.9, 1.0)),
            ("B", Value("c", 2, 1)),
        ]
    )
    assert found["A"] == pytest.approx({"steps": 2, "bias": 0.0, "mean_error": 0.1})
    assert found["B"] == pytest.approx({"steps": 1, "bias": 1.0, "mean_error": 1.0})


def test_error_of_a_range() -> None:
    """A range is off by nothing where it holds what was measured."""
    assert Value("a", 1.0, 2.0, range=(1.0, 3.0)).error == 0.0
    assert Value("a", 1.0, 4.0, range=(1.0, 3.0)).error == pytest.approx(-0.25)
    assert Value("a", 1.0, 0.5, range=(1.0, 3.0)).error == pytest.approx(1.0)


def test_scaling() -> None:
    """Throughputs are relative to the slowest measured system."""
    found = scaling({"two": (30.0, 20.0), "one": (10.0, 10.0)})
    assert [one["id"] for one in found] == ["one", "two"]
    assert found[1] == {"id": "two", "predicted": 3.0, "measured": 2.0}


def test_a_file_needs_measurements() -> None:
    """An empty list is a mistake."""
    with pytest.raises(ValueError, match="measurements"):
        MeasurementFile.model_validate({"schema_version": 1, "measurements": []})


def test_scaling_shape() -> None:
    """Four times the ranks and 2.25 times the speed: 1.5 per doubling.

    A second host that halves the speed where it was predicted to double it has
    another shape; other machines are not compared.
    """
    one = Sized("one", "a", 4, 1, (1.0, 1.0))
    four = Sized("four", "a", 16, 4, (4.0, 2.25))
    (found,) = scaling_shape([four, Sized("other", "b", 32, 4, (1.0, 1.0)), one])
    assert (found["from"], found["to"]) == ("one", "four")
    assert found["predicted_per_doubling"] == pytest.approx(2.0)
    assert found["measured_per_doubling"] == pytest.approx(1.5)
    assert found["error"] == pytest.approx(1 / 3)
    assert found["same_shape"]
    worse = Sized("worse", "a", 8, 2, (2.0, 0.5))
    (found,) = scaling_shape([one, worse])
    assert not found["same_shape"]


def test_scaling_of_the_shipped_systems(report: dict[str, Any]) -> None:
    """More ranks bring what was measured, within a tenth per doubling."""
    for name, pairs in report["scaling_shape"].items():
        # Both exchanges of sequences ran on the same ranks.
        assert pairs or name == "sequence-exchange", name
        for pair in pairs if name == "mlperf-dcnv2" else ():
            assert pair["same_shape"], pair
            assert abs(pair["error"]) <= 0.1, pair
