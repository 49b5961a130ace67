"""Cost models that say only what differs from another one.

``inherits = "h100"`` names the parent: a shipped name, or a path relative to the
file. Sections are merged key by key; a coefficient, a curve and a list are replaced
whole. A parent without a `name` is a part, shipped in the folder `parts`: facts about
software, which hold on any device. What a whole model lends was not measured on the
heir's device, so its source then says "assumed: as on NAME".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.io.wording import suggest
from shardplan.records.memo import by_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable

_KEY = "inherits"
_OWN = ("schema_version", "name", "description", _KEY)
"""Keys that say what a file is; they are not inherited."""
_LEAF = {"value", "unit", "source"}
"""A group with one of these is a coefficient or a curve, not a section."""
_ASSUMED = "assumed"
_MOST = 200
"""Characters of a source."""


@dataclass(frozen=True, eq=False)
class Document:
    """What a file says, which nobody may change, and how messages name it.

    Attributes
    ----------
    origins : dict of str to str
        Which parents gave what the file does not say itself, by key path.
    facts : frozenset of str
        The key paths of what parts gave.
    """

    data: Any
    where: str
    origins: dict[str, str] = field(default_factory=dict)
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Lineage:
    """Finds and reads the files that inherit from each other.

    Attributes
    ----------
    catalogue : Traversable
        The folder of the shipped ones.
    read : callable
        Returns the document of a file, given how messages name it.
    check : callable
        Raises `InputError` for a document that is no whole cost model.
    """

    catalogue: Traversable
    read: Callable[[Traversable, str], Document]
    check: Callable[[Document], object]

    def document(
        self, file: Traversable, where: str, heirs: tuple[str, ...] = ()
    ) -> Document:
        """Read a file with all that it inherits.

        Parameters
        ----------
        heirs : tuple of str
            The files that inherit from this one.

        Raises
        ------
        InputError
            For a parent that is not there, is wrong, or inherits from its heir.
        """
        document = self.read(file, where)
        if not isinstance(document.data, dict) or _KEY not in document.data:
            return document
        base, line = document.data[_KEY], (*heirs, _identity(file))
        parent_file, shown = self._parent(base, file, where)
        if _identity(parent_file) in line:
            rule = "inherits from this very file: one of them must stand on its own"
            raise InputError.single(where, _KEY, base, rule)
        parent = self.document(parent_file, shown, line)
        if not _is_part(parent.data):
            self.check(parent)
        return _heir(document, parent)

    def _parent(
        self, base: object, file: Traversable, where: str
    ) -> tuple[Traversable, str]:
        """Return the file that another one inherits from, and its name in messages."""
        if not isinstance(base, str) or not base:
            rule = "must name a shipped cost model, or a file relative to this one"
            raise InputError.single(where, _KEY, base, rule)
        if "/" in base or base.lower().endswith((".toml", ".json")):
            path = Path(str(file)).parent / base
            if path.is_file():
                return path, str(path)
            rule = f"is not there: a path is relative to its file, so this is {path}"
            raise InputError.single(where, _KEY, base, rule)
        parts = _entries(self.catalogue.joinpath("parts"))
        shipped = {**parts, **_entries(self.catalogue)}
        if base in shipped:
            return shipped[base], base
        rule = (
            f"is not a shipped cost model{suggest(base, shipped)}; "
            "`shardplan cost-model list` shows them; a path needs a '/' or '.toml'"
        )
        raise InputError.single(where, _KEY, base, rule)


def origin(key: str, origins: dict[str, str]) -> str | None:
    """Return which parent gave a key such as ``lookup.narrow_rows[0].ratio``.

    None if the model says it itself.
    """
    return origins.get(key) or origins.get(key.partition("[")[0])


def _entries(folder: Traversable) -> dict[str, Traversable]:
    if not folder.is_dir():
        return {}
    found = {entry.name: entry for entry in folder.iterdir()}
    return {n.removesuffix(".toml"): e for n, e in found.items() if n.endswith(".toml")}


def _identity(file: Traversable) -> str:
    return str(file.resolve() if isinstance(file, Path) else file)


def _is_part(data: object) -> bool:
    return isinstance(data, dict) and "name" not in data


@by_identity
def _heir(document: Document, parent: Document) -> Document:
    """Return what a file says, and of its parent what it does not say."""
    own = {key: value for key, value in document.data.items() if key != _KEY}
    lent = {key: value for key, value in parent.data.items() if key not in _OWN}
    name = str(parent.data.get("name", parent.where))
    given = {**dict.fromkeys(_paths(lent), name), **parent.origins}
    facts = frozenset(given) if _is_part(parent.data) else parent.facts
    said = frozenset(_paths(own))
    return Document(
        _merged(own, _as_on(name, lent, facts)),
        document.where,
        {key: giver for key, giver in given.items() if key not in said},
        facts - said,
    )


def _is_section(value: object) -> bool:
    return isinstance(value, dict) and not _LEAF & set(value)


def _merged(own: Any, lent: Any) -> Any:
    if not (_is_section(own) and _is_section(lent)):
        return own
    both = {key: _merged(own[key], lent[key]) for key in own if key in lent}
    return {**lent, **own, **both}


def _as_on(name: str, lent: Any, facts: frozenset[str], path: str = "") -> Any:
    """Say of every source that it is another device's, except those of facts."""
    if path in facts:
        return lent
    if isinstance(lent, list):
        return [_as_on(name, item, facts, path) for item in lent]
    if not isinstance(lent, dict):
        return lent
    if not _LEAF & set(lent):
        return {
            key: _as_on(name, value, facts, f"{path}.{key}".lstrip("."))
            for key, value in lent.items()
        }
    source = lent.get("source")
    if not isinstance(source, str) or source.startswith(_ASSUMED):
        return lent
    said = f"{_ASSUMED}: as on {name}: {source}"
    return {**lent, "source": said if len(said) <= _MOST else said[: _MOST - 3] + "..."}


def _paths(data: dict[str, Any], above: str = "") -> list[str]:
    """Return the key paths of everything below the sections."""
    return [
        path
        for key, value in data.items()
        for path in (
            _paths(value, f"{above}{key}.") if _is_section(value) else [above + key]
        )
    ]
