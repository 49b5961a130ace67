"""``shardplan study check`` in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import STUDY, WORKLOAD
from tests.cli.test_process import ENVIRONMENT, shardplan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workload, for studies beside it."""
    (tmp_path / "small.toml").write_text(WORKLOAD, encoding="utf-8")
    return tmp_path


def test_says_what_would_run(folder: Path) -> None:
    """Axes, points, inputs, and why columns stay empty; from any working folder."""
    (folder / "study.toml").write_text(
        STUDY
        + """
[overrides.unused]
"workload.tables.*.dtype" = "int8"
[[exclude]]
hosts = 2
"workload.tables.*.dtype" = ["fp16", "bf16"]
[[exclude]]
hosts = 3
[prices.dgx-h100]
per_host_hour = 98
[prices.dgx-h10]
""",
        encoding="utf-8",
    )
    done = shardplan("study", "check", folder / "study.toml", "--format", "json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["combinations"], data["excluded"], data["points"]) == (4, 1, 3)
    assert [axis["values"] for axis in data["axes"]] == [
        [[1], [2]],
        [["fp32"], ["fp16"]],
    ]
    assert [(i["kind"], i["name"]) for i in data["inputs"]] == [
        ("workload", "small.toml"),
        ("topology", "dgx-h100"),
        ("cost_model", "h100"),
    ]
    empty = {one["reason"]: one["columns"] for one in data["empty_columns"]}
    assert empty.keys() == {
        '[prices."dgx-h100"] has no watts_per_host',
        "[failures] is not given",
    }
    assert "cost_per_hour" not in [name for names in empty.values() for name in names]
    assert [line.partition("study.toml: ")[2] for line in done.stderr.splitlines()] == [
        "exclude[1] matches no point",
        "overrides.unused is in no scenario and changes nothing",
        "prices.dgx-h10 is for no topology of the study; did you mean 'dgx-h100'?",
    ]
    text = shardplan("study", "check", "study.toml", cwd=folder).stdout
    assert "points    3\n" in text
    assert "workload.tables.*.dtype   fp32, fp16\n" in text


def test_every_problem_at_once(folder: Path) -> None:
    """Nothing on standard output, exit code 1, and all that is wrong by key."""
    (folder / "study.toml").write_text(
        STUDY.replace("[1, 2]", '[1, 0, 2.5, "two"]')
        + """
"workload.tables.*.dtyp" = ["fp32"]
"topology.host_groups.*.scale_out.nic_bw" = ["200 Gb/s", "200 GB"]
topolgy = ["zionex"]
solver = ["greedy", "auto"]
[pareto]
x = "cost_per_hour"
y = "troughput_samples_per_s"
""",
        encoding="utf-8",
    )
    done = shardplan("study", "check", "study.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    for problem in (
        "Error: 8 problems",
        "- study.toml: axes.hosts[1] = 0: must be >= 1",
        "- study.toml: axes.hosts[2] = 2.5: must be a whole number",
        "- study.toml: axes.hosts[3] = 'two': must be a number",
        "axes.\"workload.tables.*.dtyp\"[0] = 'fp32': unknown key; did you mean "
        "'dtype'?",
        "nic_bw\"[1] = '200 GB': topology.host_groups[0].scale_out.nic_bw: 'GB' is a "
        "unit of bytes, not bytes/s",
        "axes.topolgy: is neither a field of [base] nor a path",
        "axes.solver[1] = 'auto': needs work_limit",
        "pareto.y = 'troughput_samples_per_s': is no column; did you mean "
        "'throughput_samples_per_s'?",
    ):
        assert problem in done.stderr


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, "study.toml: no such file"),
        ("", "study.toml: is a directory, but a file is needed"),
        (b'name = "\xff"', "study.toml: line 1: is not UTF-8 text"),
        (b"name =", "study.toml: end of document: not TOML: Invalid value"),
        (b"x = 1", "study.toml: base: is required"),
        (b'schema_version = 2\nname = "x"', "schema_version = 2: is too new"),
    ],
    ids=["missing", "folder", "bytes", "no TOML", "no study", "too new"],
)
def test_no_study_file(tmp_path: Path, content: bytes | str | None, rule: str) -> None:
    """Files that cannot be read are told as everywhere."""
    path = tmp_path / "study.toml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
    done = shardplan("study", "check", "study.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert rule in done.stderr
    assert "Traceback" not in done.stderr


def test_too_many_points_need_no_memory(folder: Path) -> None:
    """A product of 10^12 is refused before any of it is made."""
    (folder / "study.toml").write_text(
        STUDY
        + "seed = { linear = [0, 999_998], step = 1 }\n"
        + "work_limit = { linear = [1, 999_999], step = 1 }\n",
        encoding="utf-8",
    )
    code = "import resource as r; r.setrlimit(r.RLIMIT_AS, (2**31, 2**31)); "
    code += "from shardplan.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "study", "check", folder / "study.toml"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "axes: 3,999,992,000,004 points are more than 1,000,000" in done.stderr
