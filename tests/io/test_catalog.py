"""Shipped names, paths and records as arguments."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.io import catalog
from shardplan.io.catalog import (
    load_cost_model,
    load_network,
    load_topology,
    load_workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.io.catalog import Kind

VALID = Path(__file__).parents[1] / "data" / "valid"
TOPOLOGY = VALID / "topology.toml"
KINDS: tuple[Kind, ...] = ("topologies", "cost_models", "networks", "workloads")
LOADERS: dict[Kind, Callable[[str], object]] = {
    "topologies": load_topology,
    "cost_models": load_cost_model,
    "networks": load_network,
    "workloads": load_workload,
}
SHIPPED = [(kind, name) for kind in KINDS for name in catalog.names(kind)]
MIXED = """
schema_version = 1
name = "mixed"
[[host_groups]]
name = "{}"
local_world_size = 1
device = {{ name = "d", hbm_bytes = 1e9, hbm_bw = 1e9 }}
host = {{ ddr_bytes = 1e9, ddr_bw = 1e9, pcie_bw = 1e9 }}
scale_up = {{ kind = "none" }}
scale_out = {{ nics_per_host = 1, nic_bw = 1e9 }}
"""


def message_of(load: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        load()
    return str(caught.value)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Catalogues of one entry each, in the place of the real ones."""
    for kind, name in (
        ("topologies", "topology"),
        ("cost_models", "cost_model"),
        ("networks", "network"),
        ("workloads", "workload"),
    ):
        (tmp_path / kind).mkdir()
        shutil.copy(VALID / f"{name}.toml", tmp_path / kind / f"toy_{name}.toml")
        (tmp_path / kind / "README.md").write_text("not an entry")
    monkeypatch.setattr(catalog, "folder", lambda kind: tmp_path / kind)
    return tmp_path


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_shipped_entries_load(kind: Kind, name: str) -> None:
    """Every shipped file is valid, and its name is that of the file."""
    record = LOADERS[kind](name)
    assert getattr(record, "name", None) == name


def test_names_are_the_toml_files(shipped: Path) -> None:
    """Only TOML files are entries; the names are sorted."""
    (shipped / "topologies" / "a.toml").write_text("")
    assert catalog.names("topologies") == ["a", "toy_topology"]


def test_no_catalogue_has_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder is an empty catalogue."""
    monkeypatch.setattr(catalog, "folder", lambda kind: tmp_path / "nowhere")
    assert catalog.names("workloads") == []


@pytest.mark.usefixtures("shipped")
def test_a_name_equals_its_path() -> None:
    """A shipped name and the path of the file give equal records."""
    assert load_topology("toy_topology") == load_topology(TOPOLOGY)
    assert load_topology(str(TOPOLOGY)) == load_topology(TOPOLOGY)


def test_records_pass_through() -> None:
    """A record that was loaded already is returned as it is."""
    topology = load_topology(TOPOLOGY)
    cost_model = load_cost_model(VALID / "cost_model.toml")
    workload = load_workload(VALID / "workload.toml")
    assert load_topology(topology) is topology
    assert load_cost_model(cost_model) is cost_model
    assert load_workload(workload) is workload
    assert load_topology(topology, num_hosts=5).num_hosts == 5


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("kind", KINDS)
def test_unknown_name(kind: Kind) -> None:
    """An unknown name is answered with the nearest one and how to list them."""
    (name,) = catalog.names(kind)
    message = message_of(lambda: LOADERS[kind](name.replace("toy", "tyo")))
    assert f"did you mean {name!r}?" in message
    assert "list` shows them" in message


@pytest.mark.parametrize("spec", ["", "nonsense", "\0", "x" * 300, "..", "no\nsuch"])
def test_impossible_names(spec: str) -> None:
    """Whatever is asked for, the answer is one line."""
    for load in LOADERS.values():
        assert len(message_of(lambda load=load: load(spec)).splitlines()) == 1


def test_bare_file_name_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing file needs neither a separator nor a suffix."""
    shutil.copy(TOPOLOGY, tmp_path / "cluster")
    monkeypatch.chdir(tmp_path)
    assert load_topology("cluster") == load_topology(TOPOLOGY)
    assert load_topology("cluster:3").num_hosts == 3


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("base", ["toy_topology", str(TOPOLOGY)])
def test_number_of_hosts(base: str) -> None:
    """``:HOSTS`` and `num_hosts` set the number of hosts, of names and of paths."""
    assert load_topology(base).num_hosts == 2
    assert load_topology(f"{base}:16").world_size == 64
    assert load_topology(base, num_hosts=16) == load_topology(f"{base}:16")
    assert load_topology(f"{base}:16", num_hosts=16).num_hosts == 16


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("hosts", ["0", "-1", "abc", "", "1.5", "65537", "9" * 99, "²"])
def test_bad_number_of_hosts(hosts: str) -> None:
    """What follows the colon must be a number of hosts."""
    message = message_of(lambda: load_topology(f"toy_topology:{hosts}"))
    assert "must be from 1 to 65536" in message


def test_two_numbers_of_hosts() -> None:
    """A suffix and an argument that differ are an error."""
    message = message_of(lambda: load_topology(f"{TOPOLOGY}:4", num_hosts=8))
    assert "contradicts num_hosts = 8" in message


def test_too_many_hosts() -> None:
    """More ranks than are supported are an input error, not a traceback."""
    message = message_of(lambda: load_topology(TOPOLOGY, num_hosts=60_000))
    assert "240,000 ranks, and 65,536 are the most" in message
    assert "num_hosts" in message_of(lambda: load_topology(TOPOLOGY, num_hosts=-1))


