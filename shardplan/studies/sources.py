"""The files that a study names, each loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError
from shardplan.io import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shardplan.io.settings import Setting
    from shardplan.records.study import StudyBase
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload
    from shardplan.studies.axes import Choice


@dataclass(frozen=True)
class Sources:
    """Records by the name that the study has for them.

    Attributes
    ----------
    workloads, topologies, cost_models : dict of str to record
        A topology's own cost model is among the latter by the name that it has there.
    """

    workloads: Mapping[str, Workload]
    topologies: Mapping[str, Topology]
    cost_models: Mapping[str, AnyCostModel]

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


def load_sources(where: str, folder: Path, choices: Iterable[Choice]) -> Sources:
    """Load everything that the choices of a study name.

    Parameters
    ----------
    where : str
        How messages name the study.
    folder : Path
        What paths are relative to.

    Raises
    ------
    InputError
        With everything that is wrong with any of the files.
    """
    loader = _Loader(where, folder)
    for choice in choices:
        for field, name in choice.base.items():
            loader.add(field, name, choice.key)
        for setting in choice.settings:
            if _names_cost_model(setting):
                loader.add("cost_model", setting.value, choice.key)
    for topology in loader.found["topology"].values():
        loader.add("cost_model", topology.cost_model, f"{topology.name}: cost_model")
    if loader.problems:
        raise InputError(loader.problems)
    return Sources(*loader.found.values())


_LOAD: dict[str, Any] = {
    "workload": catalog.load_workload,
    "topology": catalog.load_topology,
    "cost_model": catalog.load_cost_model,
}


class _Loader:
    """Loads by name, and collects what is wrong."""

    def __init__(self, where: str, folder: Path) -> None:
        self._where, self._folder = where, folder
        self.found: dict[str, dict[str, Any]] = {field: {} for field in _LOAD}
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
    try:
        is_path = catalog.looks_like_path(name) or (folder / name).is_file()
    except (OSError, ValueError):
        is_path = False
    return str(folder / name) if is_path else name


def _names_cost_model(setting: Setting) -> bool:
    return setting.steps == ("topology", "cost_model")
