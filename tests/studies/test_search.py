"""Search along an axis of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from shardplan.errors import InputError
from shardplan.studies.expand import expand
from shardplan.studies.search import lines_from, search
from shardplan.studies.spec import StudySpec
from shardplan.studies.study import StudyRow, make_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shardplan.studies.point import StudyPoint
    from shardplan.studies.session import Session

    Outcome = Callable[[dict[str, Any]], float | str]

NIC = "topology.host_groups.*.scale_out.nic_bw"


class Imagined:
    """A session whose points have the rate, or the status, that a function says."""

    def __init__(
        self, study: dict[str, Any], outcome: Outcome, most: int = 10**6
    ) -> None:
        self.spec = StudySpec.of(study)
        self.points = expand(self.spec)
        self.run: list[int] = []
        self._outcome, self._most = outcome, most

    def rows(self, points: Iterable[StudyPoint]) -> list[StudyRow]:
        """Return rows, as long as there are."""
        found = []
        for point in points:
            if len(self.run) < self._most:
                self.run.append(point.number)
                found.append(make_row(self.spec, point, self._results(point)))
        return found

    def _results(self, point: StudyPoint) -> dict[str, Any]:
        rate = self._outcome(point.values)
        if isinstance(rate, str):
            return {"status": rate, "message": "why"}
        return {
            "status": "feasible",
            "hosts": point.values.get("hosts", 1),
            "throughput_samples_per_s": rate,
            "step_time_s": 1.0,
            "hbm_fill": 0.5,
        }


def searched(session: Imagined) -> list[StudyRow]:
    """Search through an imagined session."""
    return list(search(cast("Session", session)))


def asked(study: dict[str, Any], axis: object, key: str = "hosts") -> dict[str, Any]:
    """Make a study search for the least value of an axis."""
    study["axes"] = {**study.get("axes", {}), key: axis}
    rules = ["throughput_samples_per_s >= 100"]
    return {**study, "search": {"minimise": key, "subject_to": rules}}


def test_every_point_has_a_row(study: dict[str, Any]) -> None:
    """Those that are not run say what implies them, below and above the answer."""
    study = asked(study, {"linear": [1, 40], "step": 1})
    session = Imagined(study, lambda values: 9.0 * values["hosts"])
    rows = searched(session)
    assert [row.values["hosts"] for row in rows if row.status == "feasible"] == [
        *(1, 10, 11, 12, 13, 20)
    ]
    implied = {r.values["hosts"]: r for r in rows if r.status == "implied"}
    assert len(rows) == 40
    assert len(implied) == 34
    assert implied[9].values["message"] == (
        "not run: hosts = 10 misses throughput_samples_per_s >= 100, and should do "
        "better"
    )
    message = implied[14].values["message"]
    assert message == "not run: hosts = 12 meets all conditions already"
    assert implied[14].values["throughput_samples_per_s"] is None


def test_each_combination_has_its_own_answer(study: dict[str, Any]) -> None:
    """All are walked at once, in few rounds."""
    study["axes"] = {"solver": ["greedy", "ldm"]}
    study = asked(study, [1, 2, 4, 8, 16, 32])
    factor = {"greedy": 10.0, "ldm": 30.0}
    session = Imagined(study, lambda v: factor[v["solver"]] * v["hosts"])
    lines = lines_from(session.spec, searched(session))
    values = [line.value(line.answer or 0) for line in lines]
    assert values == [16, 4]


def test_the_most_that_fits(study: dict[str, Any]) -> None:
    """Maximise begins at the other end; units and factors are numbers, too."""
    axis = ["100 Gb/s", "400 Gb/s", "200 Gb/s", "800 Gb/s"]
    study["axes"] = {NIC: axis}
    rules = ["throughput_samples_per_s <= 100"]
    study["search"] = {"maximise": NIC, "subject_to": rules}
    rates = dict(zip(axis, (50.0, 100.0, 70.0, 300.0), strict=True))
    session = Imagined(study, lambda values: rates[values[NIC]])
    (line,) = lines_from(session.spec, searched(session))
    assert line.value(line.answer or 0) == "400 Gb/s"
    study["axes"] = {NIC: {"scale": [0.5, 1, 2, 4]}}
    session = Imagined(study, lambda values: 40.0 * values[NIC])
    (line,) = lines_from(session.spec, searched(session))
    assert line.value(line.answer or 0) == 2


def test_a_dip_is_said(study: dict[str, Any]) -> None:
    """Where more hosts are seen to be slower, all fewer are run, and it is said."""
    study = asked(study, {"linear": [1, 40], "step": 1})
    rates = {hosts: 9.0 * hosts for hosts in range(1, 41)}
    rates |= {3: 200.0, 13: 90.0}
    session = Imagined(study, lambda values: rates[values["hosts"]])
    rows = searched(session)
    (line,) = lines_from(session.spec, rows)
    assert line.value(line.answer or 0) == 3
    assert line.warning.startswith("not monotone: hosts = 3 is better at throughput")
    assert not [r for r in rows if r.status == "implied" and r.values["hosts"] < 3]


def test_no_plan_and_errors(study: dict[str, Any]) -> None:
    """Few hosts have no memory; numbers of hosts that cannot be are passed over."""

    def outcome(values: dict[str, Any]) -> float | str:
        hosts = values["hosts"]
        if hosts % 3 == 0:
            return "error"
        return "infeasible" if hosts < 8 else 100.0 * hosts

    session = Imagined(asked(study, {"linear": [1, 40], "step": 1}), outcome)
    rows = searched(session)
    (line,) = lines_from(session.spec, rows)
    assert line.value(line.answer or 0) == 8
    assert line.warning == ""
    implied = {r.values["hosts"]: r for r in rows if r.status == "implied"}
    message = implied[min(implied)].values["message"]
    assert message.endswith("is infeasible, and should do better")
    assert "error" not in message


def test_nothing_meets_the_conditions(study: dict[str, Any]) -> None:
    """The end and what lies beside it were run, and imply the others."""
    session = Imagined(
        asked(study, {"linear": [1, 40], "step": 1}), lambda values: values["hosts"]
    )
    rows = searched(session)
    (line,) = lines_from(session.spec, rows)
    assert line.answer is None
    assert {r.values["hosts"] for r in rows if r.status == "feasible"} == {
        1,
        20,
        39,
        40,
    }


def test_an_unfinished_search_implies_nothing(study: dict[str, Any]) -> None:
    """A session that has three rows only, as after an interrupt, has these."""
    study = asked(study, {"linear": [1, 40], "step": 1})
    rows = searched(Imagined(study, lambda values: 9.0 * values["hosts"], most=3))
    assert len(rows) == 3
    assert {row.status for row in rows} == {"feasible"}


def test_a_condition_that_cannot_be_judged(study: dict[str, Any]) -> None:
    """A price that is not given is asked for, not made up."""
    study = asked(study, [1, 2, 4])
    study["subject_to"] = ["cost_per_hour <= 10"]
    with pytest.raises(InputError, match=r'\[prices\."dgx-h100"\] has no per_host'):
        searched(Imagined(study, lambda values: values["hosts"]))


def test_an_axis_of_words(study: dict[str, Any]) -> None:
    """Only numbers have a least one."""
    study = asked(study, ["greedy", "ldm"], "solver")
    with pytest.raises(InputError, match="searches among numbers"):
        searched(Imagined(study, lambda _: 1.0))
