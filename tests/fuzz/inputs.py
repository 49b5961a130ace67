"""Mutants of input files: loaded or refused; some of the loaded ones are solved."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError, ShardplanError
from shardplan.io.catalog import (
    load_cost_model,
    load_network,
    load_topology,
    load_workload,
)
from shardplan.io.table_file import COLUMNS, read_tables
from shardplan.planning.planner import solve
from tests.fuzz.commands import assert_readable, run
from tests.fuzz.mutation import HOSTILE, mutate_bytes, mutate_text
from tests.helpers import COST_MODEL, ONE_HOST, workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from shardplan.records.network import NetworkModel
    from shardplan.records.topology import Topology

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "tests" / "data" / "valid"
SOURCES = {
    "topology": (VALID / "topology.toml", *(ROOT / "topologies").glob("*.toml")),
    "workload": (VALID / "workload.toml", ROOT / "workloads" / "dlrm-dcnv2.toml"),
    "cost-model": (VALID / "cost_model.toml", ROOT / "cost_models" / "torchrec.toml"),
    "network": (
        VALID / "network.toml",
        *(ROOT / "cost_models" / "networks" / f"{n}.toml" for n in ("efa", "pcie4")),
    ),
    "csv": (VALID / "tables.csv",),
    "parquet": (),
}
LOAD: dict[str, Callable[[Path], Any]] = {
    "topology": load_topology,
    "workload": load_workload,
    "cost-model": load_cost_model,
    "network": load_network,
    "csv": lambda path: read_tables(path, path.name),
    "parquet": lambda path: read_tables(path, path.name),
}
SOLVED = 0.01
"""Share of the loaded files that are solved, too, which takes most of the time."""


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def try_mutant(rng: Random, folder: Path) -> str:
    """Make one mutant and load it; raises what should not happen.

    Returns
    -------
    str
        Kind of file, and ``refused``, ``loaded``, ``solved`` or ``unsolved``.
    """
    kind = rng.choices(list(LOAD), (4, 4, 3, 3, 2, 2))[0]
    suffix = kind if kind in ("csv", "parquet") else "toml"
    path = folder / f"mutant.{suffix}"
    if kind == "parquet":
        path.write_bytes(_parquet(rng))
    else:
        text = mutate_text(_text(rng.choice(SOURCES[kind])), rng)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        loaded = LOAD[kind](path)
    except InputError as error:
        assert_readable(error)
        return f"{kind} refused"
    if kind not in _SOLVE or rng.random() >= SOLVED:
        return f"{kind} loaded"
    run(kind, "show", str(path))
    try:
        _SOLVE[kind](loaded)
    except ShardplanError as error:
        assert_readable(error)
        return f"{kind} unsolved"
    return f"{kind} solved"


_MODEL = workload({}, {"embedding_dim": 16, "num_embeddings": 10**6})
_solve = partial(solve, solver="greedy", time_limit_s=5.0)
_SOLVE: dict[str, Callable[[Any], Any]] = {
    "topology": lambda found: _solve(_MODEL, found, COST_MODEL),
    "workload": lambda found: _solve(found, ONE_HOST, COST_MODEL),
    "cost-model": lambda found: _solve(_MODEL, ONE_HOST, found),
    "network": lambda found: _solve(_MODEL, _joined_by(found), COST_MODEL),
}


def _joined_by(network: NetworkModel) -> Topology:
    """Return two hosts that a network joins, inside and between."""
    (group,) = ONE_HOST.host_groups
    up = group.scale_up.replace(network=network)
    group = group.replace(scale_up=up, num_hosts=2)
    fabric = ONE_HOST.fabric.replace(network=network)
    return ONE_HOST.replace(host_groups=(group,), fabric=fabric)


def _parquet(rng: Random) -> bytes:
    """Write a file with odd names, odd cells or odd bytes."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, list[Any]] = {
        "name": ["a", "b", "c"],
        "num_embeddings": [1000, 2000, 3000],
        "embedding_dim": [16, 32, 64],
    }
    for _ in range(rng.randint(0, 2)):
        columns[rng.choice(list(COLUMNS))] = rng.choices(
            (*HOSTILE, "a|b", b"\xff"), k=3
        )
    arrays, names = [], []
    for name, cells in columns.items():
        try:
            arrays.append(pyarrow.array(cells))
        except (pyarrow.ArrowException, OverflowError, ValueError, TypeError):
            arrays.append(
                pyarrow.array([str(cell).encode("utf-8", "replace") for cell in cells])
            )
        names.append(
            rng.choice((*COLUMNS, "\x1b[31m", "")) if rng.random() < 0.05 else name
        )
    sink = pyarrow.BufferOutputStream()
    try:
        pyarrow.parquet.write_table(
            pyarrow.Table.from_arrays(arrays, names=names), sink
        )
    except pyarrow.ArrowException:  # a type that Parquet does not have
        return b"PAR1"
    content: bytes = sink.getvalue().to_pybytes()
    return mutate_bytes(content, rng) if rng.random() < 0.5 else content
