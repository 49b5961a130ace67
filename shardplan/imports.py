"""How names are found: on first use, and under import paths of release 0.1.

Old paths work until 0.3, with a DeprecationWarning.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.abc import InspectLoader, Loader, MetaPathFinder
    from types import CodeType, ModuleType

ROOMS = {
    "records": "brief certificate contradictions cost_model fingerprint hardware memo "
    "optimizers quantity record sharding tables targets topology torchrec_cost_model "
    "torchrec_modules torchrec_table workload",
    "io": "catalog settings",
    "costs": "cluster prepared",
    "costs.communication": "costs.all_reduce costs.collectives costs.compression "
    "costs.fair_share costs.groups costs.latency costs.link_rates costs.links "
    "costs.message_time costs.routing costs.staleness costs.traffic",
    "costs.memory": "costs.access costs.capacity costs.footprint costs.lookup "
    "costs.row_bins costs.storage",
    "costs.layers": "costs.gemm",
    "problems": "bundling loads options pins problem",
    "plans": "cache_groups evaluation frames io.plan_file plan realize rectangles "
    "shard_matrix",
    "certify": "highs",
    "solvers.search.moves": "solvers.search.exchange solvers.search.noise "
    "solvers.search.recut solvers.search.repartition solvers.search.variants",
    "planning": "certify.relaxations deadline diagnosis feedback interrupts notices "
    "padding planner quick_plan refusal",
}
"""Old modules by the package that they went to, under their own name."""

RENAMED = {
    "bounds": "problems.totals",
    "costs.dense": "costs.layers.times",
    "costs.dense_layers": "costs.layers.shapes",
    "costs.network": "costs.communication.graph",
    "io.schema": "plans.schemas",
    "solvers.search.proposals": "solvers.search.moves.recut",
}

PARTS = {
    "plan": ("records.placement", "records.inputs", "records.record"),
    "sharding": ("costs.scopes",),
}
"""Where else to look for names of an old module that was split."""

NAMES = {"io.plan_file": {"read_plan": ("plans.plan", "Plan.load")}}
"""Old names that are called otherwise now."""

MOVED = RENAMED | {
    old: f"{room}.{old.rpartition('.')[2]}"
    for room, names in ROOMS.items()
    for old in names.split()
}


def lazily(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its name.
    home : mapping of str to str
        The module of each name, below ``shardplan``; ``module:attribute`` where it has
        another name there.
    """

    def look_up(name: str) -> Any:
        if name in home:
            module, _, attribute = home[name].partition(":")
            return getattr(import_module(f"shardplan.{module}"), attribute or name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return look_up


def home_of(name: str) -> str | None:
    """Return the new path of an old module or of what was inside an old package."""
    prefix, _, path = name.partition(".")
    if prefix != "shardplan":
        return None
    package, dot, rest = path.partition(".")
    new = MOVED.get(path)
    if new is None and dot and package in MOVED:
        new = f"{MOVED[package]}.{rest}"
    return new and f"shardplan.{new}"


def _warn(old: str, new: str, level: int) -> None:
    text = f"{old} is {new} now; the old path goes with release 0.3"
    warnings.warn(text, DeprecationWarning, stacklevel=level)


class OldPaths:
    """Finds an old path as a module that looks up every name at its new place.

    It is a finder and a loader by its methods alone: their base classes would double
    the time of ``import shardplan``.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        """Return a spec for old paths only."""
        new = home_of(fullname)
        if new is None:
            return None
        from importlib.util import find_spec

        found = find_spec(new)
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        loader = cast("Loader", self)
        return ModuleSpec(
            fullname, loader, loader_state=found.name, is_package=is_package
        )

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the new module, for ``python -m``."""
        from importlib.util import find_spec

        new = home_of(fullname)
        assert new is not None
        _warn(fullname, new, 3)
        spec = find_spec(new)
        loader = cast("InspectLoader", spec and spec.loader)
        return loader.get_code(new)

    def exec_module(self, module: ModuleType) -> None:
        """Warn the importer, and let names be looked up on first use."""
        assert module.__spec__ is not None
        old, new = module.__name__, module.__spec__.loader_state
        _warn(old, new, 3)
        key = old.removeprefix("shardplan.")
        places = [new, *(f"shardplan.{part}" for part in PARTS.get(key, ()))]
        renamed = NAMES.get(key, {})

        def look_up(name: str) -> Any:
            if name in renamed:
                home, attribute = renamed[name]
                return attrgetter(attribute)(import_module(f"shardplan.{home}"))
            for place in places:
                source = import_module(place)
                if hasattr(source, name):
                    return getattr(source, name)
            raise AttributeError(f"module {old!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = look_up
        module.__dict__["__dir__"] = lambda: dir(import_module(new))


def install() -> None:
    """Look for old paths first: an old release may have left files behind."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.insert(0, cast("MetaPathFinder", OldPaths()))
