"""Studies made by hand, with pages of some of their points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.report.pages.study.subject import PageSubject, PointPage
from shardplan.studies.constraints import parse_constraint
from shardplan.studies.expand import expand
from shardplan.studies.front import find_front, study_goals
from shardplan.studies.spec import StudySpec
from shardplan.studies.study import Study, StudyRow, make_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.studies.front import Front
    from shardplan.studies.point import StudyPoint

BATCH = "workload.global_batch_size"
BW = "topology.host_groups.*.scale_out.nic_bw"
FILE = {
    "schema_version": 1,
    "name": "which-cluster",
    "base": {"workload": "dlrm-dcnv2", "topology": "zionex"},
    "subject_to": ["hbm_fill <= 0.8"],
    "axes": {
        "hosts": [2, 4, 8, 16],
        BATCH: [16_384, 65_536],
        BW: {"scale": [0.5, 1]},
    },
    "prices": {"zionex": {"per_host_hour": 30.0}},
}
"""Sixteen points: prices in one unit, no hash of any plan."""


def made_study(changes: Mapping[str, Any] | None = None) -> Study:
    """A study of which every point has a result."""
    spec = StudySpec.of({**FILE, **(changes or {})})
    return Study(spec, tuple(made_row(spec, point) for point in expand(spec)))


def made_row(spec: StudySpec, point: StudyPoint) -> StudyRow:
    """Two hosts hold no large batch; more hosts are faster, and their HBM emptier."""
    hosts = point.base.hosts or 1
    batch, factor = point.values.get(BATCH, 16_384), point.values.get(BW, 1)
    if hosts == 2 and batch > 16_384:
        short = {"shortfall_tier": "hbm", "shortfall_bytes": 12.3e9}
        tables = {"shortfall_tables": "t1, t2", "message": "nothing fits"}
        return make_row(spec, point, {"status": "infeasible", **short, **tables})
    step = (1e-3 + batch * 1e-6 / hosts) / factor
    return make_row(
        spec,
        point,
        {
            "status": "feasible",
            "feasible": True,
            "hosts": hosts,
            "step_time_s": step,
            "throughput_samples_per_s": batch / step,
            "hbm_fill": 0.6 + 0.6 / hosts,
            "bottleneck": "lookup" if hosts < 8 else "all_to_all",
            "bottleneck_link": "nic",
        },
    )


def made_front(study: Study) -> Front[StudyRow]:
    """The front of a study by its file."""
    file = study.spec.file
    limits = [parse_constraint(text) for text in file.subject_to]
    return find_front(study.rows, study_goals(file), limits)


def made_subject(changes: Mapping[str, Any] | None = None) -> PageSubject:
    """A study with a page for every point of its front."""
    study = made_study(changes)
    front = made_front(study)
    numbers = [row.point.number for row in front.rows]
    return PageSubject(
        study, front, {n: PointPage(f"points/{n}.html") for n in numbers}
    )