def test_hosts_of_a_mixed_cluster(tmp_path: Path) -> None:
    """A mixed cluster has no single number of hosts."""
    first = MIXED.format("a")
    path = tmp_path / "mixed.toml"
    path.write_text(first + MIXED.format("b").split("\n", 3)[3])
    assert load_topology(path).num_hosts == 2
    message = message_of(lambda: load_topology(f"{path}:4"))
    assert "mixed cluster has no single host count" in message


def test_a_path_with_a_colon(tmp_path: Path) -> None:
    """A colon in the name of a folder or file is no number of hosts."""
    folder = tmp_path / "a:b"
    folder.mkdir()
    shutil.copy(TOPOLOGY, folder / "c:4")
    assert load_topology(folder / "c:4").num_hosts == 2
    assert "no such file" in message_of(lambda: load_topology(folder / "d"))


def test_json_is_read_too(tmp_path: Path) -> None:
    """Records may be JSON, for programs that write them."""
    topology = load_topology(TOPOLOGY)
    path = tmp_path / "topology.json"
    path.write_text(topology.model_dump_json())
    assert load_topology(path) == topology


def workload_with(tmp_path: Path, line: str) -> Path:
    """Write the valid workload with one more top-level line, beside the tables."""
    text = (VALID / "workload.toml").read_text()
    shutil.copy(VALID / "tables.csv", tmp_path / "tables.csv")
    path = tmp_path / "workload.toml"
    path.write_text(line + "\n" + text)
    return path


def test_tables_file_adds_tables(tmp_path: Path) -> None:
    """Tables of the CSV file come after those of the TOML file."""
    path = workload_with(tmp_path, 'tables_file = "tables.csv"')
    assert [t.name for t in load_workload(path).tables] == ["a", "b", "c", "d", "e"]


def test_tables_file_alone(tmp_path: Path) -> None:
    """A workload may have all of its tables in a CSV file, also by absolute path."""
    path = tmp_path / "workload.toml"
    csv = VALID / "tables.csv"
    path.write_text(
        f'schema_version = 1\nname = "w"\nbatch_size = 8\ntables_file = "{csv}"\n'
        'colocate = [["d", "e"]]\n'
    )
    assert [table.name for table in load_workload(path).tables] == ["d", "e"]


def test_missing_tables_file(tmp_path: Path) -> None:
    """The message names the missing CSV file, where it was looked for."""
    path = workload_with(tmp_path, 'tables_file = "nowhere.csv"')
    message = message_of(lambda: load_workload(path))
    assert message == f"- {tmp_path / 'nowhere.csv'}: no such file"


def test_same_table_in_both_files(tmp_path: Path) -> None:
    """A name in the TOML file may not return in the CSV file."""
    path = workload_with(tmp_path, 'tables_file = "tables.csv"')
    path.write_text(path.read_text().replace('name = "c"', 'name = "d"'))
    message = message_of(lambda: load_workload(path))
    assert "table names must be unique; repeated: ['d']" in message


def test_tables_must_be_a_list_beside_a_tables_file(tmp_path: Path) -> None:
    """Wrong own tables are reported as they are without a tables file."""
    path = tmp_path / "workload.toml"
    shutil.copy(VALID / "tables.csv", tmp_path)
    path.write_text(
        'schema_version = 1\nname = "w"\nbatch_size = 8\ntables_file = "tables.csv"\n'
        "tables = 5\n"
    )
    assert "tables = 5: must be a list" in message_of(lambda: load_workload(path))


def test_zipped_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped entries and their table files load from inside a zip file."""
    path = workload_with(tmp_path, 'tables_file = "tables.csv"')
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as archive:
        archive.write(path, "workloads/zipped.toml")
        archive.write(tmp_path / "tables.csv", "workloads/tables.csv")
    with zipfile.ZipFile(tmp_path / "wheel.zip") as archive:
        root = zipfile.Path(archive, "workloads/")
        monkeypatch.setattr(catalog, "folder", lambda kind: root)
        assert catalog.names("workloads") == ["zipped"]
        assert len(load_workload("zipped").tables) == 5


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_table_file_is_no_workload(name: str) -> None:
    """A CSV file alone lacks the batch size; the message says where to name it."""
    message = message_of(lambda: load_workload(name))
    assert f'tables_file = "{name}"' in message


def test_wrong_kind_of_file() -> None:
    """A topology in the place of a workload is called so."""
    message = message_of(lambda: load_workload(TOPOLOGY))
    assert "is the file of a topology; give that of a workload" in message


def test_the_same_files_give_the_same_records() -> None:
    """Studies load them for every point, and records never change."""
    for load in (load_workload, load_cost_model, load_topology):
        name = {"load_workload": "hugectr-200", "load_cost_model": "h100"}
        spec = name.get(load.__name__, "dgx-h100:3")
        assert load(spec) is load(spec)
    assert load_topology("dgx-h100:3") is not load_topology("dgx-h100:4")


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    """Whatever its date and size say; so is a file of tables that it names."""
    tables, path = tmp_path / "t.csv", tmp_path / "w.toml"
    shutil.copy(VALID / "tables.csv", tables)
    text = 'schema_version = 1\nname = "{}"\ntables_file = "t.csv"\n'
    text += "global_batch_size = 64\n"
    path.write_text(text.format("a"))
    before = load_workload(str(path))
    assert load_workload(str(path)) is before
    path.write_text(text.format("b"))
    assert load_workload(str(path)).name == "b"
    lines = tables.read_text().splitlines(keepends=True)
    tables.write_text("".join(lines[:-1]))
    after = load_workload(str(path))
    assert after.tables == before.tables[:-1]
