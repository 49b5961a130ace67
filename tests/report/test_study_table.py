"""The table of a study for people."""

from __future__ import annotations

from dataclasses import asdict

from shardplan.report.layout import to_text
from shardplan.report.study_table import render_rows
from shardplan.studies.columns import COLUMNS, axis_column

NIC_BW = "topology.host_groups.*.scale_out.nic_bw"


def test_axes_lead_every_part_under_short_names() -> None:
    """Factors are told from values, shares are in percent."""
    axes = [
        axis_column("workload", ["neo-a"], scales=False),
        axis_column(NIC_BW, [0.5, 2], scales=True),
    ]
    names = ["throughput_samples_per_s", "hbm_fill", "step_time_s"]
    results = dict(zip(names, [2_632_980.0, 0.5, 0.01], strict=True))
    data = {
        "columns": [asdict(c) for c in (*axes, *(COLUMNS[name] for name in names))],
        "rows": [{"workload": "neo-a", NIC_BW: f, **results} for f in (0.5, 2)],
    }
    text = to_text(render_rows(data), 60)
    assert text.count("nic_bw") == 2
    assert NIC_BW not in text
    assert "\N{MULTIPLICATION SIGN}0.5" in text
    assert "2,632,980" in text
    assert "50.0 %" in text
    assert "10.000 ms" in text
