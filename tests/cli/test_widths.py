"""At any width no report loses a number or its unit, by the real program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from shardplan.plans.plan import Plan

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
LONG = "table_of_the_clicks_that_a_user_made_in_the_last_month_on_any_device_"
UNITS = r"(?: (?:%|[num]?s|[kMGTP]?B(?:/s)?|[TGM]|samples/s|samples|ranks?|hosts?))?"
NUMBER = re.compile(rf"(?<![\w.,:/+=&?%@-])[+-]?\d[\d,.]*{UNITS}(?![\w:/+=&-])")
MARK = "=== "
DRIVER = f"""\
import sys
from shardplan.cli.main import cli
for line in sys.argv[1:]:
    print("{MARK}" + line, flush=True)
    cli(line.split("|"), prog_name="shardplan", standalone_mode=False)
"""


@pytest.fixture(scope="module")
def commands(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every command that reports, on plans of tables with long names."""
    folder = tmp_path_factory.mktemp("long")
    sizes = [30_000_000, 9_000_000, 400_000, 20_000, 900]
    tables = "\n".join(
        f'[[tables]]\nname = "{LONG}{"x" * i}"\nnum_embeddings = {size}\n'
        f"embedding_dim = 64\npooling_factor = {2 * i + 1}"
        for i, size in enumerate(sizes)
    )
    head = 'schema_version = 1\nname = "long"\nglobal_batch_size = 4096\n'
    dense = "[dense]\nnum_dense = 13\nbottom_mlp = [64]\ntop_mlp = [64, 1]\n"
    (folder / "w.toml").write_text(f"{head}{tables}\n{dense}", encoding="utf-8")
    study = 'schema_version = 1\nname = "long"\n[base]\nworkload = "w.toml"\n'
    study += f'topology = "zionex"\n[axes]\n"workload.tables.{LONG}.dtype" = ["int8"]\n'
    (folder / "study.toml").write_text(study, encoding="utf-8")
    plan, other = folder / "plan.json", folder / "other.json"
    timed = folder / "timed.json"
    objectives = {plan: "step", other: "max-rank", timed: "time"}
    for path, objective in objectives.items():
        found = run(
            *("solve", folder / "w.toml", "--topology", "dgx-h100:2"),
            *("--solver", "greedy", "-o", path, "--objective", objective),
        )
        assert found.exit_code == 0, found.output
    return [
        *(f"{name}|{plan}" for name in ("check", "show", "explain", "evaluate")),
        *(f"simulate|{plan}", f"simulate|{plan}|--explain", f"diff|{plan}|{other}"),
        *(f"{name}|{timed}" for name in ("show", "explain", "simulate")),
        f"diff|{plan}|{timed}",
        "solve|movielens-ncf|--topology|dgx-a100-40:2|--solver|greedy",
        f"study|check|{folder / 'study.toml'}",
        "study|parameter-servers|movielens-ncf|--topology|dgx-a100-40",
        *(f"{kind}|list" for kind in ("topology", "workload", "cost-model", "network")),
        *("topology|show|zionex", f"workload|show|{folder / 'w.toml'}"),
        *("cost-model|show|h100", "network|show|pcie5"),
        "validate|--against|measurements/cpu.json",
    ]


def reports(commands: list[str], columns: int) -> dict[str, str]:
    """Run the commands in a process of their own that is told a width."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *commands],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    parts = done.stdout.split(MARK)[1:]
    return dict(part.split("\n", 1) for part in parts)


def numbers(report: str) -> Counter[str]:
    """Count the numbers of a report, each with its unit."""
    report = re.sub(r"^runtime .*$", "", report, flags=re.MULTILINE)
    return Counter(found.strip(".,") for found in NUMBER.findall(report))


@pytest.fixture(scope="module")
def wide(commands: list[str]) -> dict[str, str]:
    """The reports where nothing has to give way."""
    return reports(commands, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 100])
def test_no_number_is_lost(
    commands: list[str], wide: dict[str, str], columns: int
) -> None:
    """Every number and unit of the wide report is in the narrow one, as often."""
    narrow = reports(commands, columns)
    assert list(narrow) == commands
    for command, text in narrow.items():
        missing = numbers(wide[command]) - numbers(text)
        assert numbers(wide[command])
        assert not missing, f"{command} at {columns} lost {missing}"
        widest = max(text.splitlines(), key=cell_len)
        assert cell_len(widest) <= columns, f"{command}: {widest!r}"


def test_long_names_lose_their_middle(
    commands: list[str], wide: dict[str, str]
) -> None:
    """Numbers stay, names are shortened, and can be told by their ends."""
    text = reports([commands[1]], 60)[commands[1]]
    names = {line.split()[0] for line in text.splitlines() if "…" in line}
    assert len(names) >= 2
    assert all(name.startswith("table_of") for name in names)


def test_files_have_the_width_of_a_page(
    run: Run, tmp_path: Path, commands: list[str]
) -> None:
    """A report that is written to a file is the same from every terminal."""
    out = tmp_path / "report.txt"
    plan = commands[0].split("|")[1]
    Plan.load(plan)
    done = subprocess.run(
        [sys.executable, "-m", "shardplan", "show", plan, "-o", str(out)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "60"},
        check=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert out.read_text(encoding="utf-8") == run("show", plan).stdout
