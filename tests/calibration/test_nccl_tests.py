"""Files of nccl-tests: what they say, and what is wrong with them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.calibration.nccl_tests import read_benchmarks
from shardplan.errors import InputError
from shardplan.io.catalog import load_network
from shardplan.simulation.collective_times import Bench
from tests.calibration.written import as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BENCH = Bench(2, 4, 50e9, load_network("nvlink4"))
SIZES = [2.0**20, 2.0**24, 2.0**30]
JSON = as_json("infiniband-rail", BENCH, "all_gather", SIZES)
TEXT = as_text("infiniband-rail", BENCH, "all_gather", SIZES)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | dict[str, Any]], str]:
    """Write text or JSON to a file, and return its path."""

    def save(content: str | dict[str, Any]) -> str:
        path = tmp_path / "run"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return save


Save = "Callable[[str | dict[str, Any]], str]"


@pytest.mark.parametrize("content", [JSON, TEXT], ids=["json", "text"])
def test_both_formats_say_the_same(file: Save, content: Any) -> None:
    """Collective, hosts, ranks, version; times out of place, in seconds."""
    (one,) = read_benchmarks(file(content))
    assert (one.collective, one.num_hosts, one.num_ranks) == ("all_gather", 2, 8)
    assert one.nccl_version == "2.28.8"
    assert one.message_bytes == tuple(SIZES)
    expected = [entry["out_of_place"]["time"] * 1e-6 for entry in JSON["results"]]
    assert one.time_s == pytest.approx(expected, rel=1e-3)
    assert one.left_out == {}


def test_a_log_may_hold_several_runs(file: Save) -> None:
    """Lines of mpirun and srun go before; each run has its own ranks."""
    first = "\n".join(f"[1,0]<stdout>:{line}" for line in TEXT.splitlines())
    other = as_text("infiniband-rail", Bench(4, 2, 50e9, BENCH.inside), "all_reduce")
    found = read_benchmarks(file(f"{first}\n{other}"))
    assert [(one.collective, one.num_hosts) for one in found] == [
        *(("all_gather", 2), ("all_reduce", 4))
    ]


def test_old_text_without_names(file: Save) -> None:
    """The first versions say no collective, and leave empty cells for redop."""
    lines = [line for line in TEXT.splitlines() if "_perf" not in line]
    old = "\n".join(lines).replace("float none -1", "float ")
    path = file(old)
    with pytest.raises(InputError, match="give it as all_reduce=FILE"):
        read_benchmarks(path)
    (one,) = read_benchmarks(f"all_gather={path}")
    assert one.message_bytes == tuple(SIZES)


def test_ranks_may_be_given(file: Save) -> None:
    """Of files without a list of ranks, and of domains that span hosts."""
    bare = file("\n".join(line for line in TEXT.splitlines() if "Rank" not in line))
    with pytest.raises(InputError, match="--ranks"):
        read_benchmarks(bare)
    with pytest.raises(InputError, match="--ranks-per-host"):
        read_benchmarks(bare, 8)
    (one,) = read_benchmarks(bare, 8, 2)
    assert (one.num_hosts, one.ranks_per_host) == (4, 2)
    (whole,) = read_benchmarks(file(JSON), None, 72)
    assert (whole.num_hosts, whole.ranks_per_host) == (1, 8)


def test_points_that_are_wrong_are_left_out(file: Save) -> None:
    """With the number of each reason."""
    data = json.loads(json.dumps(JSON))
    data["results"][0]["out_of_place"]["nwrong"] = 7.0
    data["results"][1]["out_of_place"]["time"] = "nan"
    (one,) = read_benchmarks(file(data))
    assert one.message_bytes == (2.0**30,)
    assert one.left_out == {"with wrong results": 1, "without a time": 1}
    data["results"][0]["size"] = "nan"
    data["results"][1]["out_of_place"]["time"] = 1e300
    (one,) = read_benchmarks(file(data))
    assert one.left_out == {"without bytes": 1, "over an hour": 1}


@pytest.mark.parametrize("code", [True, -5, 0, 10**300, "2.28", None])
def test_odd_versions_are_unknown(file: Save, code: object) -> None:
    """What is no version code of NCCL is not written into sources."""
    (one,) = read_benchmarks(file(json.dumps({**JSON, "nccl_version": code})))
    assert one.nccl_version == ""
    odd = TEXT.replace("=22808", f"={'9' * 5000}").replace("NCCL version 2", "NCCL 2")
    (one,) = read_benchmarks(file(odd))
    assert one.nccl_version == ""


def test_one_process_of_too_many_ranks(file: Save) -> None:
    """Counts that multiply to what no cluster has are told at once."""
    config = {**JSON["config"], "ngpus": 60_000, "nthreads": 60_000}
    config["devices"] = config["devices"][:1]
    with pytest.raises(InputError, match="3,600,000,000 ranks; at most 65,536"):
        read_benchmarks(file({**JSON, "config": config}))


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the JSON with one value changed, or taken away if it is None."""
    data: dict[str, Any] = json.loads(json.dumps(JSON))
    at: Any = data
    *way, last = [int(k) if k.isdecimal() else k for k in path.split(".")]
    for key in way:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no results of nccl-tests"),
        ("{", "not JSON"),
        ("{}", "has no list of results"),
        (changed("results", []), "0 points, none of which can be used"),
        (changed("results.0", 3), "results[0] = 3: must be a table"),
        (changed("results.0.out_of_place.time", "fast"), "must be a number"),
        (changed("results.0.size", None), "results[0].size"),
        (changed("args", ["./broadcast_perf"]), "measures broadcast, which no network"),
        (changed("args", ["./all_reduce_perf"]), "collective or ranks are others"),
        (changed("config.devices.1.rank", 0), "every process ran alone"),
        (changed("config.devices.1.group", 1), "2 groups ran at once"),
        (changed("config.devices.1.rank", "x"), "rank = 'x': must be a whole number"),
        (changed("config.devices.1.rank", 4.5), "rank = 4.5: must be a whole number"),
        (changed("config.devices.1.rank", 12), "rank 1 is not listed"),
        (json.dumps(JSON).replace('"rank": 4', '"rank": 1e999'), "[1].rank = inf"),
        (changed("config.devices.1", 3), "config.devices[1]: needs a rank"),
        (changed("config.devices.1.hostname", None), "config.devices[1]: needs a rank"),
        (changed("config.ngpus", 10**12), "config.ngpus = 1000000000000: must be"),
        (changed("config.ngpus", True), "config.ngpus = True: must be a whole number"),
        (changed("results.1.out_of_place.time", 10**400), "below 10^308"),
        (changed("results.1.out_of_place.nwrong", True), "nwrong = True: must be"),
        (changed("results.1.out_of_place.alg_bw", math.nan), "it is damaged"),
        (changed("results.1.out_of_place.alg_bw", -1), "it is damaged"),
        (changed("results.1.out_of_place.alg_bw", 0), "it is damaged"),
        (changed("results.1.out_of_place.bus_bw", math.nan), "ranks are others"),
        (TEXT.replace("Rank  7", "Rank 70"), "rank 7 is not listed"),
        (TEXT.replace("Rank  7", f"Rank {'9' * 5000}"), "different numbers of ranks"),
        (changed("results.2.out_of_place.time", 1.0), "it is damaged"),
        (TEXT[: TEXT.rindex(" N/A")], "cut off, or damaged"),
        (TEXT.replace("   time   algbw", " cputime  algbw"), "times of the CPU"),
        (TEXT.replace("on node1", "on node0", 1), "different numbers of ranks"),
    ],
)
def test_damaged_files_are_told(file: Save, content: Any, message: str) -> None:
    """One error with the file and what to do."""
    path = file(content)
    with pytest.raises(InputError) as caught:
        read_benchmarks(path)
    assert message in str(caught.value)
    assert path in str(caught.value)
