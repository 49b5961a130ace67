"""The files that a study names, each loaded once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.io import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shardplan.io.settings import Setting
    from shardplan.records.network import NetworkModel
    from shardplan.records.study import StudyBase, StudyFile
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload
    from shardplan.studies.axes import StudyAxis


@dataclass(frozen=True)
class Sources:
    """Records by the name that the study has for them.

    Attributes
    ----------
    workloads, topologies, cost_models : dict of str to record
        A topology's own cost model is among the latter by the name that it has there.
    networks : dict of str to NetworkModel
        Those that axes name by paths.
    """

    workloads: Mapping[str, Workload]
    topologies: Mapping[str, Topology]
    cost_models: Mapping[str, AnyCostModel]
    networks: Mapping[str, NetworkModel] = field(default_factory=dict)

    def has(self, base: StudyBase, settings: Iterable[Setting]) -> bool:
        """Tell whether everything that a point names is there."""
        if base.workload not in self.workloads or base.topology not in self.topologies:
            return False
        software = self.cost_model_name(base, settings)
        return software is None or software in self.cost_models

    def topology_of(self, base: StudyBase) -> Topology:
        """Return the named topology with the named number of hosts.

        Raises
        ------
        InputError
            If it cannot have that many, or says another number itself.
        """
        topology = self.topologies[base.topology]
        _, hosts = catalog.split_hosts(base.topology)
        if hosts is not None and base.hosts not in (None, hosts):
            rule = f"contradicts hosts = {base.hosts}: leave one of them out"
            raise InputError.single("", "topology", base.topology, rule)
        return catalog.with_hosts(topology, base.hosts, base.topology)

    def cost_model_name(
        self, base: StudyBase, settings: Iterable[Setting]
    ) -> str | None:
        """Return the name of a point's cost model, None where nothing names one."""
        if base.cost_model is not None:
            return base.cost_model
        own = [setting.value for setting in settings if _names_cost_model(setting)]
        return str(own[-1]) if own else self.topologies[base.topology].cost_model


def load_sources(
    where: str,
    folder: Path,
    file: StudyFile,
    axes: Iterable[StudyAxis],
    known: Sources | None = None,
) -> tuple[Sources, list[Fault]]:
    """Load what the base and the axes of a study name; return what is wrong as well.

    Parameters
    ----------
    where : str
        How messages name the study.
    folder : Path
        What paths are relative to.
    known : Sources, optional
        What is there already.
    """
    loader = _Loader(where, folder, known)
    for part, name in file.base:
        loader.add(part, name, f"base.{part}")
    for choice in (choice for axis in axes for choice in axis.choices):
        for part, name in choice.base.items():
            loader.add(part, name, choice.key)
        for setting in choice.settings:
            if _names_cost_model(setting):
                loader.add("cost_model", setting.value, choice.key)
    for topology in loader.found["topology"].values():
        loader.add("cost_model", topology.cost_model, f"{topology.name}: cost_model")
    return Sources(*loader.found.values()), loader.problems


_LOAD: dict[str, Any] = {
    "workload": catalog.load_workload,
    "topology": catalog.load_topology,
    "cost_model": catalog.load_cost_model,
}


class _Loader:
    """Loads by name, and collects what is wrong."""

    def __init__(self, where: str, folder: Path, known: Sources | None) -> None:
        self._where, self._folder = where, folder
        self.found: dict[str, dict[str, Any]] = {
            "workload": dict(known.workloads) if known else {},
            "topology": dict(known.topologies) if known else {},
            "cost_model": dict(known.cost_models) if known else {},
        }
        self.problems: list[Fault] = []
        self._failed: set[tuple[str, object]] = set()

    def add(self, field: str, name: object, key: str) -> None:
        """Load what a field names, unless it is there or cannot be loaded."""
        if field not in _LOAD or not isinstance(name, str):
            return
        if name in self.found[field] or (field, name) in self._failed:
            return
        path = _located(name, self._folder)
        try:
            self.found[field][name] = _LOAD[field](path)
        except InputError as error:
            self._failed.add((field, name))
            self.problems += [self._placed(p, key, name) for p in error.problems]

    def _placed(self, problem: Fault, key: str, name: str) -> Fault:
        """Name the key of the study where there is no place in another file."""
        if problem.key:
            return problem
        return Fault(self._where, key, name, problem.rule)


def _located(name: str, folder: Path) -> str:
    """Return the path of what lies beside the study; a shipped name as it is."""
    stems = {name, name.rpartition(":")[0] or name}  # without the hosts of a topology
    try:
        is_path = any(
            catalog.looks_like_path(stem) or (folder / stem).is_file() for stem in stems
        )
    except (OSError, ValueError):
        is_path = False
    return str(folder / name) if is_path else name


def _names_cost_model(setting: Setting) -> bool:
    return setting.steps == ("topology", "cost_model")
