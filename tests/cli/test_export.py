"""``shardplan export --to torchrec-reshard`` as a process: good and wrong files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Target
from tests.cli.test_process import shardplan
from tests.integrations.torchrec.instances import (
    cluster,
    inputs_of,
    place,
    plan_of,
    workload,
)

if TYPE_CHECKING:
    from pathlib import Path

TO = ("--to", "torchrec-reshard")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plans of one table on one of four ranks: old, new, and of another type."""
    folder = tmp_path_factory.mktemp("plans")
    inputs = inputs_of(workload({}), cluster())
    plan_of(inputs, place(inputs, 0, "table_wise")).save(folder / "old.json")
    plan_of(inputs, place(inputs, 0, "table_wise", start=2)).save(folder / "new.json")
    plan_of(inputs, place(inputs, 0, "row_wise")).save(folder / "rows.json")
    (folder / "export.json").write_text('{"format": "shardplan-torchrec"}')
    (folder / "torn.json").write_text('{"format": ')
    return folder


def test_what_changes_goes_to_a_file(folder: Path) -> None:
    """The file has it, standard error says how much, standard output is empty."""
    way = folder / "way.json"
    done = shardplan(
        *("export", folder / "new.json", *TO, "--from", folder / "old.json", "-o", way)
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "1 table to move: 260.0 kB, at most 260.0 kB to a rank; meanwhile a rank needs "
        "up to 260.0 kB beside its tables\n"
    )
    data = json.loads(way.read_text())
    assert data["moved_bytes"] == 1000 * (64 * 4 + 4)
    assert data["changes"]["ebc"]["t0"]["shards"][0]["to"] == 2


def test_nothing_changes(folder: Path) -> None:
    """The same plan twice: a file without changes, and a sentence."""
    old = folder / "old.json"
    done = shardplan("export", old, *TO, "--from", old, "--format", "json")
    assert done.returncode == 0
    assert done.stderr == (
        "nothing moves: both plans have every table on the same ranks\n"
    )
    assert json.loads(done.stdout)["changes"] == {}


WRONG = {
    "no old plan": (
        2,
        ["new.json", *TO],
        "--to torchrec-reshard needs --from OLD_PLAN",
    ),
    "another exporter": (
        2,
        ["new.json", "--to", "torchrec", "--from", "old.json"],
        "--to torchrec-reshard needs --from OLD_PLAN, and nothing else has it",
    ),
    "both from standard input": (
        2,
        ["-", *TO, "--from", "-"],
        "only one of the plans can come from standard input",
    ),
    "no such file": (1, ["new.json", *TO, "--from", "none.json"], "none.json: "),
    "no plan": (1, ["new.json", *TO, "--from", "export.json"], "export.json: "),
    "no plan after": (1, ["export.json", *TO, "--from", "old.json"], "export.json: "),
    "no JSON": (1, ["new.json", *TO, "--from", "torn.json"], "torn.json: "),
    "another type": (
        1,
        ["rows.json", *TO, "--from", "old.json"],
        "plan: modules[ebc].t0: table_wise -> row_wise: reshard cannot change",
    ),
    "swapped, another type": (
        1,
        ["old.json", *TO, "--from", "rows.json"],
        "plan: modules[ebc].t0: row_wise -> table_wise: reshard cannot change",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(folder: Path, name: str) -> None:
    """What is wrong is said, in its own exit code, and nothing is written."""
    code, words, said = WRONG[name]
    done = shardplan("export", *words, "-o", "written.json", cwd=folder, input="")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "written.json").exists()


def test_uneven_columns_cannot_resume(folder: Path) -> None:
    """They are exported with a warning; equal ones without."""
    inputs = inputs_of(workload({}), cluster())
    for widths, warned in (((40, 24), True), ((32, 32), False)):
        plan_of(inputs, place(inputs, 0, "column_wise", widths=widths)).save(
            folder / "columns.json"
        )
        done = shardplan("export", folder / "columns.json", "--to", "torchrec")
        assert done.returncode == 0
        text = "t0: column shards of [24, 40] columns train, but TorchRec cannot load"
        assert (text in " ".join(done.stderr.split())) == warned


def test_solved_columns_are_equally_wide() -> None:
    """A width of 88 is cut into 2 or 11 shards, never into three."""
    table = {"embedding_dim": 88, "constraints": {"sharding_types": ["column_wise"]}}
    problem = build_problem(
        *dict(inputs_of(workload(table), cluster(3))).values(), target=Target.TORCHREC
    )
    assert set(problem.options.column_shards.tolist()) == {2, 11}
