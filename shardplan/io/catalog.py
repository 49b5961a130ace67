"""Find topologies, cost models and workloads: a shipped name or a path."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import ValidationError

from shardplan.errors import Fault, InputError
from shardplan.io.file_kind import FileKind, require_kind
from shardplan.io.inheritance import Document, Lineage
from shardplan.io.json_file import parse_json
from shardplan.io.network_names import with_networks
from shardplan.io.recent import by_content
from shardplan.io.table_file import read_tables
from shardplan.io.text import decode, read_bytes, read_text
from shardplan.io.toml import parse_toml, read_toml
from shardplan.io.topology_faults import require_domains
from shardplan.io.validate import find_problems, validate
from shardplan.io.wording import suggest
from shardplan.records.cost_model import CostModel
from shardplan.records.memo import by_identity
from shardplan.records.network import NetworkModel
from shardplan.records.record import MAX_RANKS, Record
from shardplan.records.topology import Topology
from shardplan.records.torchrec_cost_model import (
    AnyCostModel,
    TorchRecCostModel,
    cost_model_kind,
)
from shardplan.records.workload import Workload

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from shardplan.records.tables import EmbeddingTable

Kind = Literal["topologies", "cost_models", "networks", "workloads", "measurements"]
"""The catalogues of shipped files."""
Spec = str | os.PathLike[str]
"""A shipped name or a path."""
R = TypeVar("R", bound=Record)

_COMMANDS: dict[Kind, str] = {
    "topologies": "topology",
    "cost_models": "cost-model",
    "networks": "network",
    "workloads": "workload",
    "measurements": "validate",
}
_TABLE_SUFFIXES = (".csv", ".parquet", ".pq")
_SUFFIXES = (".toml", ".json", *_TABLE_SUFFIXES)


def folder(kind: Kind) -> Traversable:
    """Return the folder of a catalogue, in the wheel or in a source checkout."""
    path = ("cost_models", "networks") if kind == "networks" else (kind,)
    installed = files("shardplan").joinpath("library", *path)
    if installed.is_dir():
        return installed
    return Path(__file__).resolve().parents[2].joinpath(*path)


def names(kind: Kind) -> list[str]:
    """Return the names of the shipped entries, sorted."""
    catalogue = folder(kind)
    if not catalogue.is_dir():
        return []
    entries = (entry.name for entry in catalogue.iterdir())
    return sorted(n.removesuffix(".toml") for n in entries if n.endswith(".toml"))


def shipped_files(kind: Kind, name: str) -> dict[str, str]:
    """Return the texts of a shipped entry by file name, comments and all.

    The entry itself is the first; a file of tables that it names comes with it.

    Raises
    ------
    InputError
        If `name` is not shipped.
    """
    if _is_path(name):
        rule = "is a path; only shipped entries are copied, by their names"
        raise InputError.single(name, "", None, rule)
    file, parent = _find(kind, name)
    texts = {file.name: read_text(file, name)}
    tables = read_toml(file, name).get("tables_file")
    if tables is not None:
        texts[tables] = read_text(parent.joinpath(tables), tables)
    return texts


def load_topology(spec: Spec | Topology, num_hosts: int | None = None) -> Topology:
    """Load a topology.

    Parameters
    ----------
    spec : shipped name, path, or record
        A name or path may end in ``:HOSTS`` for another number of hosts; a record is
        passed through.
    num_hosts : int, optional
        Another number of hosts.

    Raises
    ------
    InputError
        With everything that is wrong with the argument or the file.
    """
    if isinstance(spec, Topology):
        return with_hosts(spec, num_hosts, spec.name)
    base, suffix = split_hosts(os.fspath(spec))
    if suffix is not None and num_hosts not in (None, suffix):
        rule = f"contradicts num_hosts = {num_hosts}"
        raise InputError.single(os.fspath(spec), "", None, rule)
    file, _ = _find("topologies", base)
    topology = _validated(Topology, _with_networks(_read(file, "topology", base)))
    require_domains(topology, base)
    return with_hosts(topology, num_hosts if suffix is None else suffix, base)


def load_cost_model(spec: Spec | AnyCostModel) -> AnyCostModel:
    """Load a cost model.

    Parameters
    ----------
    spec : shipped name, path, or record
        A record is passed through.

    Raises
    ------
    InputError
        With everything that is wrong with the argument or the file.
    """
    if isinstance(spec, (CostModel, TorchRecCostModel)):
        return spec
    where = os.fspath(spec)
    return _cost_model(_with_parents(where))


def cost_model_origins(spec: Spec) -> dict[str, str]:
    """Return which parents gave a cost model what its file does not say, by key path.

    Raises
    ------
    InputError
        If the file, or one that it inherits from, cannot be read.
    """
    return _with_parents(os.fspath(spec)).origins


def load_network(spec: Spec | NetworkModel) -> NetworkModel:
    """Load a network model.

    Parameters
    ----------
    spec : shipped name, path, or record
        A record is passed through.

    Raises
    ------
    InputError
        With everything that is wrong with the argument or the file.
    """
    if isinstance(spec, NetworkModel):
        return spec
    where = os.fspath(spec)
    file, _ = _find("networks", where)
    return _validated(NetworkModel, _read(file, "network", where))


def load_workload(spec: Spec | Workload) -> Workload:
    """Load a workload.

    The file may take tables from a CSV or Parquet file: `tables_file`, relative
    to its own folder. They come after those of the file itself.

    Parameters
    ----------
    spec : shipped name, path, or record
        A record is passed through.

    Raises
    ------
    InputError
        With everything that is wrong with the argument or the files.
    """
    if isinstance(spec, Workload):
        return spec
    where = os.fspath(spec)
    file, parent = _find("workloads", where)
    document = _read(file, "workload", where)
    if isinstance(document.data, dict) and "tables_file" in document.data:
        return _with_tables_file(document, parent)
    return _validated(Workload, document)


def _with_parents(where: str) -> Document:
    file, _ = _find("cost_models", where)
    lineage = Lineage(folder("cost_models"), _read_named, _cost_model)
    return lineage.document(file, where)


def _read_named(file: Traversable, where: str) -> Document:
    return _with_networks(_read(file, "cost model", where))


def _cost_model(document: Document) -> AnyCostModel:
    if cost_model_kind(document.data) == "torchrec":
        return _validated(TorchRecCostModel, document)
    return _validated(CostModel, document)


def _read(file: Traversable, kind: FileKind, where: str) -> Document:
    document = _document(file.name, read_bytes(file, where), where)
    require_kind(document.data, kind, where)
    return document


@by_content
def _document(name: str, content: bytes, where: str) -> Document:
    parse = parse_json if name.lower().endswith(".json") else parse_toml
    return Document(parse(decode(content, where), where), where)


@by_identity
def _validated(model: type[R], document: Document) -> R:
    return validate(model, document.data, document.where)


@by_identity
def _with_networks(document: Document) -> Document:
    """Put networks in the place of their names; paths are relative to the file."""
    parent = Path(document.where).parent

    def load(name: str) -> NetworkModel:
        return load_network(parent / name if looks_like_path(name) else name)

    data = with_networks(document.data, load, document.where)
    return Document(data, document.where)


def _find(kind: Kind, spec: str) -> tuple[Traversable, Traversable]:
    """Return the file that `spec` means, and its folder."""
    if _is_path(spec):
        if spec.lower().endswith(_TABLE_SUFFIXES):
            rule = (
                "is a list of tables, not a whole file: name it in a workload TOML, "
                f'tables_file = "{Path(spec).name}"'
            )
            raise InputError.single(spec, "", None, rule)
        return Path(spec), Path(spec).parent
    catalogue = folder(kind)
    known = names(kind)
    if spec not in known:
        command = _COMMANDS[kind]
        rule = (
            f"is not a shipped {command.replace('-', ' ')}{suggest(spec, known)}; "
            f"`shardplan {command} list` shows them; a path needs a '/' or '.toml'"
        )
        raise InputError.single(repr(spec), "", None, rule)
    return catalogue.joinpath(f"{spec}.toml"), catalogue


def looks_like_path(spec: str) -> bool:
    """Tell whether a name must be a path, whatever files there are."""
    return "/" in spec or os.sep in spec or spec.lower().endswith(_SUFFIXES)


def _is_path(spec: str) -> bool:
    if looks_like_path(spec):
        return True
    try:
        return Path(spec).is_file()
    except (OSError, ValueError):
        return False


def split_hosts(spec: str) -> tuple[str, int | None]:
    """Split ``name:HOSTS`` into name and number, None if there is none.

    Raises
    ------
    InputError
        If it is no number of hosts.
    """
    base, colon, hosts = spec.rpartition(":")
    is_plain = looks_like_path(hosts)
    if not colon or is_plain or (_is_path(spec) and Path(spec).is_file()):
        return spec, None
    number = int(hosts) if hosts.isdecimal() and len(hosts) < 10 else 0
    if not 1 <= number <= MAX_RANKS:
        rule = f"the number of hosts after ':' must be from 1 to {MAX_RANKS}"
        raise InputError.single(spec, "", None, rule)
    return base, number


@by_identity
def with_hosts(topology: Topology, num_hosts: int | None, where: str) -> Topology:
    """Return a topology with another number of hosts, if one is given.

    Raises
    ------
    InputError
        For a number that it cannot have, and for a mixed cluster.
    """
    if num_hosts is None or num_hosts == topology.num_hosts:
        return topology
    try:
        return topology.with_hosts(num_hosts)
    except ValidationError as error:
        raise InputError(find_problems(error, Topology, where)) from error
    except ValueError as error:
        raise InputError.single(where, "num_hosts", num_hosts, str(error)) from error


def _with_tables_file(document: Document, parent: Traversable) -> Workload:
    """Validate a workload whose tables come from `tables_file` as well."""
    where, data = document.where, document.data
    try:
        tables = _read_tables_file(data["tables_file"], parent, where)
    except InputError as error:
        rest = _without_tables_file(data)
        raise InputError([*error.problems, *_other_problems(rest, where)]) from error
    return _with_tables(document, tables)


@by_identity
def _with_tables(document: Document, tables: tuple[EmbeddingTable, ...]) -> Workload:
    rest = _without_tables_file(document.data)
    own = rest.get("tables", [])
    merged = [*own, *tables] if isinstance(own, list) else own
    return validate(Workload, {**rest, "tables": merged}, document.where)


def _without_tables_file(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "tables_file"}


def _read_tables_file(
    name: object, parent: Traversable, where: str
) -> tuple[EmbeddingTable, ...]:
    if not isinstance(name, str) or not name:
        rule = "must be the name of a .csv or .parquet file"
        raise InputError.single(where, "tables_file", name, rule)
    is_shipped = not isinstance(parent, Path)
    shown = name if is_shipped else str(parent / name)
    return read_tables(parent.joinpath(name), shown)


def _other_problems(rest: dict[str, Any], where: str) -> list[Fault]:
    """Find what else is wrong, where the tables cannot be read."""
    stand_in = {"name": "tables_file", "num_embeddings": 1, "embedding_dim": 1}
    draft = {**rest, "tables": [stand_in], "colocate": [], "separate": []}
    try:
        validate(Workload, draft, where)
    except InputError as error:
        return list(error.problems)
    return []
