"""Tell a file of another kind at once, instead of listing all keys that it lacks."""

from __future__ import annotations

from typing import Literal

from shardplan.errors import InputError

FileKind = Literal["plan", "workload", "topology", "cost model", "network", "study"]

_TELLING: dict[FileKind, frozenset[str]] = {
    "plan": frozenset({"outcome", "fingerprints", "certificate"}),
    "workload": frozenset({"tables", "tables_file"}),
    "topology": frozenset({"host_groups"}),
    "cost model": frozenset({"lookup", "collectives", "inherits"}),
    "network": frozenset({"all_to_all", "reduce"}),
    "study": frozenset({"base", "axes"}),
}
"""Keys of a kind that no other has, except that a plan has tables, too."""


def require_kind(data: object, kind: FileKind, where: str) -> None:
    """Refuse what has keys of another kind of file and none of its own.

    Parameters
    ----------
    data : object
        What a TOML or JSON reader returned.

    Raises
    ------
    InputError
        With both kinds.
    """
    if not isinstance(data, dict):
        return
    found = [each for each, keys in _TELLING.items() if not keys.isdisjoint(data)]
    if found and found[0] != kind and (kind not in found or found[0] == "plan"):
        rule = f"is the file of a {found[0]}; give that of a {kind}"
        raise InputError.single(where, "", None, rule)
