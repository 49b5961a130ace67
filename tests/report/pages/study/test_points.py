"""Points as columns."""

from __future__ import annotations

import json

from shardplan.report.pages.study.points import point_columns
from tests.report.pages.study.made import BATCH, BW, made_study


def test_axes_come_first_with_short_names() -> None:
    """A path is cut to the end that no other column has; factors say what they are."""
    hosts, batch, bw, *results = point_columns(made_study())
    assert (hosts.label, batch.label, bw.label) == (
        "hosts",
        "global_batch_size",
        "nic_bw",
    )
    assert (hosts.name, batch.name, bw.name) == ("hosts", BATCH, BW)
    assert bw.choices() == ["\N{MULTIPLICATION SIGN}0.5", "\N{MULTIPLICATION SIGN}1"]
    assert batch.choices() == ["16,384", "65,536"]
    assert not any(column.is_axis for column in results)


def test_short_names_that_two_axes_share_are_longer() -> None:
    """forward of which dtypes? A name that is a column's stays apart from it, too."""
    axes = {
        "workload.comm_dtypes.forward": ["fp32", "fp16"],
        "topology.host_groups.*.device.hbm_bw": {"scale": [1, 2]},
        "topology.host_groups.*.host.ddr_bw": {"scale": [1, 2]},
    }
    columns = point_columns(made_study({"axes": axes}))
    assert [c.label for c in columns if c.is_axis] == ["forward", "hbm_bw", "ddr_bw"]


def test_columns_without_a_value_are_left_out() -> None:
    """No point has a price of energy."""
    names = [column.name for column in point_columns(made_study())]
    assert "hbm_fill" in names
    assert "watts" not in names
    assert len(set(names)) == len(names)


def test_why_says_what_is_short() -> None:
    """Tier, bytes and tables in one cell; nothing where there is a plan."""
    study = made_study()
    why = next(c for c in point_columns(study) if c.name == "why")
    texts = {why.text(at) for at, row in enumerate(study.rows)}
    assert texts == {"-", "HBM is 12.3 GB too small for t1, t2"}


def test_data_can_be_read_back() -> None:
    """Cells of words are indices; the others numbers, none far from the truth."""
    study = made_study()
    for column in point_columns(study):
        data = json.loads(json.dumps(column.data(), allow_nan=False))
        for at, row in enumerate(study.rows):
            cell = data["cells"][at]
            value = (
                cell if data["words"] is None or cell is None else data["words"][cell]
            )
            if isinstance(value, float):
                assert abs(value - row.values[column.name]) <= 1e-6 * abs(value)
