"""Networks that a topology or a cost model names, in the data of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.records.network import NetworkModel

_PLACES = (
    ("host_groups", "scale_up", "network"),
    ("fabric", "network"),
    ("networks", "scale_up"),
    ("networks", "scale_out"),
)
"""Where a file may name a network; a list on the way stands for all its items."""


def names_network(path: Sequence[object]) -> bool:
    """Tell whether the end of a path of keys is where a file may name a network."""
    return any(tuple(path[-2:]) == place[-2:] for place in _PLACES)


def with_networks(data: Any, load: Callable[[str], NetworkModel], where: str) -> Any:
    """Return the data of a file with the networks in place of their names.

    Raises
    ------
    InputError
        For every name that leads to no network, or to one with mistakes.
    """
    problems: list[Fault] = []

    def found(name: str, key: str) -> object:
        try:
            return load(name)
        except InputError as error:
            problems.extend(_placed(error, where, key, name))
            return name

    for path in _PLACES:
        data = _replaced(data, path, "", found)
    if problems:
        raise InputError(problems)
    return data


def _replaced(
    data: Any, path: tuple[str, ...], key: str, found: Callable[[str, str], object]
) -> Any:
    """Return a copy of the data with what stands at the end of a path replaced."""
    if not path:
        return found(data, key) if isinstance(data, str) else data
    if isinstance(data, list):
        return [
            _replaced(item, path, f"{key}[{index}]", found)
            for index, item in enumerate(data)
        ]
    if not isinstance(data, dict) or path[0] not in data:
        return data
    below = f"{key}.{path[0]}" if key else path[0]
    return {**data, path[0]: _replaced(data[path[0]], path[1:], below, found)}


def _placed(error: InputError, where: str, key: str, name: str) -> Iterator[Fault]:
    """Say which key named a network that cannot be loaded."""
    for fault in error.problems:
        if fault.key:
            yield fault
        else:
            yield Fault(where, key, name, fault.rule)
