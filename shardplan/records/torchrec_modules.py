"""Which tables one TorchRec module can hold together.

References
----------
torchrec 1.8.0, modules/embedding_modules.py: `EmbeddingBagCollection` pools and has one
`is_weighted` for all tables, `EmbeddingCollection` has one width and makes sequences;
both refuse two tables of one name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.records.tables import EmbeddingTable

_SEVERAL = "give each table its module with `torchrec = { module = ... }`"


def broken_rules(members: Iterable[tuple[str, EmbeddingTable]]) -> Iterator[str]:
    """Yield what keeps tables from being in one module, a sentence for each module.

    Parameters
    ----------
    members : iterable of (module, table)
    """
    modules: defaultdict[str, list[EmbeddingTable]] = defaultdict(list)
    for module, table in members:
        modules[module].append(table)
    for module, tables in modules.items():
        rule = _names(tables) or _kinds(tables) or _widths(tables)
        if rule:
            where = f"module {module!r}" if module else "the model itself (no module)"
            yield f"TorchRec cannot have all tables of {where} there: {rule}"


def _names(tables: list[EmbeddingTable]) -> str:
    seen: dict[str, str] = {}
    for table in tables:
        first = seen.setdefault(table.torchrec_name, table.name)
        if first != table.name:
            return (
                f"{first!r} and {table.name!r} both have the name "
                f"{table.torchrec_name!r}; give one another torchrec.table or "
                "torchrec.module"
            )
    return ""


def _kinds(tables: list[EmbeddingTable]) -> str:
    first = tables[0]
    for table in tables:
        if table.is_pooled != first.is_pooled:
            bag, sequence = (table, first) if table.is_pooled else (first, table)
            return (
                f"{bag.name!r} is pooled (EmbeddingBagCollection), {sequence.name!r} "
                f"is not (EmbeddingCollection); {_SEVERAL}"
            )
        if table.is_pooled and table.is_weighted != first.is_weighted:
            with_weights, without = (
                (table, first) if table.is_weighted else (first, table)
            )
            return (
                f"{with_weights.name!r} is weighted, {without.name!r} is not; "
                f"an EmbeddingBagCollection is weighted as a whole: {_SEVERAL}"
            )
    return ""


def _widths(tables: list[EmbeddingTable]) -> str:
    first = tables[0]
    for table in tables:
        if not table.is_pooled and table.embedding_dim != first.embedding_dim:
            return (
                f"{first.name!r} has {first.embedding_dim} columns, {table.name!r} "
                f"{table.embedding_dim}; sequences of an EmbeddingCollection have one "
                f"width: {_SEVERAL}"
            )
    return ""
