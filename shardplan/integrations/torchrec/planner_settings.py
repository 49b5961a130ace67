"""Which of a request's settings a plan follows, and which it does not."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from shardplan.integrations.torchrec.tables import FoundTable

_FOLLOWED = {
    "bwd_compute_multiplier",
    "pipeline_type",
    "proposer_config.groups.min_col_dim",
    "proposer_config.groups.regex",
    "proposer_config.min_col_dim",
    "timeout_seconds",
    "use_hardware_based_bandwidth",
    "use_hardware_based_compute",
}
_UNSAID = {"proposer_config.kind": ("default",), "planner_variant": ("", "oss")}
"""Values that ask for nothing in particular."""
_SAME_PLANNER = ("", "oss", "linear_programming")
"""Planner variants that search, as opposed to one that loads a plan."""


def require_search(config: Any) -> None:
    """Refuse a planner that loads a plan from a store that is not here.

    Raises
    ------
    InputError
        For the variant ``manifold`` and any that is not known.
    """
    variant = str(config.planner_variant.value)
    if variant not in _SAME_PLANNER:
        rule = "shardplan searches for a plan: use oss"
        raise InputError.single("request", "planner_variant", variant, rule)


def unmet(config: Any, also_followed: Collection[str] = ()) -> list[str]:
    """List the settings of a `PlannerConfig` that a plan does not follow.

    Parameters
    ----------
    also_followed : collection of str
        Settings that something else follows, by name.

    Returns
    -------
    list of str
        ``name = value`` of everything else that is not at its default: new settings
        of later releases, too.
    """
    return list(_unmet(config, "", _FOLLOWED | set(also_followed)))


def _unmet(config: Any, prefix: str, followed: Collection[str]) -> Iterator[str]:
    for field in fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        plain = getattr(value, "value", value)
        if plain == _default(field) or plain in _UNSAID.get(name, ()):
            continue
        if is_dataclass(value):
            yield from _unmet(value, f"{name}.", followed)
        elif isinstance(value, tuple) and all(map(is_dataclass, value)):
            found = [
                text for part in value for text in _unmet(part, f"{name}.", followed)
            ]
            yield from dict.fromkeys(found)
        elif name not in followed:
            yield f"{name} = {plain!r}"


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return getattr(field.default, "value", field.default)
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def limit_widths(
    constraints: Mapping[str, Any], config: Any, tables: Sequence[FoundTable]
) -> dict[str, Any]:
    """Return constraints under which no column shard is narrower than was asked.

    Parameters
    ----------
    config : ProposerConfig or None
        Its `min_col_dim` is for all tables; that of the first of its `groups` whose
        `regex` is found in a table's ``module.table`` goes before it.

    Raises
    ------
    InputError
        For an expression that is none.

    Notes
    -----
    A table's own `min_partition` stays; a table that is narrower is left whole.
    """
    from torchrec.distributed.planner.types import ParameterConstraints

    limits = dict(constraints)
    if config is None:
        return limits
    groups = [(_compiled(group.regex), group.min_col_dim) for group in config.groups]
    for table in tables:
        path = f"{table.module}.{table.name}"
        found = (width for regex, width in groups if regex.search(path))
        width = next(found, config.min_col_dim)
        own = limits.get(table.name) or ParameterConstraints()
        if width and own.min_partition is None:
            width = min(width, table.embedding_dim)
            limits[table.name] = replace(own, min_partition=width)
    return limits


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except re.error as error:
        rule = f"is no regular expression: {error}"
        raise InputError.single("proposer_config", "groups", regex, rule) from error
