"""Standard output is a contract: for every command and format, in a real process.

One process imports the program and forks for every command, so that a command costs no
start of its own; its descriptors 0, 1 and 2 are files, as in a shell. What it must
write is what the same command returns in this process, and JSON must parse as such.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import pytest

from shardplan.cli.main import cli
from shardplan.io.catalog import load_network
from shardplan.records.sharding import QUANTITY, Objective
from shardplan.simulation.collective_times import Bench
from shardplan.statistics.folder import write_statistics
from shardplan.statistics.mapping_file import load_mapping
from shardplan.statistics.measure import measure
from tests.calibration.written import write
from tests.cli.test_process import ENVIRONMENT, ROOT
from tests.cli.test_solve import TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

SOLVE = ["WORKLOAD", "--topology", "dgx-h100", "--solver", "greedy"]
COMMANDS = {
    "solve": SOLVE,
    "check": ["PLAN"],
    "evaluate": ["PLAN"],
    "simulate": ["PLAN", "--explain"],
    "validate": ["--against", "measurements/cpu.json"],
    "recommend": [
        *("WORKLOAD", "--topology", "dgx-h100"),
        *("--throughput", "1e6", "--hosts-max", "2"),
    ],
    "study check": ["STUDY"],
    "study run": ["STUDY", "-o", "RESULTS", "--workers", "1"],
    "study status": ["RESULTS"],
    "study table": ["RESULTS"],
    "study script": ["STUDY", "--cluster", "slurm"],
    "study pareto": ["RESULTS"],
    "study report": ["RESULTS", "-o", "FOLDER"],
    "study diff": ["RESULTS", "RESULTS"],
    "study parameter-servers": SOLVE,
    "show": ["PLAN"],
    "explain": ["PLAN"],
    "report": ["PLAN"],
    "diff": ["PLAN", "PLAN"],
    "export": ["PLAN", "--to", "manifest"],
    "topology list": [],
    "topology copy": ["dgx-h100", "COPY", "--force"],
    "topology graph": ["dgx-h100", "--route", "0", "1", "--ranks", "0-3"],
    "topology show": ["dgx-h100"],
    "topology validate": ["dgx-h100"],
    "workload list": [],
    "workload build": ["--statistics", "STATISTICS", "--model", "MODEL"],
    "workload copy": ["dlrm-dcnv2", "COPY", "--force"],
    "workload show": ["WORKLOAD"],
    "workload validate": ["WORKLOAD"],
    "cost-model list": [],
    "cost-model copy": ["h100", "COPY", "--force"],
    "cost-model show": ["h100"],
    "cost-model validate": ["h100"],
    "network list": [],
    "network copy": ["nvlink4", "COPY", "--force"],
    "network show": ["nvlink4"],
    "network validate": ["nvlink4"],
    "network fit": ["BENCH", "--like", "nvlink4", "-o", "COPY"],
    "import fbgemm": ["TBE"],
    "import sparsecore": ["FEEDBACK", "--model", "MODEL"],
    "stats measure": ["LOG", "--features", "MAPPING", "-o", "MEASURED"],
    "stats guess": ["LOG"],
    "stats show": ["STATISTICS"],
    "stats diff": ["STATISTICS", "STATISTICS"],
    "stats plot": ["STATISTICS", "-o", "PICTURE"],
    "schema": ["plan"],
    "completion": ["bash"],
}
"""Arguments of every command; words in capitals stand for files and folders."""
WITH_TORCH = {"import torchrec"}
"""Commands that are tested where TorchRec is: tests/integrations/torchrec."""
DOMAIN = Bench(1, 8, 450e9, load_network("nvlink4"))
JSON_IN_EITHER_FORMAT = ("export", "schema")
DOT = re.compile(
    r'graph "[^"]+" \{\n  rankdir = BT;\n'
    r'(  subgraph \w+ \{ label = "[^"]+";( "[^"]+";)+ \}\n)+'
    r'(  "[^"]+" -- "[^"]+" \[label = "[^"]+"(, style = bold)?\];\n)+\}\n'
)
TAKES_TIME = re.compile(r"runtime +[\d.,]+ \w+|\"runtime_s\": [\d.e-]+")

SERVER = """\
import json, os, sys, warnings
import shardplan.planning.planner, shardplan.report.solution
from shardplan.cli.main import main
for line in sys.stdin:
    arguments, *files = json.loads(line)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        for number, path in enumerate(files):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            os.dup2(os.open(path, flags), number)
        sys.argv[1:] = arguments
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Done(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


class Server:
    """Runs ``shardplan`` in processes of their own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder

    def __call__(self, *arguments: str | Path, stdin: str = os.devnull) -> Done:
        """Run with arguments and wait."""
        files = [str(self.folder / name) for name in ("out", "err")]
        line = json.dumps([list(map(str, arguments)), stdin, *files])
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        out, err = (Path(file).read_text(encoding="utf-8") for file in files)
        return Done(code, out, err)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the process that forks; importing must write nothing either."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env={**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield Server(process, tmp_path_factory.mktemp("shell"))
        assert process.communicate(timeout=60) == ("", "")


@pytest.fixture(scope="module")
def plan(shell: Server, small: Path) -> Path:
    """One plan that all commands share."""
    path = small.parent / "contract.json"
    done = shell("solve", small, *SOLVE[1:], "-o", path)
    assert (done.code, done.err) == (0, "")
    return path


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[Any]:
    """Every command that is no group, with the choices of its ``--format``."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, (*words, name))
        return
    choices = [p.type for p in command.params if "--format" in p.opts]
    formats = choices[0].choices if choices else [""]
    yield from ((" ".join(words), form) for form in formats)


def log_files(folder: Path) -> dict[str, str]:
    """Write a log with what goes with it, and what was measured of it."""
    (folder / "log.csv").write_text("user\n1\n2\n1\n")
    table = '[[tables]]\nname = "user"\nnum_embeddings = 9\n'
    head = 'schema_version = 1\nname = "clicks"\n'
    feature = '[[features]]\ncolumn = "user"\ntable = "user"\n'
    (folder / "mapping.toml").write_text(f"{head}{table}{feature}")
    (folder / "model.toml").write_text(
        f"{head}global_batch_size = 64\n{table}embedding_dim = 8\n"
    )
    tbe = {"T": 1, "E": 9, "D": 8, "batch_params": {"B": 64}}
    tbe["indices_params"] = {"heavy_hitters": [0.5], "zipf_q": 1.0, "zipf_s": 1.1}
    tbe["pooling_params"] = {"L": 2}
    (folder / "tbe.json").write_text(json.dumps(tbe))
    feedback = "key,values\nuser_max_ids,4 2\nuser_max_unique_ids,3 1\n"
    (folder / "fdo_stats_0_1.csv").write_text(feedback)
    mapping = load_mapping(folder / "mapping.toml")
    write_statistics(measure([folder / "log.csv"], mapping), folder / "statistics")
    return {
        "LOG": str(folder / "log.csv"),
        "MAPPING": str(folder / "mapping.toml"),
        "TBE": str(folder / "tbe.json"),
        "FEEDBACK": str(folder / "fdo_stats_0_1.csv"),
        "MODEL": str(folder / "model.toml"),
        "STATISTICS": str(folder / "statistics"),
        "PICTURE": str(folder / "curves.svg"),
        "MEASURED": str(folder / "measured"),
    }


def test_every_command_has_its_line() -> None:
    """A new command needs a line here, and a new format a way to parse it."""
    found = list(leaves(cli))
    assert {name for name, _ in found} == {*COMMANDS, *WITH_TORCH}
    known = {"", "text", "html", "json", "dot", "csv", "svg", "png"}
    assert {form for _, form in found} <= known


@pytest.mark.parametrize(
    ("name", "form"), [leaf for leaf in leaves(cli) if leaf[0] not in WITH_TORCH]
)
def test_standard_output_is_the_result(
    name: str,
    form: str,
    shell: Server,
    run: Run,
    plan: Path,
    study_file: Path,
    study_results: Path,
) -> None:
    """The result, whole and alone; no warning, though warnings are errors here."""
    folder = study_file.parent
    files = {"PLAN": str(plan), "WORKLOAD": str(folder / "small.toml")}
    files |= {
        "RESULTS": str(study_results),
        "STUDY": str(study_file),
        "COPY": str(folder / "copy.toml"),
        "FOLDER": str(folder / "report"),
        "BENCH": write(folder, "a2a.json", "nvlink4", DOMAIN, "all_to_all"),
        **log_files(folder),
    }
    given = [files.get(word, word) for word in COMMANDS[name]]
    arguments = [*name.split(), *given, *(["--format", form] if form else [])]
    done = shell(*arguments)
    assert (done.code, done.err) == (0, "")
    expected = run(*arguments).stdout
    assert TAKES_TIME.sub("", done.out) == TAKES_TIME.sub("", expected)
    if form == "json" or name in JSON_IN_EITHER_FORMAT:
        assert isinstance(json.loads(done.out, parse_constant=pytest.fail), dict)
    if form == "dot":
        assert re.fullmatch(DOT, done.out)


@pytest.mark.parametrize("solver", ["auto", "greedy", "ldm", "ilp"])
def test_every_solver_is_silent(solver: str, shell: Server, small: Path) -> None:
    """No library that a solver calls gets through to a descriptor."""
    limits = [*SOLVE[1:3], "--solver", solver, "--time-limit", "60", "--gap", "0.5"]
    done = shell("solve", small, *limits, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["solver"] == solver


@pytest.mark.parametrize("where", ["-", "/dev/stdout"])
def test_the_plan_alone(where: str, shell: Server, plan: Path, small: Path) -> None:
    """A plan on standard output is the file of the plan, byte for byte."""
    done = shell("solve", small, *SOLVE[1:], "-o", where, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert done.out == plan.read_text(encoding="utf-8")


READERS = [
    *("check", "evaluate", "simulate", "show", "explain", "report", "diff", "export")
]


def test_readers_are_all() -> None:
    """Commands that take a plan are those that read it from standard input."""
    assert {n for n, words in COMMANDS.items() if "PLAN" in words} == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_plans_come_through_pipes(name: str, shell: Server, plan: Path) -> None:
    """``-`` reads the plan from standard input, with the same result."""
    words = ["-", *COMMANDS[name][1:]]
    given = [str(plan) if word == "PLAN" else word for word in words]
    from_file = [str(plan), *given[1:]]
    piped = shell(name, *given, "--format", "json", stdin=str(plan))
    assert (piped.code, piped.err) == (0, "")
    assert piped.out == shell(name, *from_file, "--format", "json").out


@pytest.mark.parametrize("objective", [Objective.STEP, Objective.TIME])
def test_every_report_has_the_predicted_step(
    objective: Objective, shell: Server, small: Path, tmp_path: Path
) -> None:
    """The same one everywhere, with the keys of its page, whatever was minimised."""
    path = tmp_path / "plan.json"
    made = ("solve", small, *SOLVE[1:], "--objective", objective.value)
    solved = json.loads(shell(*made, "-o", path, "--format", "json").out)
    found = solved["prediction"]
    assert keys_of(found) == documented_keys()
    if objective is Objective.TIME:
        assert solved["objective_s"] == pytest.approx(found["step_s"], rel=1e-9)
    for name in ("show", "explain", "simulate", "evaluate"):
        same = json.loads(shell(name, path, "--format", "json").out)["prediction"]
        if name == "evaluate":
            assert same["simulated"] is None
            assert same["fixed_parts_s"] == found["fixed_parts_s"]
        else:
            assert same == found
    both = json.loads(shell("diff", path, path, "--format", "json").out)["predictions"]
    assert both == {"before": found, "after": found}
    said = " ".join(shell("explain", path).out.split())
    assert QUANTITY[objective] in said
    assert ("says nothing about the step" in said) == (objective is not Objective.TIME)


def keys_of(prediction: dict[str, Any]) -> set[str]:
    """Return all keys of a prediction, those of its parts among them."""
    parts = [prediction, prediction["fixed_parts_s"], *prediction["path"]]
    parts.append({"table": 0, **prediction["simulated"]})
    return {key for part in parts for key in part}


def documented_keys() -> set[str]:
    """Return the keys that the reference names in its tables."""
    page = (ROOT / "docs/reference/predicted-step.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    return named - {"time", "null", "simulate", "evaluate"}


def test_two_plans_do_not_fit_one_pipe(shell: Server, plan: Path) -> None:
    """Standard input holds one plan."""
    done = shell("diff", "-", "-", stdin=str(plan))
    assert (done.code, done.out) == (2, "")
    assert "only one of the plans" in done.err


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ["check", "no-such-file.json"]),
        (1, ["check", "-"]),
        (1, ["solve", "WORKLOAD", "--topology", "no-such-topology"]),
        (1, ["solve", *SOLVE, "-o", "no/such/folder/plan.json"]),
        (2, ["solve", "--hosts", "none"]),
        (2, ["solve", *SOLVE, "--solver", "ilp", "--write-lp", "-"]),
        (3, ["solve", "HUGE", *SOLVE[1:]]),
        (3, ["solve", "HUGE", *SOLVE[1:], "-o", "-", "--format", "json"]),
    ],
)
def test_errors_stay_off_standard_output(
    code: int, arguments: list[str], shell: Server, small: Path, tmp_path: Path
) -> None:
    """A reader of standard output gets nothing that it would take for a result."""
    huge = tmp_path / "huge.toml"
    huge.write_text(TOO_LARGE, encoding="utf-8")
    files = {"WORKLOAD": small, "HUGE": huge}
    done = shell(*(files.get(word, word) for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err
    assert done.err


API = """\
import sys, shardplan
from shardplan.exporters import export
from shardplan.simulation import explain, write_trace
from shardplan.validation import load_measurements, validate_model
workload, huge, plan_file, trace_file = sys.argv[1:]
for solver in ("auto", "greedy", "ldm", "ilp"):
    shardplan.solve(workload, "dgx-h100", solver=solver, time_limit_s=60, gap=0.5)
shardplan.solve(workload, "dgx-h100", solver="greedy", rounds=1)
try:
    shardplan.solve(huge, "dgx-h100", solver="greedy")
except shardplan.InfeasibleError:
    pass
plan = shardplan.Plan.load(plan_file)
plan.save(plan_file)
plan.to_frame()
shardplan.check(plan)
shardplan.evaluate(plan)
simulation = shardplan.simulate(plan)
explain(simulation)
write_trace(simulation, trace_file)
export(plan, "manifest")
validate_model(load_measurements())
"""


def test_the_api_prints_nothing(small: Path, plan: Path, tmp_path: Path) -> None:
    """Called from Python nothing reaches descriptor 1 or 2."""
    huge = tmp_path / "huge.toml"
    huge.write_text(TOO_LARGE, encoding="utf-8")
    files = [str(file) for file in (small, huge, plan, tmp_path / "trace.json")]
    done = subprocess.run(
        [sys.executable, "-c", API, *files],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
